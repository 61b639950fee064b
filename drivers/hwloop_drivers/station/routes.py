"""Routes: which channels connect lines to outputs, and the safe order of changing them."""

from __future__ import annotations

from collections.abc import Mapping

from hwloop.errors import Unsupported
from hwloop.station.parts import GROUND
from hwloop.station.station import Station
from hwloop_drivers.roles import SwitchMatrix


class Routes:
    """The switch matrices of a station; a line is grounded unless it is routed elsewhere."""

    def __init__(self, station: Station, matrices: Mapping[str, SwitchMatrix]) -> None:
        self._matrices = matrices
        self._lines = list(station.wiring.lines)
        self._fixed = {w.line: w.output for w in station.wires() if w.channel is None}
        self._channels = {
            (w.line, w.output): (w.matrix, w.channel)
            for w in station.wires()
            if w.matrix is not None and w.channel is not None
        }
        self._now: dict[str, frozenset[str]] = {}

    def begin(self) -> None:
        """Ground every line, then open every other channel; every output must be off."""
        self._now = self.channels({})
        for name, matrix in self._matrices.items():
            matrix.close_channels(sorted(self._now[name]))
            rest = sorted(matrix.closed - self._now[name])
            if rest:
                matrix.open_channels(rest)

    def route(self, lines: Mapping[str, str | None]) -> bool:
        """Connect lines to outputs, None to nothing, the others to ground.

        Returns whether relays have moved. Every output must be at 0 V. All channels close before
        any opens, so that no line floats on the way. Raises :class:`hwloop.errors.Unsupported`
        for a line that is soldered elsewhere.
        """
        wanted = self.channels(lines)
        moved = False
        for name, matrix in self._matrices.items():
            close = sorted(wanted[name] - self._now[name])
            if close:
                matrix.close_channels(close)
                moved = True
        for name, matrix in self._matrices.items():
            open_ = sorted(self._now[name] - wanted[name])
            if open_:
                matrix.open_channels(open_)
                moved = True
        self._now = wanted
        return moved

    def channels(self, lines: Mapping[str, str | None]) -> dict[str, frozenset[str]]:
        """Return the channels of each matrix that such a route closes; moves nothing."""
        wanted: dict[str, set[str]] = {name: set() for name in self._matrices}
        for line in self._lines:
            output = lines.get(line, GROUND)
            if output is None:
                if line in self._fixed:
                    raise Unsupported(f"{line} is soldered to {self._fixed[line]}: cannot float")
                continue
            if self._fixed.get(line) is not None:
                # A line soldered to an output is at 0 V when that output is.
                if output not in (self._fixed[line], GROUND):
                    raise Unsupported(f"{line} is soldered to {self._fixed[line]}, not {output}")
                continue
            matrix, channel = self._channels[(line, output)]
            wanted[matrix].add(channel)
        return {name: frozenset(channels) for name, channels in wanted.items()}
