"""Wires, relays and leads of a bench: the outputs and lines that they join now.

Found once for each state of the relays: voltages change far more often than they do.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hwloop.errors import ConfigError
from hwloop.station.parts import GROUND, Wire
from hwloop.station.station import Station
from hwloop.types import BoolArray
from hwloop_sim.virtual.circuit.nodal import Nodes


class Connections:
    """The closed and stuck relays of a station, and the leads of its lines to a (rows, cols) array.

    ``lines``: names of the lines of the station.
    """

    def __init__(self, station: Station, rows: int, cols: int) -> None:
        self.lines = list(station.wiring.lines)
        self._outputs = list(station.outputs)
        self._wires = list(station.wires())
        self._closed: dict[str, frozenset[str]] = {}
        self._broken: dict[tuple[str, str], bool] = {}
        self._loose: list[str] = []
        # The line that each row and column is wired to: its own, unless a fault was injected.
        self._rows = [f"row{n}" for n in range(rows)]
        self._cols = [f"col{n}" for n in range(cols)]

    def channels(self, matrix: str) -> frozenset[str]:
        """Return every wired channel of a matrix."""
        return frozenset(w.channel for w in self._wires if w.matrix == matrix and w.channel)

    def set_closed(self, matrix: str, channels: frozenset[str]) -> bool:
        """Close these channels of a matrix, and open all others; return whether that is new."""
        if self._closed.get(matrix, frozenset()) == channels:
            return False
        self._closed[matrix] = channels
        self._forget()
        return True

    def stick(self, matrix: str, channel: str, *, closed: bool) -> None:
        """Make a relay stick closed or open from now on."""
        self._broken[(matrix, channel)] = closed
        self._forget()

    def break_line(self, line: str) -> None:
        """Break the lead from a line to the array; :class:`ConfigError` without such a line."""
        self._require_line(line)
        loose = f"end of the lead to {line}"
        self._loose.append(loose)
        self._rename({line: loose})

    def exchange(self, one: str, other: str) -> None:
        """Exchange the leads of two lines at the array; raises as :meth:`break_line` does."""
        for line in (one, other):
            self._require_line(line)
        self._rename({one: other, other: one})

    @cached_property
    def nodes(self) -> Nodes:
        """Get the nodes that outputs, lines and loose ends form."""
        joined = [(wire.line, wire.output) for wire in self._wires if self._on(wire)]
        return Nodes([GROUND, *self._outputs, *self.lines, *self._loose], joined)

    @cached_property
    def terminals(self) -> NDArray[np.int64]:
        """Get the node of each terminal of the array, (rows + cols,), rows before columns."""
        return np.array([self.nodes.index(name) for name in (*self._rows, *self._cols)])

    @cached_property
    def closed_channels(self) -> tuple[str, ...]:
        """Get every channel that connects now, as matrix:channel."""
        return tuple(f"{w.matrix}:{w.channel}" for w in self._wires if w.channel and self._on(w))

    def measured(self, output: str) -> BoolArray:
        """Return the cells with one end at an output, (rows, cols)."""
        at = self.terminals == self.nodes.index(output)
        rows = len(self._rows)
        measured: BoolArray = at[:rows, None] ^ at[rows:]
        return measured

    def _on(self, wire: Wire) -> bool:
        if wire.matrix is None or wire.channel is None:
            return True
        stuck = self._broken.get((wire.matrix, wire.channel))
        return (
            wire.channel in self._closed.get(wire.matrix, frozenset()) if stuck is None else stuck
        )

    def _require_line(self, line: str) -> None:
        if line not in self.lines:
            raise ConfigError(f"there is no line {line!r}: {self.lines[0]} … {self.lines[-1]}")

    def _rename(self, names: dict[str, str]) -> None:
        self._rows = [names.get(name, name) for name in self._rows]
        self._cols = [names.get(name, name) for name in self._cols]
        self._forget()

    def _forget(self) -> None:
        """Have what follows from the relays and leads found anew when it is asked for."""
        for name in ("nodes", "terminals", "closed_channels"):
            self.__dict__.pop(name, None)
