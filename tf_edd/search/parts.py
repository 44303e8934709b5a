"""Imports every module whose configurables a gin file may name; importing this one is what a program needs."""

from tf_edd import (  # noqa: F401
    actions,
    data,
    decisions,
    discretizers,
    edges,
    optimizers,
    regularizers,
    relaxations,
    samplers,
    schedules,
    selectors,
    spaces,
    steps,
    stoppers,
)
from tf_edd.architectures import table  # noqa: F401
from tf_edd.runtime import strategy  # noqa: F401
from tf_edd.search import method, pruned_space, rank, search  # noqa: F401
from tf_edd.training import evaluate, export, retrain  # noqa: F401
