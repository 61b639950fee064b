"""How a virtual instrument can be told to misbehave."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hwloop.settings import Settings
from hwloop.units import Second

FaultKind = Literal[
    "drop", "late", "garbage", "silent", "ignore", "stick_open", "stick_closed", "break", "exchange"
]


class Fault(Settings):
    """One fault of one instrument, or of the wiring.

    ``drop``: the link is closed at the next message. ``late``: answers come ``delay_s`` late.
    ``garbage``: answers are noise. ``silent``: no answers. ``ignore``: messages that contain
    ``text`` are not obeyed. ``stick_open``, ``stick_closed``: the relay ``channel`` does not move.
    ``break``: the lead to ``line`` is open. ``exchange``: those to ``line`` and
    ``other`` are exchanged.
    ``after``: messages that still go well. ``count``: how often it happens; None for always.
    """

    instrument: str = ""
    kind: FaultKind
    text: str = ""
    channel: str = ""
    line: str = ""
    other: str = ""
    delay_s: Second = 0.0
    after: int = Field(default=0, ge=0)
    count: int | None = Field(default=None, ge=1)


class Faults:
    """The faults of one instrument that are still to come."""

    def __init__(self) -> None:
        self._pending: list[tuple[Fault, int, int]] = []

    def add(self, fault: Fault) -> None:
        """From now on."""
        self._pending.append((fault, fault.after, fault.count or -1))

    def next(self, message: str) -> Fault | None:
        """The fault that befalls this message, if any."""
        for index, (fault, after, left) in enumerate(self._pending):
            if fault.text and fault.text.lower() not in message.lower():
                continue
            if after:
                self._pending[index] = (fault, after - 1, left)
                continue
            if left == 1:
                del self._pending[index]
            else:
                self._pending[index] = (fault, 0, left - 1)
            return fault
        return None
