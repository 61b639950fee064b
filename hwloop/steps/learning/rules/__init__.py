"""Rules that turn inputs and errors into pulses, each in a file of its own with its source."""

from typing import Annotated, TypeAlias

from pydantic import Field

from hwloop.steps.learning.rules.accumulate import Accumulate
from hwloop.steps.learning.rules.delta_pulses import DeltaPulses
from hwloop.steps.learning.rules.gate_voltage import GateVoltage
from hwloop.steps.learning.rules.manhattan import ManhattanRule
from hwloop.steps.learning.rules.mixed_precision import MixedPrecision
from hwloop.steps.learning.rules.rule import LayerRule, RuleSettings, mean_gradient
from hwloop.steps.learning.rules.tiki_taka import TikiTaka

AnyRule: TypeAlias = Annotated[
    Accumulate | DeltaPulses | GateVoltage | ManhattanRule | MixedPrecision | TikiTaka,
    Field(discriminator="name"),
]
"""Settings of a rule, chosen by its ``name``."""

__all__ = [
    "Accumulate",
    "AnyRule",
    "DeltaPulses",
    "GateVoltage",
    "LayerRule",
    "ManhattanRule",
    "MixedPrecision",
    "RuleSettings",
    "TikiTaka",
    "mean_gradient",
]
