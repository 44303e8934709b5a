"""Imports every module whose configurables a gin file may name; importing this one is what a program needs."""

from tf_edd import actions, data, samplers, spaces  # noqa: F401
from tf_edd.architectures import table as tabular  # noqa: F401
from tf_edd.discretizers import discretizers  # noqa: F401
from tf_edd.optimizers import optimizers  # noqa: F401
from tf_edd.regularizers import regularizers  # noqa: F401
from tf_edd.relaxations import relaxations  # noqa: F401
from tf_edd.runtime import strategy  # noqa: F401
from tf_edd.schedules import learning_rate as schedules  # noqa: F401
from tf_edd.search import rank, search  # noqa: F401
from tf_edd.selectors import evolution  # noqa: F401
from tf_edd.steps import first_order as bilevel  # noqa: F401
from tf_edd.training import evaluate, export, retrain  # noqa: F401
