"""Sources at their limit while others measure or pulse: which they are, and a word about each.

Every output that stands is part of the path of a read, at 0 V as well: one that limits does not
hold its level, so that the current beside it is not that of the level that was asked for. A
generator has no meter, and none of its limits is known.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Literal

from hwloop.backend.base import Event
from hwloop.station.station import Station
from hwloop_drivers.roles import SourceMeter
from hwloop_drivers.station.addressing import Lines
from hwloop_drivers.station.drives import BenchDrives

During = Literal["read", "pulse"]
_SAYS = {
    "read": "what was read with it is NaN; raise limits.current_a or lower the read voltage",
    "pulse": "not all of the pulse reached the cell: it is recorded as limited",
}


def drives_at_limit(drives: BenchDrives, keys: Iterable[str]) -> list[str]:
    """Return those of the drives ``keys`` whose source is at its compliance now."""
    sources = {key: drives.sources[key] for key in keys}
    return [key for key, one in sources.items() if isinstance(one, SourceMeter) and one.tripped]


class LimitedLines:
    """The lines whose source has been at its limit: each is told of once for reads and for pulses.

    ``events``: takes the warnings.
    """

    def __init__(self, station: Station, events: deque[Event]) -> None:
        self._outputs: dict[str, str] = dict(station.wiring.drive.named())
        self._events = events
        self._told: set[tuple[During, str, str]] = set()

    def note(self, during: During, lines: Lines, drives: Iterable[str]) -> None:
        """Tell of the lines of drives at their limit, unless they have been told of."""
        for key in drives:
            output = self._outputs.get(key, key)
            names = [line for line, end in lines.items() if end == output]
            where = ", ".join(names) or key
            if (during, output, where) in self._told:
                continue
            self._told.add((during, output, where))
            message = (
                f"{where}: the source on it, {output}, was at its compliance during a {during}:"
                f" {_SAYS[during]}"
            )
            self._events.append(Event("warning", message))
