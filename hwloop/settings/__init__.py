"""Settings that a user writes: validated, frozen, and with SI units in their types.

``Volt``, ``Siemens`` and their kind read ``5e-6`` as well as ``5 uS``.
"""

from hwloop.settings.model import Settings
from hwloop.settings.tables import BitTable, GapTable, NumberTable
from hwloop.settings.units import (
    Ampere,
    Count,
    Fraction,
    Joule,
    Kelvin,
    Metre,
    MetrePerSecond,
    NegativeVolt,
    Number,
    Ohm,
    PerAmpere,
    PositiveAmpere,
    PositiveJoule,
    PositiveMetre,
    PositiveOhm,
    PositiveSecond,
    PositiveSiemens,
    PositiveVolt,
    Resistance,
    Second,
    Siemens,
    Volt,
    format_quantity,
    parse_quantity,
)

__all__ = [
    "Ampere",
    "BitTable",
    "Count",
    "Fraction",
    "GapTable",
    "Joule",
    "Kelvin",
    "Metre",
    "MetrePerSecond",
    "NegativeVolt",
    "Number",
    "NumberTable",
    "Ohm",
    "PerAmpere",
    "PositiveAmpere",
    "PositiveJoule",
    "PositiveMetre",
    "PositiveOhm",
    "PositiveSecond",
    "PositiveSiemens",
    "PositiveVolt",
    "Resistance",
    "Second",
    "Settings",
    "Siemens",
    "Volt",
    "format_quantity",
    "parse_quantity",
]
