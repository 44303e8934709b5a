"""What PyTorch's optimizers and learning-rate schedules and ours are given. NumPy only."""

import numpy as np

STEPS = 10
RATES = (0.1, 0.1, 0.05, 0.2, 0.0, 0.03, 0.03, 0.3, 0.01, 0.1)  # a velocity must not remember old rates
SHAPES = ((3, 2), (4,))
DECAY = 0.05

# Name -> optimizer, its settings, largest global norm of the gradient.
SGDS = {
    f"sgd momentum {momentum} nesterov {nesterov} decay {decay}": {
        "momentum": momentum,
        "nesterov": nesterov,
        "weight_decay": decay,
    }
    for momentum, nesterov in ((0.0, False), (0.9, False), (0.9, True))
    for decay in (0.0, DECAY)
}
ADAMS = {
    f"adam betas {betas} decay {decay}": {"betas": betas, "weight_decay": decay}
    for betas in ((0.5, 0.999), (0.9, 0.99), (0.0, 0.999))
    for decay in (0.0, DECAY)
}
CLIPPED = {"sgd clipped": (SGDS["sgd momentum 0.9 nesterov True decay 0.05"], 3.0)}
CLIPPED["adam clipped"] = (ADAMS["adam betas (0.5, 0.999) decay 0.05"], 3.0)
OPTIMIZERS = {name: (settings, None) for name, settings in {**SGDS, **ADAMS}.items()} | CLIPPED


def start() -> list[np.ndarray]:
    """The weights at first."""
    return _draw(0)


def gradients() -> list[list[np.ndarray]]:
    """The gradient of each step; global norms lie between 2 and 6."""
    return [_draw(1 + step) for step in range(STEPS)]


def _draw(seed):
    random = np.random.RandomState(seed)
    return [random.normal(size=shape).astype(np.float32) for shape in SHAPES]


# Schedule -> its arguments; the warmup is that of a constant rate, the sequence one of two cosines from the same rate.
EPOCHS = 50
SCHEDULES = {
    "cosine": {"base": 0.025, "epochs": EPOCHS, "minimum": 0.001},
    "exponential": {"base": 0.1, "decay": 0.97},
    "warmup": {"base": 0.5, "epochs": 5},
    "sequence": {"base": 0.05, "epochs": (20, 30)},
}
