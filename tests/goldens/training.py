"""PyTorch's optimizers and learning-rate schedules on the problems of `problems.py`."""

import numpy as np
import torch
from torch.optim import lr_scheduler

from . import problems


def trajectory(settings, clip) -> dict[str, np.ndarray]:
    """All weights after each step, [steps, weights], and the norms of the gradients before clipping, [steps]."""
    parameters = [torch.nn.Parameter(torch.tensor(value, dtype=torch.float64)) for value in problems.start()]
    make = torch.optim.Adam if "betas" in settings else torch.optim.SGD
    optimizer = make(parameters, lr=1.0, **settings)
    weights, norms = [], []
    for rate, gradients in zip(problems.RATES, problems.gradients(), strict=True):
        optimizer.param_groups[0]["lr"] = rate
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = torch.tensor(gradient, dtype=torch.float64)
        norms.append(float(torch.nn.utils.clip_grad_norm_(parameters, float("inf") if clip is None else clip)))
        optimizer.step()
        weights.append(np.concatenate([parameter.detach().numpy().ravel() for parameter in parameters]))
    return {"weights": np.array(weights), "norms": np.array(norms)}


def trajectories() -> dict[str, dict[str, np.ndarray]]:
    """The trajectory of each optimizer."""
    return {name: trajectory(*problem) for name, problem in problems.OPTIMIZERS.items()}


def _cosine(optimizer, epochs, minimum=0.0):
    return lr_scheduler.CosineAnnealingLR(optimizer, epochs, minimum)


def _sequence(optimizer, epochs):
    parts = [_cosine(optimizer, each) for each in epochs]
    return lr_scheduler.SequentialLR(optimizer, parts, epochs[:1])


MAKERS = {
    "cosine": _cosine,
    "exponential": lambda optimizer, decay: lr_scheduler.StepLR(optimizer, 1, decay),
    "warmup": lambda optimizer, epochs: lr_scheduler.LinearLR(optimizer, 1 / epochs, total_iters=epochs - 1),
    "sequence": _sequence,
}


def rates() -> dict[str, dict[str, np.ndarray]]:
    """The rates of all epochs of each schedule."""
    records = {}
    for name, settings in problems.SCHEDULES.items():
        settings = dict(settings)
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=settings.pop("base"))
        schedule, told = MAKERS[name](optimizer, **settings), []
        for _ in range(problems.EPOCHS):
            told.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        records[name] = {"rates": np.array(told)}
    return records
