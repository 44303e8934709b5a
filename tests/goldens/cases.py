"""What PyTorch and this package both compute: modules by name, their sizes, and the numbers that go in.

Nothing here needs more than NumPy, so the maker of the goldens and the tests draw the same numbers.
"""

import dataclasses
import math
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

MIXING_WEIGHT = 0.7
AUXILIARY_WEIGHT = 0.4


@dataclasses.dataclass(frozen=True)
class Case:
    """A module in training, with what it reads.

    Attributes:
        name: Unique in its file.
        module: The function that builds it in PyTorch, "modules:..." or "networks:...".
        arguments: Of that function.
        inputs: Shapes of its maps [B, H, W, C].
        tables: Shapes of other tensors: () is a mixing weight, [E, O] probabilities.
        evaluates: Whether it is called in evaluation too, by its moving averages after the step of training.
        vectors: Mean and deviation of scales and offsets of batch norms and of biases.
        classes: Number of classes of a network, whose loss is the cross entropy; 0 where the loss is the product with
            random numbers.
        kept: Size of the largest array that is kept whole; see `storage.summary`.
        tolerance: Largest difference from this package, see `storage.assert_close`. PyTorch's own results in float32
            differ from those in float64 by less than a fifth of it.
    """

    name: str
    module: str
    arguments: Mapping[str, Any]
    inputs: tuple[tuple[int, ...], ...]
    tables: tuple[tuple[int, ...], ...] = ()
    evaluates: bool = False
    vectors: tuple[float, float] = (0.5, 0.3)
    classes: int = 0
    kept: int = 400
    tolerance: float = 1e-4


def stream(case: Case, purpose: str) -> np.random.RandomState:
    """Random numbers for one purpose; the streams of `RandomState` are frozen, those of `default_rng` are not."""
    return np.random.RandomState(zlib.crc32(f"{case.name} {purpose}".encode()))


def maps(case: Case) -> list[np.ndarray]:
    """The inputs [B, H, W, C]."""
    random = stream(case, "inputs")
    return [random.normal(size=shape).astype(np.float32) for shape in case.inputs]


def tables(case: Case) -> list[np.ndarray]:
    """The mixing weight, or probabilities that differ from row to row."""
    random = stream(case, "tables")
    draw = [
        np.array(MIXING_WEIGHT) if not shape else random.dirichlet([1] * shape[1], shape[0]) for shape in case.tables
    ]
    return [table.astype(np.float32) for table in draw]


def upstream(case: Case, shapes) -> list[np.ndarray]:
    """The gradient by each output, for outputs of these shapes."""
    random = stream(case, "upstream")
    return [random.normal(size=shape).astype(np.float32) for shape in shapes]


def labels(case: Case) -> np.ndarray:
    """A label for each image."""
    return stream(case, "labels").randint(case.classes, size=case.inputs[0][0]).astype(np.int32)


def parameters(case: Case) -> Callable[[tuple[int, ...]], np.ndarray]:
    """A function that draws one parameter after the other, in the order in which data pass them.

    It takes the shape that PyTorch gives the parameter: [out, in, k, k], [out, in] or [out].
    """
    random = stream(case, "parameters")

    def draw(shape):
        numbers = random.normal(size=shape)
        mean, deviation = (0, math.prod(shape[1:]) ** -0.5) if len(shape) > 1 else case.vectors
        return (mean + deviation * numbers).astype(np.float32)

    return draw


CHANNELS = 4
DARTS = ("sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5", "max_pool_3x3", "avg_pool_3x3", "skip_connect")
NAS_BENCH_201 = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
MOBILE = tuple(f"mbconv_k{size}_e{expansion}" for size in (3, 5, 7) for expansion in (3, 6))
# As supernets and as final networks have their batch norms.
SEARCH = {"affine": False, "running_statistics": False}
FINAL = {"affine": True, "running_statistics": True}


def _operation(form, name, stride, shape, channels=CHANNELS, pool_norm=False, **settings) -> Case:
    arguments = {"name": name, "width": shape[-1], "channels": channels, "stride": stride, "pool_norm": pool_norm}
    evaluates = settings.pop("running_statistics")
    arguments |= {"affine": settings.pop("affine"), "running_statistics": evaluates}
    title = f"{name} from {shape[-1]} to {channels} stride {stride} {form}"
    return Case(title, "modules:operation", arguments, (shape,), ((),), evaluates, **settings)


def _darts_operations():
    forms = [(name, stride, CHANNELS) for name in DARTS for stride in (1, 2)]
    # A skip connection of stride 2 alone changes the channels, in front of a cell.
    for name, stride, width in (*forms, ("skip_connect", 2, 3), ("skip_connect", 2, 10)):
        pool_norm = "pool" in name
        yield _operation("search", name, stride, (2, 8, 6, width), pool_norm=pool_norm, **SEARCH)
        yield _operation("tiny", name, stride, (6, 1, 2, width), pool_norm=pool_norm, **SEARCH)
        yield _operation("final", name, stride, (2, 7, 5, width), **FINAL)
    averages = {"affine": False, "running_statistics": True}
    yield _operation("averages", "avg_pool_3x3", 2, (2, 8, 6, CHANNELS), pool_norm=True, **averages)


def _nas_bench_201_operations():
    forms = [(name, 1, CHANNELS) for name in NAS_BENCH_201]
    for name, stride, width in (*forms, ("nor_conv_1x1", 2, 3), ("nor_conv_3x3", 2, 3)):
        yield _operation("search", name, stride, (2, 8, 6, width), **SEARCH)
        yield _operation("tiny", name, stride, (6, 1, 2, width), **SEARCH)
        yield _operation("final", name, stride, (2, 7, 5, width), **FINAL)


def _mobile_operations():
    forms = [(name, stride, CHANNELS) for name in MOBILE for stride in (1, 2)]
    others = [("mbconv_k5_e3", 2, 6), ("mbconv_k3_e1", 1, 3), ("mbconv_k3_e1", 2, 5)]
    for name, stride, channels in (*forms, *others):
        yield _operation("search", name, stride, (2, 8, 6, 4), channels, **SEARCH)
        # Vectors so large that ReLU6 cuts on both sides.
        yield _operation("final", name, stride, (2, 7, 5, 4), channels, vectors=(2.5, 1.0), **FINAL)


def _block(name, role, shape, channels, stride=1, classes=5) -> Case:
    arguments = {"role": role, "width": shape[-1], "channels": channels, "stride": stride, "classes": classes}
    vectors = (2.5, 1.0) if role.startswith("mobile") else (0.5, 0.3)
    return Case(name, "modules:block", arguments, (shape,), evaluates=True, vectors=vectors)


def _blocks():
    for norm in (SEARCH, FINAL):
        for sides in (None, (8, 6), (7, 5)):  # of the first input where it is the larger one
            reduces, evaluates = sides is not None, norm["running_statistics"]
            arguments = {"widths": (3, 10), "channels": 6, "reduction_prev": reduces, **norm}
            name = f"preprocess {'final' if evaluates else 'search'} {sides or 'of one size'}"
            shapes = ((3, *(sides or (4, 3)), 3), (3, 4, 3, 10))
            yield Case(name, "modules:preprocess", arguments, shapes, evaluates=evaluates)
    for sides in ((8, 12), (7, 9)):
        for role, width, stride in (("stem", 3, 1), ("stem", 3, 2), ("stem_quarter", 3, 4), ("stem_eighth", 6, 2)):
            yield _block(f"{role} stride {stride} {sides}", role, (2, *sides, width), 6, stride)
        yield _block(f"mobile_stem {sides}", "mobile_stem", (2, *sides, 3), 6, 2)
    yield _block("mobile_first", "mobile_first", (2, 5, 6, 4), 3)
    yield _block("mobile_head", "mobile_head", (3, 4, 3, 4), 6)
    yield _block("reduction", "reduction", (2, 8, 6, 3), 6, 2)
    yield _block("head", "head", (3, 4, 3, 6), 6)
    yield _block("classifier", "classifier", (3, 4, 3, 6), 6)
    yield _block("auxiliary_cifar", "auxiliary_cifar", (6, 8, 8, 2), 768)
    yield _block("auxiliary_imagenet", "auxiliary_imagenet", (6, 7, 7, 2), 768)


# Five blocks; the third has no shortcut, for it halves the maps.
MOBILE_SIZES = {"widths": (4, 6), "blocks": (2, 3), "strides": (1, 2), "stem_width": 4, "stem_stride": 1}
MOBILE_SIZES |= {"first_width": 4, "head_width": 8}
MOBILE_CANDIDATES = [(*MOBILE, "none")] * 2 + [MOBILE] + [(*MOBILE, "none")] * 2
MOBILE_GENOTYPE = "mbconv_k3_e3,none,mbconv_k5_e6,mbconv_k7_e3,none"
NAS_BENCH_201_CELL = "|nor_conv_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_3x3~2|"


def _network(name, shape, tables=(), **arguments) -> Case:
    arguments["classes"] = 5
    tolerance = 1e-4 if tables else 1e-3  # deep networks with few images in a batch magnify rounding
    return Case(
        name, f"networks:{name}", arguments, (shape,), tables, not tables, classes=5, kept=8, tolerance=tolerance
    )


def _networks():
    small = (4, 8, 8, 3)
    yield _network("darts_supernet", small, ((14, 8), (14, 8)), channels=4, cells=3)
    yield _network("nas_bench_201_supernet", small, ((6, 5),), channels=4, cells=2)
    tables = tuple((1, len(names)) for names in MOBILE_CANDIDATES)
    yield _network("mobile_supernet", small, tables, candidates=MOBILE_CANDIDATES, **MOBILE_SIZES)
    yield _network("nas_bench_201_network", small, channels=4, cells=1)
    yield _network("darts_network", (6, 32, 32, 3), channels=4, cells=3)
    yield _network("darts_imagenet_network", (6, 224, 224, 3), channels=4, cells=3)
    yield _network("mobile_network", small, genotype=MOBILE_GENOTYPE, **MOBILE_SIZES)


GROUPS: dict[str, dict[str, Case]] = {
    name: {case.name: case for case in group()}
    for name, group in {
        "darts_operations": _darts_operations,
        "nas_bench_201_operations": _nas_bench_201_operations,
        "mobile_operations": _mobile_operations,
        "blocks": _blocks,
        "networks": _networks,
    }.items()
}
