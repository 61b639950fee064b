"""Drivers against virtual instruments in one process, without a network between them."""

from __future__ import annotations

from typing import Any

from hwloop_drivers.testing.in_process import InProcessLink
from hwloop_sim.virtual.bench import one_box
from hwloop_sim.virtual.circuit.instrument import VirtualInstrument

Resistors = one_box.Resistors


class VirtualLink(InProcessLink):
    """A link to a virtual instrument."""

    def __init__(self, instrument: VirtualInstrument) -> None:
        super().__init__(instrument.receive)
        self.instrument = instrument


class OneBox(one_box.OneBox):
    """With a driver's link to it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.link = VirtualLink(self.instrument)
