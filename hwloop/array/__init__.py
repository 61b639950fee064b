"""An array as plain data: its size, its limits, and the operations that it can be asked for.

Arrays of values are float64 with (rows, cols) as their last two axes. Positive voltage: row above
column. Positive current: into the column.
"""

from hwloop.array.biasing import Scheme
from hwloop.array.geometry import Geometry
from hwloop.array.limits import Limits
from hwloop.array.operations import (
    Flag,
    Hold,
    Operation,
    PulseMap,
    PulsePair,
    Ramp,
    Reading,
    ReadMap,
    VectorBatch,
    Wait,
)
from hwloop.array.settings import ArraySettings, ReadSettings

__all__ = [
    "ArraySettings",
    "Flag",
    "Geometry",
    "Hold",
    "Limits",
    "Operation",
    "PulseMap",
    "PulsePair",
    "Ramp",
    "ReadMap",
    "ReadSettings",
    "Reading",
    "Scheme",
    "VectorBatch",
    "Wait",
]
