"""The circuit of an array as a station wires it: cells, series resistors, floating lines.

It gives the readings of the meter if every wire and relay is as the station file has it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hwloop.station.parts import GROUND
from hwloop.station.station import Station
from hwloop.types import FloatArray
from hwloop_drivers.station.addressing import Lines, cell_lines

LEAST_OHM = 1e-3  # in the lead of an output that has none
LEAKAGE_CONDUCTANCE_S = 1e-15  # of a floating line to ground: holds it where no cell conducts
MOST_ITERATIONS = 1000
BEYOND_CONDUCTANCE_S = 1.0  # no cell conducts so well
ALIKE = 1e-6  # relative, of reads


@dataclass(frozen=True)
class Connection:
    """Lines as they are routed, and the voltage of every output that is not at 0 V."""

    lines: Lines
    levels_v: Mapping[str, float]


@dataclass(frozen=True)
class WiredCircuit:
    """The wires of a station; ``series_ohm``: in the lead of each output, that of its own too."""

    station: Station
    series_ohm: Mapping[str, float]

    @property
    def is_plain(self) -> bool:
        """Return whether a read is the current of its cell alone: no resistor, nothing floats."""
        return not any(self.series_ohm.values()) and self.station.scheme != "floating"

    def current_a(self, conductance_s: FloatArray, connection: Connection, *, meter: str) -> float:
        """Return the current out of the output ``meter``, amperes.

        ``conductance_s``: of the cells, (rows, cols).
        """
        networks = self._networks(conductance_s.shape, [connection], meter)
        return float(networks.currents_a(conductance_s)[0])

    def read_conductance_s(self, conductance_s: FloatArray) -> FloatArray:
        """Return current over voltage of the read of every cell, siemens, (rows, cols)."""
        return self._reads(conductance_s.shape)(conductance_s)

    def cells_conductance_s(self, seen_conductance_s: FloatArray) -> FloatArray:
        """Return the conductances of cells that read like this, siemens, (rows, cols).

        Where no conductances of cells explain the reads, as with a fault in the wiring, the reads
        themselves.
        """
        wanted_conductance_s = np.maximum(seen_conductance_s, 0.0)
        if self.is_plain:
            return wanted_conductance_s
        reads = self._reads(wanted_conductance_s.shape)
        found_conductance_s = wanted_conductance_s
        for _ in range(MOST_ITERATIONS):
            would_read_conductance_s = reads(found_conductance_s)
            ratio = np.divide(
                wanted_conductance_s,
                would_read_conductance_s,
                out=np.ones_like(wanted_conductance_s),
                where=would_read_conductance_s > 0,
            )
            found_conductance_s = found_conductance_s * ratio
            if np.abs(ratio - 1).max() < ALIKE:
                return found_conductance_s
            if not found_conductance_s.max() < BEYOND_CONDUCTANCE_S:
                break
        return wanted_conductance_s

    def _reads(self, shape: tuple[int, ...]) -> Callable[[FloatArray], FloatArray]:
        """Return a function from conductances of cells to those of their reads, (rows, cols)."""
        drive = self.station.wiring.drive
        meter, sign = (drive.rows, 1.0) if drive.columns is None else (drive.columns, -1.0)
        connections = [
            Connection(cell_lines(self.station, row, col), {drive.rows: 1.0})
            for row, col in np.ndindex(*shape)
        ]
        networks = self._networks(shape, connections, meter)
        return lambda conductance_s: sign * networks.currents_a(conductance_s).reshape(shape)

    def _networks(
        self, shape: tuple[int, ...], connections: Sequence[Connection], meter: str
    ) -> _Networks:
        rows, cols = shape
        names = [*(f"row{n}" for n in range(rows)), *(f"col{n}" for n in range(cols))]
        ends = [[self._end(name, one.lines) for name in names] for one in connections]
        nodes = [list(dict.fromkeys(end for end in each if end != GROUND)) for each in ends]
        count = max(1, *map(len, nodes))
        networks = _Networks.empty(len(connections), (rows, cols), count)
        for n, one in enumerate(connections):
            for line, end in enumerate(ends[n]):
                if end != GROUND:
                    networks.joined[n, line, nodes[n].index(end)] = 1.0
            for number, node in enumerate(nodes[n]):
                if node in self.station.outputs:
                    ohm = max(self.series_ohm.get(node, 0.0), LEAST_OHM)
                    networks.lead_conductance_s[n, number] = 1 / ohm
                    networks.level_v[n, number] = one.levels_v.get(node, 0.0)
            if meter in nodes[n]:
                networks.meter[n, nodes[n].index(meter)] = 1.0
            if self.station.wiring.drive.gates is not None:  # a grounded gate: its row is off
                gates = [one.lines.get(f"gate{row}", GROUND) for row in range(rows)]
                networks.on[n] = [gate != GROUND for gate in gates]
        return networks

    def _end(self, line: str, lines: Lines) -> str:
        """Return the node of a line: an output, ground, or its own name where it floats."""
        soldered = self.station.wiring.lines[line]
        if isinstance(soldered, str):
            return soldered
        return lines.get(line, GROUND) or line


@dataclass(frozen=True)
class _Networks:
    """Networks around the same cells, one a connection.

    ``joined``: 1 where a line is part of a node, (n, lines, nodes). ``lead_conductance_s``,
    ``level_v``: of the output at a node, (n, nodes). ``meter``: 1 at the meter's node, (n, nodes).
    ``on``: 1 for the rows whose cells conduct, (n, rows).
    """

    joined: FloatArray
    lead_conductance_s: FloatArray
    level_v: FloatArray
    meter: FloatArray
    on: FloatArray

    @classmethod
    def empty(cls, count: int, shape: tuple[int, int], nodes: int) -> _Networks:
        """Return networks without a connection, all of whose rows conduct."""
        joined, on = np.zeros((count, sum(shape), nodes)), np.ones((count, shape[0]))
        lead_conductance_s, level_v, meter = np.zeros((3, count, nodes))
        return cls(joined, lead_conductance_s, level_v, meter, on)

    def currents_a(self, conductance_s: FloatArray) -> FloatArray:
        """Return the current out of the meter of each network, (n,), amperes."""
        rows = conductance_s.shape[0]
        between = conductance_s * self.on[:, :, None]
        from_row, from_col = self.joined[:, :rows], self.joined[:, rows:]
        mixed = from_row.swapaxes(1, 2) @ between @ from_col
        cells = -mixed - mixed.swapaxes(1, 2)
        cells += np.einsum("nrk,nr,nrl->nkl", from_row, between.sum(axis=2), from_row)
        cells += np.einsum("nck,nc,ncl->nkl", from_col, between.sum(axis=1), from_col)
        own = (self.lead_conductance_s + LEAKAGE_CONDUCTANCE_S)[:, :, None]
        matrix = cells + own * np.eye(cells.shape[-1])
        sources = (self.lead_conductance_s * self.level_v)[:, :, None]
        node_v = np.linalg.solve(matrix, sources)
        out_a: FloatArray = (self.meter[:, None, :] @ cells @ node_v)[:, 0, 0]
        return out_a
