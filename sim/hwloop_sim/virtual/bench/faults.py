"""Faults that can be injected into a virtual instrument or its wiring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from hwloop.settings.model import Settings
from hwloop.settings.units import Second

FaultKind = Literal[
    "drop",
    "late",
    "garbage",
    "silent",
    "stream",
    "ignore",
    "hang",
    "trip",
    "stall",
    "gone",
    "stick_open",
    "stick_closed",
    "break",
    "exchange",
]

# The others wait for an answer, a pulse, or a new link.
AT_ONCE = {"drop", "ignore", "gone", "trip"}


class Stalled(Exception):
    """An instrument has stopped in the middle of a pulse."""


class Fault(Settings):
    """One fault of one instrument, or of the wiring.

    Faults of replies affect only messages that have one. ``drop``: the link is closed at the next
    message. ``late``: replies come ``delay_s`` late. ``garbage``: replies are noise. ``silent``: no
    replies. ``stream``: bytes without end in a reply's place, until the link is closed or, on a
    serial port, sent something. ``ignore``: messages that contain ``text`` are not obeyed.
    ``hang``: no message is obeyed until a new link is made. ``stall``: the instrument stops in the
    middle of its next pulse, the level stays, no reply comes; the next message is obeyed. ``gone``:
    the link is closed, and every new one refused. ``stick_open``, ``stick_closed``: the relay
    ``channel`` does not move. ``break``: the lead to ``line`` is open. ``exchange``: the leads to
    ``line`` and ``other`` are exchanged. ``trip``: the outputs switch off by themselves, messages
    are obeyed as before. ``after``: number of messages before the fault. ``count``: how often it
    happens; None for always.
    """

    instrument: str = ""
    kind: FaultKind
    text: str = ""
    channel: str = ""
    line: str = ""
    other: str = ""
    delay_s: Annotated[Second, Field(ge=0, le=3600)] = 0.0
    after: int = Field(default=0, ge=0)
    count: int | None = Field(default=None, ge=1)


@dataclass
class _Pending:
    fault: Fault
    after: int
    left: int | None
    struck: bool = False


class Faults:
    """The pending faults of one instrument."""

    def __init__(self) -> None:
        self._pending: list[_Pending] = []

    def add(self, fault: Fault) -> None:
        """Add a fault, pending from the next message on."""
        self._pending.append(_Pending(fault, fault.after, fault.count))

    def next(self, message: str) -> Fault | None:
        """Return the fault that affects this message, if any."""
        for pending in list(self._pending):
            fault = pending.fault
            hanging = fault.kind == "hang" and pending.struck
            if fault.text and fault.text.lower() not in message.lower() and not hanging:
                continue
            if pending.after:
                pending.after -= 1
                continue
            pending.struck = True
            if fault.kind in AT_ONCE:
                self.spend(fault)
            return fault
        return None

    def linked(self) -> None:
        """End a hang-up, since a new link has been made."""
        self._pending = [p for p in self._pending if p.fault.kind != "hang" or not p.struck]

    def spend(self, fault: Fault) -> None:
        """Count one occurrence of a fault, and remove it after its last."""
        pending = next(p for p in self._pending if p.fault is fault)
        if pending.left is not None:
            pending.left -= 1
            if not pending.left:
                self._pending.remove(pending)
