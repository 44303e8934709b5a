"""Makes the goldens from PyTorch: `python -m tests.goldens.make` in the root of the repository, with torch installed.

Each case is computed twice, in float64, which is kept, and in float32: a case whose two results differ by more than a
fifth of its tolerance (a pixel at the kink of a ReLU, say) is refused. Another name changes its random numbers.
"""

import pkgutil

import numpy as np
import torch
from torch import nn

from . import cases, modules, storage, training

torch.set_num_threads(1)  # for maps as small as these, threads that wait for each other cost most of the time


def tensors(arrays, dtype) -> list[torch.Tensor]:
    """Maps [B, H, W, C] as [B, C, H, W], other arrays as they are; all to be differentiated by."""
    return [
        torch.tensor(array.transpose(0, 3, 1, 2) if array.ndim == 4 else array, dtype=dtype).requires_grad_()
        for array in arrays
    ]


def values(tensor) -> np.ndarray:
    """A tensor as an array, maps as [B, H, W, C]."""
    array = tensor.detach().double().numpy()
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 else array


def loss_of(case, outputs, dtype):
    """Cross entropy, that of an auxiliary head with its weight; or the product with random numbers."""
    if not case.classes:
        directions = tensors(cases.upstream(case, [values(output).shape for output in outputs]), dtype)
        return sum((output * direction).sum() for output, direction in zip(outputs, directions, strict=True))
    labels = torch.from_numpy(cases.labels(case)).long()
    losses = [nn.functional.cross_entropy(output, labels) for output in outputs]
    return losses[0] + cases.AUXILIARY_WEIGHT * sum(losses[1:])


def record(case: cases.Case, dtype=torch.float64) -> dict[str, np.ndarray]:
    """Outputs, loss and gradients of a case in training, outputs in evaluation."""
    module = pkgutil.resolve_name(f"{__package__}.{case.module}")(**case.arguments).to(dtype).train()
    draw = cases.parameters(case)
    for parameter in module.parameters():
        parameter.data = torch.tensor(draw(tuple(parameter.shape)), dtype=dtype)
    inputs, tables = tensors(cases.maps(case), dtype), tensors(cases.tables(case), dtype)
    outputs = module(*inputs, *tables)
    loss = loss_of(case, outputs, dtype)
    loss.backward()
    arrays = {f"outputs/{i}": values(output) for i, output in enumerate(outputs)}
    arrays["loss"] = values(loss)
    arrays |= {f"by_inputs/{i}": values(tensor.grad) for i, tensor in enumerate(inputs)}
    arrays |= {f"by_tables/{i}": values(tensor.grad) for i, tensor in enumerate(tables)}
    for i, parameter in enumerate(module.parameters()):
        arrays[f"by_parameters/{i}"] = parameter.grad.double().numpy()
    if case.evaluates:
        with torch.no_grad():
            evaluated = module.eval()(*inputs, *tables)
        arrays |= {f"evaluated/{i}": values(output) for i, output in enumerate(evaluated)}
    return {key: storage.summary(array, case.kept) for key, array in arrays.items()}


def checked_record(case: cases.Case) -> dict[str, np.ndarray]:
    """The record in float64 of a case that float32 resolves."""
    golden = record(case)
    storage.assert_close(record(case, torch.float32), golden, case.tolerance / 5, case.name)
    return golden


def main() -> None:
    """Writes all files and tells their sizes."""
    torch.backends.mkldnn.enabled = False  # its float32 kernels corrupt the heap at the ImageNet network (2.13)
    about = {"torch": torch.__version__, "modules": modules.__doc__}
    paths = [
        storage.save(name, {case.name: checked_record(case) for case in group.values()}, about)
        for name, group in cases.GROUPS.items()
    ]
    paths.append(storage.save("optimizers", training.trajectories(), {"torch": torch.__version__}))
    paths.append(storage.save("rates", training.rates(), {"torch": torch.__version__}, np.float64))
    for path in paths:
        print(f"{path.stat().st_size:8,d}  {path.name}")
    print(f"{sum(path.stat().st_size for path in paths):8,d}  in all")


if __name__ == "__main__":
    main()
