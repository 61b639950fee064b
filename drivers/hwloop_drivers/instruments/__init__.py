"""Drivers, one instrument a file, and the families that a new driver is built from.

A driver of your own fulfils a role of :mod:`hwloop_drivers.roles` and is an :class:`InstrumentKind`
under the entry point group ``hwloop.instruments``.
"""

from hwloop_drivers.instruments.families.identified import IdentifiedInstrument
from hwloop_drivers.instruments.families.matrix import VerifiedMatrix
from hwloop_drivers.instruments.families.scpi import ScpiInstrument, ScpiSpeaker
from hwloop_drivers.instruments.families.source_meter import (
    LevelledSource,
    ScpiSourceMeter,
    SourceLimits,
    measured,
)
from hwloop_drivers.instruments.families.tsp import TspInstrument, TspSpeaker
from hwloop_drivers.instruments.kind import InstrumentKind

__all__ = [
    "IdentifiedInstrument",
    "InstrumentKind",
    "LevelledSource",
    "ScpiInstrument",
    "ScpiSourceMeter",
    "ScpiSpeaker",
    "SourceLimits",
    "TspInstrument",
    "TspSpeaker",
    "VerifiedMatrix",
    "measured",
]
