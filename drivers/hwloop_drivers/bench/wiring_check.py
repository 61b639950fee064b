"""Find wrong wiring and stuck relays with read voltages alone, before the first pulse and in a run.

The lines that the meter reaches are its side of the array (the columns, where the scheme has an
output on them), the others the far side. Every test routes a few lines, puts the read voltage on
one output, and measures the current out of the meter:

- *reach*: the ordinary read of every cell. A line none of whose cells conducts is not connected.
- *ground*: a line is grounded and everything else floats; current from the meter through a cell
  has to reach ground there.
- *apart*: a line is connected to nothing and the others are grounded; no current may reach it.
- *dummy*: with known resistors in the array's place, every cell reads what its resistor gives.

What a test should read follows from the circuit as it is wired, with the series resistors and the
lines that float (:mod:`hwloop_drivers.station.wired_circuit`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf, sqrt
from typing import Protocol

import numpy as np

from hwloop.array.operations import Reading, ReadMap
from hwloop.array.settings import ArraySettings
from hwloop.errors import InstrumentFault
from hwloop.station.parts import GROUND
from hwloop.types import BoolArray, FloatArray
from hwloop_drivers.bench.dummy import dummy_faults
from hwloop_drivers.roles import Measured
from hwloop_drivers.station.addressing import Lines
from hwloop_drivers.station.drives import COLUMNS, GATES, ROWS
from hwloop_drivers.station.wired_circuit import Connection, WiredCircuit

ENOUGH = 0.5  # of the expected current
LEAK = 0.1  # of the current that a stuck relay would let through


class LineProbe(Protocol):
    """The part of a bench that the check uses: reads, and single currents at read voltages."""

    def read(self, read: ReadMap, /) -> Reading:
        """Return the currents of cells, as every read does."""

    def current_a(self, lines: Lines, levels_v: Mapping[str, float], /) -> Measured:
        """Return the current out of the meter with drives at levels, then go to 0 V."""


@dataclass(frozen=True)
class _Sides:
    """The two sides of the array as seen from the meter; ``conductance_s`` is (near, far)."""

    near: list[str]
    far: list[str]
    conductance_s: FloatArray

    def best_near(self, far: int) -> int:
        """Return the near line with the best-conducting cell on a far one."""
        return int(self.conductance_s[:, far].argmax())


def self_test(
    bench: LineProbe, circuit: WiredCircuit, array: ArraySettings, *, both_polarities: bool = True
) -> Iterator[str]:
    """Yield a line for every test that passed; raise InstrumentFault with what did not."""
    shape = array.geometry.shape
    read_v = array.read.read_v
    reading = bench.read(ReadMap.every_cell(shape, read_v=read_v, both_polarities=both_polarities))
    seen_conductance_s = np.nan_to_num(reading.current_a / read_v)  # NaN: a short, or over range
    check = ConnectivityCheck(bench, circuit, array, seen_conductance_s)
    dead = check.crossed() or check.reach()
    # A relay that stays closed shorts every line but its own: look for one before blaming them.
    problems = check.apart() or dead
    if not problems:
        yield f"reach: a current through every one of {sum(shape)} lines"
        problems = [*check.ground(), *check.other_outputs()]
    if not problems:
        yield "relays: every line comes to ground, and off every output, when told to"
        problems = dummy_faults(circuit, seen_conductance_s)
    if problems:
        raise InstrumentFault("self-test: " + "; ".join(problems))
    if circuit.station.self_test.dummy_ohm is not None:
        yield "dummy: every resistor is where it belongs"
    else:
        yield (
            "dummy: not compared; without self_test.dummy_ohm it is not known whether all rows and"
            " all columns are exchanged, or the lines of one kind among each other"
        )


class ConnectivityCheck:
    """The tests of the lines; ``seen_conductance_s``: current over voltage of every cell's read."""

    def __init__(
        self,
        bench: LineProbe,
        circuit: WiredCircuit,
        array: ArraySettings,
        seen_conductance_s: FloatArray,
    ) -> None:
        self._bench, self._circuit, self._array = bench, circuit, array
        self._station = station = circuit.station
        self._read_v = array.read.read_v
        rows = [f"row{n}" for n in range(array.rows)]
        cols = [f"col{n}" for n in range(array.cols)]
        self._rows, self._cols = rows, cols
        self._outputs = station.wiring.drive.named()
        self._switched = {wire.line for wire in station.wires() if wire.channel is not None}
        on_columns = COLUMNS in self._outputs
        self._meter = COLUMNS if on_columns else ROWS
        self._seen_conductance_s = seen_conductance_s
        self._cells_conductance_s = cells = circuit.cells_conductance_s(seen_conductance_s)
        near, far = (cols, rows) if on_columns else (rows, cols)
        self._sides = _Sides(near, far, cells.T if on_columns else cells)

    def crossed(self) -> list[str]:
        """Return the fault of a row that is exchanged with a column, if any."""
        crossed = _crossed(self._conducts())
        if crossed is None:
            return []
        return [
            f"row{crossed[0]} and col{crossed[1]} are exchanged: only the cell where they meet"
            " conducts on them"
        ]

    def reach(self, judged: tuple[BoolArray, BoolArray] | None = None) -> list[str]:
        """Return faults of lines that no current reaches, with the likely cause.

        ``judged``: the rows and the columns that have to conduct; all if left out.
        """
        conducts = self._conducts()
        if not conducts.any():
            return [
                f"no cell conducts {self._station.self_test.least_conductance_s:g} S: nothing is"
                f" connected to {self._rows[0]} … {self._cols[-1]}, or the array is pristine (then"
                " test with a dummy in its place)"
            ]
        dead_rows, dead_cols = ~conducts.any(axis=1), ~conducts.any(axis=0)
        if judged is not None:
            dead_rows, dead_cols = dead_rows & judged[0], dead_cols & judged[1]
        rows = [self._no_current(f"row{n}", ROWS) for n in np.flatnonzero(dead_rows)]
        cols = [self._no_current(f"col{n}", COLUMNS) for n in np.flatnonzero(dead_cols)]
        return rows + cols

    def _conducts(self) -> BoolArray:
        least_conductance_s = self._station.self_test.least_conductance_s
        conducts: BoolArray = np.abs(self._seen_conductance_s) >= least_conductance_s
        return conducts

    def apart(self) -> list[str]:
        """Return faults of lines that stay on the meter, or on the far side's output."""
        return [*self._stuck_on_meter(), *self._stuck_on_rows()]

    def _stuck_on_meter(self) -> list[str]:
        """Return faults of lines that stay on the meter.

        Where another line, which is grounded, is stuck to the meter, it is at its compliance or
        drives the current of a short.
        """
        problems = []
        meter = self._outputs[self._meter]
        series_ohm = self._circuit.series_ohm.get(meter, 0.0)
        shorted_conductance_s = 1 / series_ohm if series_ohm else inf
        for name in self._sides.near:
            if name not in self._switched:
                continue
            seen_conductance_s = self._conductance_s({name: None})
            stuck_conductance_s = self._stuck_conductance_s({name: meter})
            most_conductance_s = sqrt(stuck_conductance_s * shorted_conductance_s)
            if LEAK * stuck_conductance_s < seen_conductance_s < most_conductance_s:
                problems.append(self._stuck(name, self._meter))
        return problems

    def _stuck_on_rows(self) -> list[str]:
        """Return faults of lines that stay on an output which does not measure."""
        sides, problems = self._sides, []
        for key in (ROWS, "other_rows") if self._meter == COLUMNS else ():
            for far, name in enumerate(sides.far if key in self._outputs else []):
                if name not in self._switched:
                    continue
                lines: Lines = {sides.near[sides.best_near(far)]: self._outputs[self._meter]}
                seen_conductance_s = self._conductance_s(lines | {name: None}, drive=key)
                stuck_conductance_s = self._stuck_conductance_s(
                    lines | {name: self._outputs[key]}, drive=key
                )
                if seen_conductance_s > LEAK * stuck_conductance_s:
                    problems.append(self._stuck(name, key))
        return problems

    def stays_grounded(self, line: str) -> list[str]:
        """Return the fault of a line that stays on ground, if any: all others float meanwhile."""
        least_conductance_s = self._station.self_test.least_conductance_s
        meter = self._outputs[self._meter]
        floating = dict.fromkeys(sorted(self._switched & {*self._rows, *self._cols}))
        if line not in self._switched:
            return []
        for through in [line] if line in self._sides.near else self._sides.near:
            if self._conductance_s(floating | {through: meter}) >= least_conductance_s:
                return [
                    f"{line}: stays on ground when it should be off it; its relay to ground"
                    f" ({self._channel(line, GROUND)}) does not open"
                ]
        return []

    def ground(self) -> list[str]:
        """Return faults of lines that do not come to ground when they should."""
        sides, problems = self._sides, []
        for far, name in enumerate(sides.far):
            problems += self._not_grounded(name, through=sides.near[sides.best_near(far)])
        for near, name in enumerate(sides.near):
            other = self._way_round(near)
            if other is not None:  # else there is nothing to reach it through
                problems += self._not_grounded(name, through=sides.near[other])
        return problems

    def other_outputs(self) -> list[str]:
        """Return faults of lines that the outputs for unselected lines do not reach (V/3)."""
        sides, problems = self._sides, []
        meter = self._outputs[self._meter]
        for far, name in enumerate(sides.far if "other_rows" in self._outputs else []):
            lines: Lines = {
                name: self._outputs["other_rows"],
                sides.near[sides.best_near(far)]: meter,
            }
            if not self._carries(lines, drive="other_rows"):
                problems.append(self._no_current(name, "other_rows"))
        for near, name in enumerate(sides.near if "other_columns" in self._outputs else []):
            other = self._way_round(near)
            if other is None:
                continue
            lines = dict.fromkeys([*self._rows, *self._cols])
            lines |= {name: self._outputs["other_columns"], sides.near[other]: meter}
            if not self._carries(lines, drive="other_columns"):
                problems.append(self._no_current(name, "other_columns"))
        return problems

    def _carries(self, lines: Lines, *, drive: str | None = None) -> bool:
        """Return whether enough of the current flows that the circuit as wired would carry.

        So little that it could be none of a cell's is not judged.
        """
        wanted_conductance_s = self._expected_conductance_s(lines, drive=drive)
        if ENOUGH * wanted_conductance_s < self._station.self_test.least_conductance_s:
            return True
        return self._conductance_s(lines, drive=drive) >= ENOUGH * wanted_conductance_s

    def _conductance_s(self, lines: Lines, *, drive: str | None = None) -> float:
        """Return the apparent conductance; inf when the meter is in compliance."""
        lines, gates_v = self._with_gates(lines)
        levels_v = gates_v | {drive or self._meter: self._read_v}
        measured = self._bench.current_a(lines, levels_v)
        return float("inf") if measured.flags else abs(measured.current_a / self._read_v)

    def _expected_conductance_s(self, lines: Lines, *, drive: str | None = None) -> float:
        """Return the apparent conductance of the circuit as it is wired."""
        lines, _ = self._with_gates(lines)
        connection = Connection(lines, {self._outputs[drive or self._meter]: 1.0})
        meter = self._outputs[self._meter]
        return abs(self._circuit.current_a(self._cells_conductance_s, connection, meter=meter))

    def _stuck_conductance_s(self, lines: Lines, *, drive: str | None = None) -> float:
        """Return the conductance that a stuck relay would show, or the smallest that counts."""
        least_conductance_s = self._station.self_test.least_conductance_s
        return max(self._expected_conductance_s(lines, drive=drive), least_conductance_s / LEAK)

    def _with_gates(self, lines: Lines) -> tuple[Lines, dict[str, float]]:
        """Return the lines with every transistor on, and the level of the gates."""
        gates = self._outputs.get(GATES)
        if gates is None or self._array.read.gate_v is None:
            return lines, {}
        on: Lines = {f"gate{n}": gates for n in range(len(self._rows))}
        return lines | on, {GATES: self._array.read.gate_v}

    def _way_round(self, near: int) -> int | None:
        """Return the near line that conducts best to this one over a floating far line."""
        best, most_conductance_s = None, 0.0
        cells_conductance_s = np.maximum(self._sides.conductance_s, np.finfo(float).tiny)
        for other in range(len(cells_conductance_s)):
            path_conductance_s = float(
                (1 / (1 / cells_conductance_s[near] + 1 / cells_conductance_s[other])).max()
            )
            if other != near and path_conductance_s > most_conductance_s:
                best, most_conductance_s = other, path_conductance_s
        return best

    def _not_grounded(self, line: str, *, through: str) -> list[str]:
        """Return the fault of a line that does not take the meter's current to ground, if any."""
        if line not in self._switched:
            return []
        lines: Lines = {name: None for name in (*self._rows, *self._cols) if name in self._switched}
        lines |= {through: self._outputs[self._meter], line: GROUND}
        if self._carries(lines):
            return []
        return [
            f"{line}: floats when it should be on ground; its relay to ground"
            f" ({self._channel(line, GROUND)}) does not close"
        ]

    def _no_current(self, line: str, key: str) -> str:
        output = self._outputs.get(key, GROUND)
        return (
            f"{line}: no current through any of its cells; its wire is open, its relay to {output}"
            f" ({self._channel(line, output)}) does not close, or that to ground"
            f" ({self._channel(line, GROUND)}) does not open"
        )

    def _stuck(self, line: str, key: str) -> str:
        output = self._outputs[key]
        return (
            f"{line}: stays on {output} when it should be off it; its relay"
            f" ({self._channel(line, output)}) does not open"
        )

    def _channel(self, line: str, output: str) -> str:
        for wire in self._station.wires():
            if wire.line == line and wire.output == output:
                return f"{wire.matrix} {wire.channel}" if wire.channel else "soldered"
        return "none"


def _crossed(conducts: BoolArray) -> tuple[int, int] | None:
    """Return the row and the column whose only conducting cell is their common one."""
    for row, col in np.argwhere(conducts):
        alone = conducts[row].sum() == 1 and conducts[:, col].sum() == 1
        others = np.delete(np.delete(conducts, row, 0), col, 1)
        if alone and others.size and others.all():
            return int(row), int(col)
    return None
