"""Find wrong wiring and stuck relays with read voltages alone, before the first pulse.

The lines that the meter reaches are its side of the array (the columns, where the scheme has an
output on them), the others the far side. Every test routes a few lines, puts the read voltage on
one output, and measures the current out of the meter:

- *reach*: the ordinary read of every cell. A line none of whose cells conducts is not connected.
- *ground*: a line is grounded and everything else floats; current from the meter through a cell
  has to reach ground there.
- *apart*: a line is connected to nothing and the others are grounded; no current may reach it.
- *dummy*: with known resistors in the array's place, every cell reads its own resistor.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hwloop.array.operations import ReadMap
from hwloop.array.settings import ArraySettings
from hwloop.errors import InstrumentFault
from hwloop.messages import cell_name
from hwloop.station.parts import GROUND
from hwloop.station.station import Station
from hwloop.types import BoolArray, FloatArray
from hwloop_drivers.bench.backend import Bench
from hwloop_drivers.station.addressing import Lines
from hwloop_drivers.station.drives import COLUMNS, GATES, ROWS

ENOUGH = 0.5  # of the expected current: paths that a test leaves out only add to it
LEAK = 0.1  # of the current that a stuck relay would let through


@dataclass(frozen=True)
class _Sides:
    """The two sides of the array as seen from the meter; ``conductance_s`` is (near, far)."""

    near: list[str]
    far: list[str]
    conductance_s: FloatArray

    def best_near(self, far: int) -> int:
        """Return the near line with the best-conducting cell on a far one."""
        return int(self.conductance_s[:, far].argmax())


def self_test(bench: Bench, station: Station, array: ArraySettings) -> Iterator[str]:
    """Yield a line for every test that passed; raise InstrumentFault with what did not."""
    test = _ConnectivityCheck(bench, station, array)
    dead = test.reach()
    # A relay that stays closed shorts every line but its own: look for one before blaming them.
    problems = test.apart() or dead
    if not problems:
        yield f"reach: a current through every one of {test.lines} lines"
        problems = [*test.ground(), *test.other_outputs()]
    if not problems:
        yield "relays: every line comes to ground, and off every output, when told to"
        problems = test.dummy()
    if problems:
        raise InstrumentFault("self-test: " + "; ".join(problems))
    yield test.dummy_message()


class _ConnectivityCheck:
    def __init__(self, bench: Bench, station: Station, array: ArraySettings) -> None:
        self._bench, self._station, self._array = bench, station, array
        self._read_v = array.read.read_v
        rows = [f"row{n}" for n in range(array.rows)]
        cols = [f"col{n}" for n in range(array.cols)]
        self._rows, self._cols = rows, cols
        self._outputs = station.wiring.drive.named()
        self._switched = {wire.line for wire in station.wires() if wire.channel is not None}
        on_columns = COLUMNS in self._outputs
        self._meter = COLUMNS if on_columns else ROWS
        self._map_conductance_s = self._read_map_conductance_s()
        near, far = (cols, rows) if on_columns else (rows, cols)
        self._sides = _Sides(
            near, far, self._map_conductance_s.T if on_columns else self._map_conductance_s
        )
        self.lines = len(near) + len(far)

    def reach(self) -> list[str]:
        """Return faults of lines that no current reaches, with the likely cause."""
        conducts = np.abs(self._map_conductance_s) >= self._station.self_test.least_conductance_s
        crossed = _crossed(conducts)
        if crossed is not None:
            return [
                f"row{crossed[0]} and col{crossed[1]} are exchanged: only the cell where they meet"
                " conducts on them"
            ]
        if not conducts.any():
            return [
                f"no cell conducts {self._station.self_test.least_conductance_s:g} S: nothing is"
                f" connected to {self._rows[0]} … {self._cols[-1]}, or the array is pristine (then"
                " test with a dummy in its place)"
            ]
        rows = [self._no_current(f"row{n}", ROWS) for n in np.flatnonzero(~conducts.any(axis=1))]
        cols = [self._no_current(f"col{n}", COLUMNS) for n in np.flatnonzero(~conducts.any(axis=0))]
        return rows + cols

    def apart(self) -> list[str]:
        """Return faults of lines that stay on the meter, or on the far side's output.

        The meter alone on ground is at its compliance: then another line is stuck to it.
        """
        sides, problems = self._sides, []
        for near, name in enumerate(sides.near):
            seen_conductance_s = (
                self._conductance_s({name: None}) if name in self._switched else 0.0
            )
            if np.isfinite(
                seen_conductance_s
            ) and seen_conductance_s > LEAK * self._scale_conductance_s(sides.conductance_s[near]):
                problems.append(self._stuck(name, self._meter))
        for key in (ROWS, "other_rows") if self._meter == COLUMNS else ():
            for far, name in enumerate(sides.far if key in self._outputs else []):
                near = sides.best_near(far)
                lines: Lines = {name: None, sides.near[near]: self._outputs[self._meter]}
                seen_conductance_s = (
                    self._conductance_s(lines, drive=key) if name in self._switched else 0.0
                )
                if seen_conductance_s > LEAK * self._scale_conductance_s(
                    sides.conductance_s[near, far]
                ):
                    problems.append(self._stuck(name, key))
        return problems

    def ground(self) -> list[str]:
        """Return faults of lines that do not come to ground when they should."""
        sides, problems = self._sides, []
        for far, name in enumerate(sides.far):
            near = sides.best_near(far)
            path_conductance_s = float(sides.conductance_s[near, far])
            problems += self._not_grounded(
                name, through=sides.near[near], path_conductance_s=path_conductance_s
            )
        for near, name in enumerate(sides.near):
            other, path_conductance_s = self._way_round(near)
            if other is not None:  # else there is nothing to reach it through
                problems += self._not_grounded(
                    name, through=sides.near[other], path_conductance_s=path_conductance_s
                )
        return problems

    def other_outputs(self) -> list[str]:
        """Return faults of lines that the outputs for unselected lines do not reach (V/3)."""
        sides, problems = self._sides, []
        meter = self._outputs[self._meter]
        for far, name in enumerate(sides.far if "other_rows" in self._outputs else []):
            near = sides.best_near(far)
            lines: Lines = {name: self._outputs["other_rows"], sides.near[near]: meter}
            if (
                self._conductance_s(lines, drive="other_rows")
                < ENOUGH * sides.conductance_s[near, far]
            ):
                problems.append(self._no_current(name, "other_rows"))
        for near, name in enumerate(sides.near if "other_columns" in self._outputs else []):
            other, path_conductance_s = self._way_round(near)
            if other is None:
                continue
            lines = dict.fromkeys([*self._rows, *self._cols])
            lines |= {name: self._outputs["other_columns"], sides.near[other]: meter}
            if self._conductance_s(lines, drive="other_columns") < ENOUGH * path_conductance_s:
                problems.append(self._no_current(name, "other_columns"))
        return problems

    def dummy(self) -> list[str]:
        """Return faults of lines that carry another line's resistors."""
        ohm = self._station.self_test.dummy_ohm
        if ohm is None:
            return []
        wanted_conductance_s = 1.0 / np.array(ohm)
        seen_conductance_s, tolerance = self._map_conductance_s, self._station.self_test.tolerance
        if _close(seen_conductance_s, wanted_conductance_s, tolerance):
            return []
        if wanted_conductance_s.shape[0] == wanted_conductance_s.shape[1] and _close(
            seen_conductance_s, wanted_conductance_s.T, tolerance
        ):
            return ["rows and columns are exchanged: every cell reads its mirror's resistor"]
        for kind, axis in (("row", 0), ("col", 1)):
            order = _order(seen_conductance_s, wanted_conductance_s, axis, tolerance)
            if order is not None:
                moved = ", ".join(
                    f"{kind}{n} is on {kind}{was}" for n, was in enumerate(order) if n != was
                )
                return [f"{kind} lines are exchanged: {moved} of the dummy"]
        error = np.abs(seen_conductance_s / wanted_conductance_s - 1)
        row, col = (int(n) for n in np.unravel_index(error.argmax(), error.shape))
        cell_conductance_s = float(seen_conductance_s[row, col])
        reads = f"{1 / cell_conductance_s:.4g} ohm" if cell_conductance_s else "nothing"
        found = f"{cell_name((row, col))}: reads {reads}, the dummy has {ohm[row][col]:g} ohm"
        if (error > tolerance).all():
            return [
                f"{found}, and no cell reads what it should: the dummy is not in the array's place"
                " (a virtual bench has it there with --dummy), or lines of both kinds are exchanged"
            ]
        return [f"{found}; row{row} or col{col} is wired wrongly"]

    def dummy_message(self) -> str:
        """Return a line on whether the values were compared with known resistors."""
        if self._station.self_test.dummy_ohm is not None:
            return "dummy: every resistor is where it belongs"
        return (
            "dummy: not compared; without self_test.dummy_ohm it is not known whether all rows and"
            " all columns are exchanged, or the lines of one kind among each other"
        )

    def _read_map_conductance_s(self) -> FloatArray:
        """Return the conductance of every cell; 0 for NaN, which is a short or beyond the range."""
        reading = self._bench.read(
            ReadMap.every_cell(
                self._array.geometry.shape, read_v=self._read_v, both_polarities=True
            )
        )
        return np.nan_to_num(reading.current_a / self._read_v)

    def _conductance_s(self, lines: Lines, *, drive: str | None = None) -> float:
        """Return the apparent conductance; inf when the meter is in compliance."""
        levels_v: dict[str, float] = {}
        gates = self._outputs.get(GATES)
        if gates is not None and self._array.read.gate_v is not None:
            lines = lines | {f"gate{n}": gates for n in range(len(self._rows))}
            levels_v[GATES] = self._array.read.gate_v
        levels_v[drive or self._meter] = self._read_v
        measured = self._bench.current_a(lines, levels_v)
        return float("inf") if measured.flags else abs(measured.current_a) / self._read_v

    def _scale_conductance_s(self, conductance_s: FloatArray) -> float:
        """Return the conductance that a stuck relay would show, or the smallest that counts."""
        least_conductance_s = self._station.self_test.least_conductance_s
        return max(float(np.sum(conductance_s)), least_conductance_s / LEAK)

    def _way_round(self, near: int) -> tuple[int | None, float]:
        """Return the near line that conducts best to this one over a floating far line, and S."""
        best: tuple[int | None, float] = (None, 0.0)
        cells_conductance_s = np.maximum(self._sides.conductance_s, np.finfo(float).tiny)
        for other in range(len(cells_conductance_s)):
            path_conductance_s = float(
                (1 / (1 / cells_conductance_s[near] + 1 / cells_conductance_s[other])).max()
            )
            if other != near and path_conductance_s > best[1]:
                best = other, path_conductance_s
        return best

    def _not_grounded(self, line: str, *, through: str, path_conductance_s: float) -> list[str]:
        """Return the fault of a line that does not take the meter's current to ground, if any."""
        if line not in self._switched:
            return []
        lines: Lines = {name: None for name in (*self._rows, *self._cols) if name in self._switched}
        lines |= {through: self._outputs[self._meter], line: GROUND}
        if self._conductance_s(lines) >= ENOUGH * path_conductance_s:
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


def _close(
    seen_conductance_s: FloatArray, wanted_conductance_s: FloatArray, tolerance: float
) -> bool:
    return bool(np.allclose(seen_conductance_s, wanted_conductance_s, rtol=tolerance, atol=0))


def _order(
    seen_conductance_s: FloatArray, wanted_conductance_s: FloatArray, axis: int, tolerance: float
) -> list[int] | None:
    """Return for each seen line the wanted line that it is; None if that is no permutation."""
    seen, wanted = (
        np.moveaxis(seen_conductance_s, axis, 0),
        np.moveaxis(wanted_conductance_s, axis, 0),
    )
    order = []
    for line in seen:
        fits = [n for n, known in enumerate(wanted) if _close(line, known, tolerance)]
        if len(fits) != 1 or fits[0] in order:
            return None
        order.append(fits[0])
    return order
