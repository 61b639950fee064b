"""A driver as it is registered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic

from hwloop_drivers.links.link import Link, S


@dataclass(frozen=True)
class InstrumentKind(Generic[S]):
    """A driver as it is registered in the entry point group ``hwloop.instruments``.

    ``make(link, settings)``: the driver on an open link; sends nothing by itself.
    ``serial_board``: plain serial lines through pyserial, not VISA. ``proof``: the sources of the
    driver's protocol tests, for the documentation.
    """

    name: str
    summary: str
    settings: type[S]
    make: Callable[[Link, S], Any]  # -> hwloop_drivers.roles.Instrument; Any avoids a cycle
    serial_board: bool = False
    proof: str = "the instrument's manual; never met hardware"
