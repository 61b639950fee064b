"""Virtual instruments: servers that speak an instrument's language, wired to one emulated array.

An instrument of your own is a subclass of :class:`VirtualScpiInstrument` or
:class:`VirtualTspInstrument` under the entry point group ``hwloop.virtual_instruments``;
:class:`OneBox` puts it on a bench of its own for tests.
"""

from hwloop_sim.virtual.bench.one_box import OneBox
from hwloop_sim.virtual.circuit.circuit import Circuit
from hwloop_sim.virtual.circuit.clock import BenchClock
from hwloop_sim.virtual.circuit.instrument import VirtualInstrument
from hwloop_sim.virtual.languages.scpi import (
    ILLEGAL,
    MISSING,
    OUT_OF_RANGE,
    UNDEFINED,
    WRONG_TYPE,
    Arguments,
    ScpiError,
    VirtualScpiInstrument,
)
from hwloop_sim.virtual.languages.tsp import VirtualTspInstrument
from hwloop_sim.virtual.languages.tsp_tables import Attribute, Node, TspError

__all__ = [
    "ILLEGAL",
    "MISSING",
    "OUT_OF_RANGE",
    "UNDEFINED",
    "WRONG_TYPE",
    "Arguments",
    "Attribute",
    "BenchClock",
    "Circuit",
    "Node",
    "OneBox",
    "ScpiError",
    "TspError",
    "VirtualInstrument",
    "VirtualScpiInstrument",
    "VirtualTspInstrument",
]
