"""One nodal circuit around one array, which joins the terminals of the virtual instruments.

Nodes are the outputs and the lines; a closed channel, or a soldered wire, joins two of them. Every
cell is a conductance between its row and its column. An output is a voltage source with a series
resistance until it reaches its limit, then a current source; off, it is not connected. A node
without any source settles at the voltage set by the leakage of the relays.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, replace
from math import inf

import numpy as np

from hwloop.array.operations import PulseMap
from hwloop.errors import Unsupported
from hwloop.messages import cell_name
from hwloop.station.station import Station
from hwloop.types import FloatArray
from hwloop_sim.cells.device import Device
from hwloop_sim.circuit import Wires
from hwloop_sim.virtual.circuit.array_interior import Interior, interior
from hwloop_sim.virtual.circuit.cables import CableCharges
from hwloop_sim.virtual.circuit.cell_reads import CellReads
from hwloop_sim.virtual.circuit.clock import BenchClock
from hwloop_sim.virtual.circuit.connections import Connections
from hwloop_sim.virtual.circuit.nodal import Drive, NodalSolution, Nodes, solve

KEPT_CHANGES = 100_000


@dataclass(frozen=True)
class Sensed:
    """The state of an output: volts at its terminal, amperes out of it, whether it is limited."""

    volts: float
    amperes: float
    limited: bool


@dataclass(frozen=True)
class Change:
    """The state of the bench after a change, for its history.

    ``time_s``: on the bench's clock; ``host_s``: on the computer's (``time.time``). ``floating``:
    lines that neither ground nor an output holds.
    """

    time_s: float
    host_s: float
    outputs_v: dict[str, float | None]
    lines_v: dict[str, float]
    closed: tuple[str, ...]
    floating: tuple[str, ...]


@dataclass
class _Stress:
    """A voltage across a cell, and how long it has lasted."""

    volts: float
    duration_s: float
    gate_v: float | None


class Circuit:
    """The wires of a station, its outputs, and the cells of one array.

    ``quiet_v``: magnitude up to which a voltage is a read, and changes no cell. A longer stay above
    it is one pulse, which is applied to the device model if it covers the pulse. A pulse that the
    model does not cover is recorded as unmodelled, unless it is up to ``harmless_v``, the limit of
    the array for half-selected cells; ``quiet_v`` if left out. ``gate_on_v``: gate voltage from
    which the transistors of a row's 1T1R cells conduct; below it the whole voltage is across the
    transistor. None for cells without transistors. ``wires``: of the array itself. ``reads``: the
    effects of the cells in a reading.
    """

    def __init__(
        self,
        station: Station,
        device: Device,
        clock: BenchClock,
        *,
        quiet_v: float,
        harmless_v: float | None = None,
        gate_on_v: float | None = None,
        wires: Wires | None = None,
        reads: CellReads | None = None,
    ) -> None:
        self._reads = reads
        self._gate_on_v = gate_on_v
        self._wires_inside = wires
        self._device = device
        self._clock = clock
        self._quiet_v = quiet_v
        self._harmless_v = quiet_v if harmless_v is None else harmless_v
        self._series_ohm = dict(station.wiring.series_ohm)
        self._cables = CableCharges(station.wiring.cable_f, clock)
        self._drives: dict[str, Drive] = {name: Drive() for name in station.outputs}
        self._stress: dict[tuple[int, int], _Stress] = {}
        self._solution: NodalSolution | None = None
        self._solved: tuple[NodalSolution, Interior, FloatArray] | None = None
        self.unmodelled: list[str] = []
        self.changes: deque[Change] = deque(maxlen=KEPT_CHANGES)
        rows, cols = device.conductance_s.shape[-2:]
        self.pulses = np.zeros((rows, cols), dtype=np.int64)
        self._connections = Connections(station, rows, cols)
        self._inside_now: tuple[FloatArray, tuple[float, ...], Interior] | None = None
        clock.on_elapse(self._elapse)

    def drive(
        self,
        output: str,
        *,
        volts: float | None,
        limit_a: float = inf,
        series_ohm: float = 0.0,
        on: bool = True,
    ) -> None:
        """Let an output drive ``volts`` from now on; an output without a wire drives nothing.

        ``volts`` None: not connected. ``on`` False: switched off, but held at ``volts`` by its off
        mode.
        """
        if output not in self._drives:
            return
        wanted = Drive(volts, limit_a, series_ohm, on)
        if self._drives[output] != wanted:
            before_v = self._solve().volts(output)
            self._drives[output] = wanted
            self._changed()
            after_v = self._solve().volts(output)
            self._cables.step(output, self._in_leads()[output], from_v=before_v, to_v=after_v)

    def sense(self, output: str) -> Sensed:
        """Measure the voltage and current at an output now."""
        drive = self._drives.get(output, Drive())
        if output not in self._drives:
            return Sensed(drive.volts or 0.0, 0.0, limited=False)
        solution = self._solve()
        return Sensed(
            solution.volts(output), solution.amperes[output], limited=output in solution.limited
        )

    def read(self, output: str) -> Sensed:
        """Measure as an instrument does in a reading: with the noise of the cells that it reads.

        The effects of a read act on the cells. A current at its limit is the limit. What flows into
        cables that still charge is in it.
        """
        sensed = self._uncharged(output) if self._cables.charging() else self.sense(output)
        if self._reads is None or not self._reads.act or output not in self._drives:
            return sensed
        cell_v = self.cell_volts()
        if not sensed.limited:
            noise_a = self._reads.noise_a(cell_v, self._connections.measured(output))
            limit_a = self._drives[output].limit_a
            amperes = min(max(sensed.amperes + noise_a, -limit_a), limit_a)
            sensed = replace(sensed, amperes=amperes)
        self._reads.note(cell_v)
        self._solution = None  # a read may have changed the cells
        return sensed

    def _uncharged(self, output: str) -> Sensed:
        """Return the state of an output while cables charge."""
        sensed = self.sense(output)
        if output not in self._drives:
            return sensed
        nodes = self._solve().nodes
        now = solve(nodes, self._cables.charged_drives(self._in_leads()), self._cells(nodes))
        limit_a = self._drives[output].limit_a
        amperes = self._cables.with_charge_a(output, now.amperes[output], limit_a)
        return Sensed(now.volts(output), amperes, limited=abs(amperes) >= limit_a)

    def channels(self, matrix: str) -> frozenset[str]:
        """Return every wired channel of a matrix."""
        return self._connections.channels(matrix)

    def set_closed(self, matrix: str, channels: frozenset[str]) -> None:
        """Close these channels of a matrix, and open all others."""
        if self._connections.set_closed(matrix, channels):
            self._changed()

    def stick(self, matrix: str, channel: str, *, closed: bool) -> None:
        """Make a relay stick closed or open from now on."""
        self._connections.stick(matrix, channel, closed=closed)
        self._changed()

    def break_line(self, line: str) -> None:
        """Break the lead from a line to the array."""
        self._connections.break_line(line)
        self._changed()

    def exchange(self, one: str, other: str) -> None:
        """Exchange the leads of two lines at the array."""
        self._connections.exchange(one, other)
        self._changed()

    def line_volts(self) -> dict[str, float]:
        """Return the voltage of every line now, by name."""
        solution = self._solve()
        return {line: solution.volts(line) for line in self._connections.lines}

    def output_volts(self) -> dict[str, float | None]:
        """Return the voltage that every output drives now; None where it is off."""
        return {n: drive.volts if drive.on else None for n, drive in self._drives.items()}

    def floating_lines(self) -> tuple[str, ...]:
        """Return the lines that neither ground nor an output holds now."""
        nodes = self._solve().nodes
        held = {0, *(nodes.index(n) for n, d in self._drives.items() if d.volts is not None)}
        return tuple(line for line in self._connections.lines if nodes.index(line) not in held)

    def cell_volts(self) -> FloatArray:
        """Return the voltage of every cell now, (rows, cols), row above column; not to be changed.

        Found once for each state of the bench and its cells.
        """
        solution = self._solve()
        inside = self._inside(solution.nodes)
        if self._solved is None or self._solved[0] is not solution or self._solved[1] is not inside:
            cell_v = inside.cell_v(solution.node_v[self._connections.terminals])
            cell_v = cell_v * np.array(self._gated(solution.nodes))[:, None]
            cell_v.setflags(write=False)
            self._solved = solution, inside, cell_v
        return self._solved[2]

    def closed_channels(self) -> tuple[str, ...]:
        """Return every channel that connects now, as matrix:channel."""
        return self._connections.closed_channels

    def _changed(self) -> None:
        self._solution = None
        self._end_pulses()
        self.changes.append(
            Change(
                self._clock.now_s,
                time.time(),
                self.output_volts(),
                self.line_volts(),
                self.closed_channels(),
                self.floating_lines(),
            )
        )

    def _elapse(self, duration_s: float) -> None:
        cell_v = self.cell_volts()
        for row, col in np.argwhere(np.abs(cell_v) > self._quiet_v * (1 + 1e-9)):
            place = (int(row), int(col))
            stress = self._stress.setdefault(
                place, _Stress(float(cell_v[place]), 0.0, self._gate_v(place[0]))
            )
            stress.duration_s += duration_s
        self._device.wait(duration_s)
        if self._device.volatile:
            self._solution = None

    def _end_pulses(self) -> None:
        """Apply the pulses that ended with this change to the device model."""
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
            self._give(place, PulseMap(amplitude_v, stress.duration_s, gate_v=stress.gate_v))
        if over:
            self._solution = None

    def _give(self, place: tuple[int, int], pulse: PulseMap) -> None:
        harmless = abs(pulse.amplitude_v[place]) <= self._harmless_v * (1 + 1e-9)
        try:
            self._device.check(pulse)
        except Unsupported as exc:
            if not harmless:
                self.pulses[place] += 1
                self.unmodelled.append(f"{cell_name(place)} at {self._clock.now_s:g} s: {exc}")
            return
        # Half-selected cells of a model that covers any voltage do not count as pulsed.
        self.pulses[place] += not (harmless and self._device.half_select)
        self._device.pulse(pulse)

    def _solve(self) -> NodalSolution:
        if self._solution is None:
            nodes = self._connections.nodes
            self._solution = solve(nodes, self._in_leads(), self._cells(nodes))
        return self._solution

    def _in_leads(self) -> dict[str, Drive]:
        """Return the drives with the resistors in their leads."""
        return {
            name: Drive(d.volts, d.limit_a, d.series_ohm + self._series_ohm.get(name, 0.0))
            for name, d in self._drives.items()
        }

    def _gate_v(self, row: int) -> float | None:
        """Return the gate voltage of a row, 0 V if nothing holds it; None without transistors."""
        if self._gate_on_v is None:
            return None
        nodes = self._solve().nodes
        return self._gates_v(nodes)[row]

    def _gates_v(self, nodes: Nodes) -> list[float]:
        held = {
            nodes.index(name): drive.volts
            for name, drive in self._drives.items()
            if drive.volts is not None
        } | {0: 0.0}
        return [held.get(nodes.index(f"gate{n}"), 0.0) for n in range(self.pulses.shape[0])]

    def _gated(self, nodes: Nodes) -> tuple[float, ...]:
        """Return 1 for the rows whose cells conduct, else 0."""
        if self._gate_on_v is None:
            return (1.0,) * self.pulses.shape[0]
        return tuple(float(v >= self._gate_on_v) for v in self._gates_v(nodes))

    def _cells(self, nodes: Nodes) -> FloatArray:
        """Return the conductances of the cells as a nodal matrix, siemens."""
        terminals = self._connections.terminals
        matrix = np.zeros((nodes.count, nodes.count))
        np.add.at(matrix, np.ix_(terminals, terminals), self._inside(nodes).terminal_conductance_s)
        return matrix

    def _inside(self, nodes: Nodes) -> Interior:
        """Return the array with the present conductances of its cells, made once for each state.

        A device whose cells change has another array of conductances.
        """
        conductance_s, gated = self._device.conductance_s, self._gated(nodes)
        now = self._inside_now
        if now is None or now[0] is not conductance_s or now[1] != gated:
            found = interior(conductance_s * np.array(gated)[:, None], self._wires_inside)
            self._inside_now = now = conductance_s, gated, found
        return now[2]
