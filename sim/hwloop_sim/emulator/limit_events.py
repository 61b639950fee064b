"""Events of an emulated array about what its sources and wires withhold, each once."""

from __future__ import annotations

from typing import Literal

import numpy as np

from hwloop.backend.base import Event
from hwloop.types import BoolArray

During = Literal["read", "pulse"]
_SAYS = {
    "read": "the source on it was at its compliance during a read: what was read with it is NaN;"
    " raise limits.current_a or lower the read voltage",
    "pulse": "a source of its cells was at its compliance during a pulse: not all of the pulse"
    " reached the cell: it is recorded as limited",
}


class LimitEvents:
    """Events of limited rows, until they are taken."""

    def __init__(self) -> None:
        self._told: set[tuple[During, int]] = set()
        self._lost = False
        self._events: list[Event] = []

    def note(self, during: During, limited: BoolArray | None) -> None:
        """Tell of the rows of limited cells, (..., rows, cols), that were not told of before."""
        if limited is None:
            return
        rows = np.flatnonzero(limited.any(axis=-1).reshape(-1, limited.shape[-2]).any(axis=0))
        fresh = [int(row) for row in rows if (during, int(row)) not in self._told]
        self._told.update((during, row) for row in fresh)
        if fresh:
            names = ", ".join(f"row{row}" for row in fresh)
            self._events.append(Event("warning", f"{names}: {_SAYS[during]}"))

    def note_lost(self, left: str) -> None:
        """Tell once that the model takes whole pulses, of which the wires leave a part."""
        if self._lost:
            return
        self._lost = True
        self._events.append(
            Event(
                "warning",
                f"{left}; the device model knows its own pulses alone and takes this one as whole:"
                " wires act on reads and products; backends.sim.wires.pulses: at_begin refuses it",
            )
        )

    def take(self) -> list[Event]:
        """Return and clear pending events."""
        events, self._events = self._events, []
        return events
