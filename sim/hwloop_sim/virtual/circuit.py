"""Where the terminals of the virtual instruments meet: one nodal circuit around one array.

Nodes are the outputs and the lines; a closed channel, or a soldered wire, joins two of them. Every
cell is a conductance between its row and its column. An output is a voltage source behind its
series resistance until it reaches its limit, then a current source; off, it is not connected. A
node that nothing drives settles where the leakage of the relays lets it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

import numpy as np

from hwloop.errors import Unsupported
from hwloop.naming import cell_name
from hwloop.operations import FloatArray, PulseMap
from hwloop.station import GROUND, Station, Wire
from hwloop_sim.device import Device
from hwloop_sim.virtual.clock import BenchClock

LEAKAGE_S = 1e-15  # of an open relay to ground: above 1e14 ohm, Keithley 7072 card
LEAST_OHM = 1e-6  # of an output: keeps two outputs on one node solvable, as their leads would
KEPT_CHANGES = 100_000


@dataclass(frozen=True)
class Drive:
    """What an output does: ``volts`` None is not connected."""

    volts: float | None = None
    limit_a: float = inf
    series_ohm: float = 0.0


@dataclass(frozen=True)
class Sensed:
    """What an output sees: volts at its terminal, amperes out of it, whether it is limited."""

    volts: float
    amperes: float
    limited: bool


@dataclass(frozen=True)
class Change:
    """The state after something was changed, for whoever asks what happened on the bench."""

    time_s: float
    outputs_v: dict[str, float | None]
    lines_v: dict[str, float]
    closed: tuple[str, ...]


@dataclass
class _Stress:
    """A voltage that a cell has been seeing since a moment."""

    volts: float
    duration_s: float


class Circuit:
    """The wires of a station, its outputs, and the cells of one array.

    ``quiet_v``: magnitude up to which a cell is not changed by its voltage: what the array's
    limits call harmless for half-selected cells. A longer stay above it is one pulse.
    """

    def __init__(
        self, station: Station, device: Device, clock: BenchClock, *, quiet_v: float
    ) -> None:
        self._device = device
        self._clock = clock
        self._quiet_v = quiet_v
        self._wires = list(station.wires())
        self._series_ohm = dict(station.wiring.series_ohm)
        self._drives: dict[str, Drive] = {name: Drive() for name in station.outputs}
        self._lines = list(station.wiring.lines)
        self._closed: dict[str, frozenset[str]] = {}
        self._broken: dict[tuple[str, str], bool] = {}
        self._stress: dict[tuple[int, int], _Stress] = {}
        self._solution: _Solution | None = None
        self.unmodelled: list[str] = []
        self.changes: deque[Change] = deque(maxlen=KEPT_CHANGES)
        rows, cols = device.conductance_s.shape[-2:]
        self._row_names = [f"row{n}" for n in range(rows)]
        self._col_names = [f"col{n}" for n in range(cols)]
        clock.on_elapse(self._elapse)

    def drive(
        self, output: str, *, volts: float | None, limit_a: float = inf, series_ohm: float = 0.0
    ) -> None:
        """Let an output drive ``volts`` from now on; an output without a wire drives nothing."""
        if output not in self._drives:
            return
        wanted = Drive(volts, limit_a, series_ohm)
        if self._drives[output] != wanted:
            self._drives[output] = wanted
            self._changed()

    def sense(self, output: str) -> Sensed:
        """What an output sees now."""
        drive = self._drives.get(output, Drive())
        if output not in self._drives:
            return Sensed(drive.volts or 0.0, 0.0, limited=False)
        solution = self._solve()
        return Sensed(
            solution.volts(output), solution.amperes[output], limited=output in solution.limited
        )

    def channels(self, matrix: str) -> frozenset[str]:
        """Every wired channel of a matrix."""
        return frozenset(w.channel for w in self._wires if w.matrix == matrix and w.channel)

    def set_closed(self, matrix: str, channels: frozenset[str]) -> None:
        """These channels of a matrix are closed from now on, and no others."""
        if self._closed.get(matrix, frozenset()) != channels:
            self._closed[matrix] = channels
            self._changed()

    def stick(self, matrix: str, channel: str, *, closed: bool) -> None:
        """A relay does not move any more, whatever it is told."""
        self._broken[(matrix, channel)] = closed
        self._changed()

    def line_volts(self) -> dict[str, float]:
        """The voltage of every line now."""
        solution = self._solve()
        return {line: solution.volts(line) for line in self._lines}

    def output_volts(self) -> dict[str, float | None]:
        """What every output drives now; None where it is off."""
        return {name: drive.volts for name, drive in self._drives.items()}

    def cell_volts(self) -> FloatArray:
        """Voltage of every cell now, (rows, cols), row above column."""
        solution = self._solve()
        row_v = np.array([solution.volts(name) for name in self._row_names])
        col_v = np.array([solution.volts(name) for name in self._col_names])
        cell_v: FloatArray = row_v[:, None] - col_v[None, :]
        return cell_v

    def closed_channels(self) -> tuple[str, ...]:
        """Every channel that connects now, as matrix:channel."""
        return tuple(f"{w.matrix}:{w.channel}" for w in self._wires if w.channel and self._on(w))

    def _changed(self) -> None:
        self._solution = None
        self._end_pulses()
        self.changes.append(
            Change(
                self._clock.now_s, self.output_volts(), self.line_volts(), self.closed_channels()
            )
        )

    def _elapse(self, duration_s: float) -> None:
        cell_v = self.cell_volts()
        for row, col in np.argwhere(np.abs(cell_v) > self._quiet_v * (1 + 1e-9)):
            place = (int(row), int(col))
            stress = self._stress.setdefault(place, _Stress(float(cell_v[place]), 0.0))
            stress.duration_s += duration_s
        self._device.wait(duration_s)
        if self._device.volatile:
            self._solution = None

    def _end_pulses(self) -> None:
        """Give the devices the pulses that ended with this change."""
        if not self._stress:
            return
        cell_v = self.cell_volts()
        over = [
            place
            for place, stress in self._stress.items()
            if abs(cell_v[place] - stress.volts) > 1e-3 * abs(stress.volts)
        ]
        for place in over:
            stress = self._stress.pop(place)
            amplitude_v = np.zeros(cell_v.shape)
            amplitude_v[place] = stress.volts
            self._give(place, PulseMap(amplitude_v, stress.duration_s))
        if over:
            self._solution = None

    def _give(self, place: tuple[int, int], pulse: PulseMap) -> None:
        try:
            self._device.check(pulse)
        except Unsupported as exc:
            self.unmodelled.append(f"{cell_name(place)} at {self._clock.now_s:g} s: {exc}")
            return
        self._device.pulse(pulse)

    def _on(self, wire: Wire) -> bool:
        if wire.matrix is None or wire.channel is None:
            return True
        stuck = self._broken.get((wire.matrix, wire.channel))
        return (
            wire.channel in self._closed.get(wire.matrix, frozenset()) if stuck is None else stuck
        )

    def _solve(self) -> _Solution:
        if self._solution is None:
            joined = [(w.line, w.output) for w in self._wires if self._on(w)]
            nodes = _Nodes([GROUND, *self._drives, *self._lines], joined)
            drives = {
                name: Drive(d.volts, d.limit_a, d.series_ohm + self._series_ohm.get(name, 0.0))
                for name, d in self._drives.items()
            }
            self._solution = _solve(nodes, drives, self._cells(nodes))
        return self._solution

    def _cells(self, nodes: _Nodes) -> FloatArray:
        """The cells' conductance as a nodal matrix."""
        conductance_s = self._device.conductance_s
        rows = [nodes.index(name) for name in self._row_names]
        cols = [nodes.index(name) for name in self._col_names]
        matrix = np.zeros((nodes.count, nodes.count))
        row, col = np.meshgrid(rows, cols, indexing="ij")
        np.add.at(matrix, (row, row), conductance_s)
        np.add.at(matrix, (col, col), conductance_s)
        np.add.at(matrix, (row, col), -conductance_s)
        np.add.at(matrix, (col, row), -conductance_s)
        return matrix


class _Nodes:
    """Names joined to nodes; node 0 is ground."""

    def __init__(self, names: Iterable[str], joined: Iterable[tuple[str, str]]) -> None:
        self._parent = {name: name for name in names}
        for one, other in joined:
            first, second = self._root(one), self._root(other)
            if first != second:
                # Ground stays the root of whatever is joined to it.
                first, second = (second, first) if second == GROUND else (first, second)
                self._parent[second] = first
        roots = [GROUND, *(n for n in self._parent if self._root(n) == n and n != GROUND)]
        self._numbers = {root: number for number, root in enumerate(roots)}
        self.count = len(roots)

    def index(self, name: str) -> int:
        return self._numbers[self._root(name)]

    def _root(self, name: str) -> str:
        while self._parent[name] != name:
            name = self._parent[name]
        return name


@dataclass(frozen=True)
class _Solution:
    nodes: _Nodes
    node_v: FloatArray
    amperes: dict[str, float]
    limited: frozenset[str]

    def volts(self, name: str) -> float:
        return float(self.node_v[self.nodes.index(name)])


def _solve(nodes: _Nodes, drives: dict[str, Drive], cells: FloatArray) -> _Solution:
    """Node voltages; outputs beyond their limit become current sources, one after the other."""
    limited: dict[str, float] = {}
    while True:
        node_v = _node_volts(nodes, drives, cells, limited)
        amperes = _currents(nodes, drives, cells, limited, node_v)
        excess = {
            name: abs(amperes[name]) / drive.limit_a
            for name, drive in drives.items()
            if name not in limited and abs(amperes[name]) > drive.limit_a * (1 + 1e-9)
        }
        if not excess:
            return _Solution(nodes, node_v, amperes, frozenset(limited))
        name = max(excess, key=lambda name: excess[name])
        limited[name] = float(np.copysign(drives[name].limit_a, amperes[name]))


def _currents(
    nodes: _Nodes,
    drives: dict[str, Drive],
    cells: FloatArray,
    limited: dict[str, float],
    node_v: FloatArray,
) -> dict[str, float]:
    """Amperes out of every output.

    An output alone on its node gives what the cells take there: the drop over its own resistance
    is the difference of two nearly equal voltages, and would round away.
    """
    taken = cells @ node_v + LEAKAGE_S * node_v
    amperes = dict.fromkeys(drives, 0.0) | limited
    sources: dict[int, list[str]] = {}
    for name, drive in drives.items():
        if name in limited:
            taken[nodes.index(name)] -= limited[name]
        elif drive.volts is not None:
            sources.setdefault(nodes.index(name), []).append(name)
    for node, names in sources.items():
        for name in names:
            drive = drives[name]
            if len(names) == 1 and node != 0:
                amperes[name] = float(taken[node])
            elif drive.volts is not None:
                ohm = max(drive.series_ohm, LEAST_OHM)
                amperes[name] = (drive.volts - float(node_v[node])) / ohm
    return amperes


def _node_volts(
    nodes: _Nodes, drives: dict[str, Drive], cells: FloatArray, limited: dict[str, float]
) -> FloatArray:
    matrix = cells + np.eye(nodes.count) * LEAKAGE_S
    sources = np.zeros(nodes.count)
    for name, drive in drives.items():
        if drive.volts is None:
            continue
        node = nodes.index(name)
        if name in limited:
            sources[node] += limited[name]
            continue
        conductance_s = 1.0 / max(drive.series_ohm, LEAST_OHM)
        matrix[node, node] += conductance_s
        sources[node] += drive.volts * conductance_s
    node_v = np.zeros(nodes.count)
    if nodes.count > 1:
        node_v[1:] = np.linalg.solve(matrix[1:, 1:], sources[1:])
    return node_v
