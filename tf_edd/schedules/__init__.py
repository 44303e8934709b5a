"""Temperatures and learning rates as functions of the epoch: pure numbers, no TensorFlow.

Temperatures, epochs counted from 1            Learning rates, epochs counted from 0
ConstantTemperature                            ConstantRate
LinearTemperature, LTS                         LinearRate
ExponentialTemperature, ETS                    ExponentialRate
PeriodicTemperature, PCD and LPCD              CosineRate
EntropyDecay, EDD                              WarmupRate, SequenceRate: of other schedules
"""

from tf_edd.schedules.entropy_decay import EntropyDecay
from tf_edd.schedules.exp_temperature import EXPECTED_LOGIT
from tf_edd.schedules.fixed_temperature import (
    ConstantTemperature,
    ExponentialTemperature,
    FixedSchedule,
    LinearTemperature,
    PeriodicTemperature,
    exponential_list,
    linear_list,
)
from tf_edd.schedules.learning_rate import (
    ConstantRate,
    CosineRate,
    ExponentialRate,
    LinearRate,
    Rate,
    SequenceRate,
    WarmupRate,
)
from tf_edd.schedules.length import Lasting, check_length, check_rate, check_temperature, total_epochs
from tf_edd.schedules.temperature import Temperature, TemperatureState

__all__ = [
    "EXPECTED_LOGIT",
    "ConstantRate",
    "ConstantTemperature",
    "CosineRate",
    "EntropyDecay",
    "ExponentialRate",
    "ExponentialTemperature",
    "FixedSchedule",
    "Lasting",
    "LinearRate",
    "LinearTemperature",
    "PeriodicTemperature",
    "Rate",
    "SequenceRate",
    "Temperature",
    "TemperatureState",
    "WarmupRate",
    "check_length",
    "check_rate",
    "check_temperature",
    "exponential_list",
    "linear_list",
    "total_epochs",
]
