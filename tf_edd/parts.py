"""Imports every module whose configurables a gin file may name; importing this one is what a program needs."""

from tf_edd import (  # noqa: F401
    actions,
    bilevel,
    data,
    discretizers,
    evaluate,
    evolution,
    export,
    limits,
    optimizers,
    rank,
    regularizers,
    relaxations,
    retrain,
    samplers,
    schedules,
    search,
    single_path,
    spaces,
    tabular,
    temperature,
)
from tf_edd.runtime import strategy  # noqa: F401
