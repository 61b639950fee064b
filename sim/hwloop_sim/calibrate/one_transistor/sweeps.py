"""Sweeps of the gate and of the source line of 1T1R cells, as arrays with one row per sweep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hwloop.datasets.measurement import check_unit, read_measurement
from hwloop.errors import ConfigError
from hwloop.messages import cell_name, first_place
from hwloop.record.reader import Record
from hwloop.types import BoolArray, FloatArray
from hwloop_sim.calibrate.inputs import is_dataset, is_record

STEP = "pulse_sweep"
_LEAST_PULSES = 5
_LEAST_CELLS = 6
_LEAST_SWEEPS = 3
_NEARLY_NONE = 0.1
_SETTLED = 0.85
"""Least part of its first conductance at which a cell counts as not moved by a RESET."""


@dataclass(frozen=True, eq=False)
class Sweeps:
    """Conductance before and after each pulse, siemens, (sweeps, volts); NaN if there was none.

    ``cell``: cell of each sweep. ``volts``: swept voltage, ascending: of the gate, or the magnitude
    on the source line. ``held_v``: constant voltage: of the bit line, or of the gate.
    """

    where: str
    cell: FloatArray
    volts: FloatArray
    before_conductance_s: FloatArray
    after_conductance_s: FloatArray
    width_s: float
    held_v: float

    @property
    def cells(self) -> FloatArray:
        """Return the distinct addresses of the cells, ascending."""
        return np.unique(self.cell)

    @property
    def first_conductance_s(self) -> FloatArray:
        """Return the conductance at which each sweep begins, siemens."""
        return np.array([row[np.isfinite(row)][0] for row in self.before_conductance_s])

    def until_end(self, after_conductance_s: FloatArray) -> FloatArray:
        """Return conductances, (..., sweeps, volts), with NaN after the criterion of these sweeps.

        Sweeps that ended early stop at the first conductance that nearly none of them ends before.
        """
        count = np.isfinite(self.after_conductance_s).sum(axis=1)
        early = count < self.volts.size
        if not early.any():
            return after_conductance_s
        last_conductance_s = self.after_conductance_s[early, count[early] - 1]
        if np.median(last_conductance_s) > np.median(self.first_conductance_s):
            beyond = after_conductance_s > np.quantile(last_conductance_s, _NEARLY_NONE)
        else:
            beyond = after_conductance_s < np.quantile(last_conductance_s, 1 - _NEARLY_NONE)
        gone = np.cumsum(beyond, axis=-1) > beyond
        return np.where(gone, np.nan, after_conductance_s)

    def from_to(self, first: int, stop: int) -> Sweeps:
        """Return the sweeps at some of the voltages."""
        return replace(
            self,
            volts=self.volts[first:stop],
            before_conductance_s=self.before_conductance_s[:, first:stop],
            after_conductance_s=self.after_conductance_s[:, first:stop],
        )

    def of(self, which: BoolArray) -> Sweeps:
        """Return some of the sweeps, chosen by a mask."""
        return replace(
            self,
            cell=self.cell[which],
            before_conductance_s=self.before_conductance_s[which],
            after_conductance_s=self.after_conductance_s[which],
        )

    def half(self, which: int) -> Sweeps:
        """Return the sweeps of every second cell."""
        return self.of(np.isin(self.cell, self.cells[which::2]))

    def read_pairs(self) -> tuple[FloatArray, FloatArray]:
        """Return mean and difference of ln G of pairs of reads without a pulse in between.

        Leaves out sweeps whose reads before the pulses are one and the same number, and cells that
        a RESET of the sweep has moved, which settle between the reads.
        """
        first, second = (
            np.log(self.after_conductance_s[:, :-1]),
            np.log(self.before_conductance_s[:, 1:]),
        )
        begun = np.log(_SETTLED * self.first_conductance_s)[:, None]
        read_anew = np.nanmax(second, axis=1) > np.nanmin(second, axis=1)
        both = np.isfinite(first) & np.isfinite(second) & (first > begun) & read_anew[:, None]
        return (first[both] + second[both]) / 2, second[both] - first[both]


def held_logs(after_conductance_s: FloatArray) -> FloatArray:
    """Return ln G, (..., volts), with the last value held after the end of a sweep."""
    logs = np.log(after_conductance_s)
    last = np.maximum.accumulate(np.where(np.isnan(logs), 0, np.arange(logs.shape[-1])), axis=-1)
    return np.asarray(np.take_along_axis(logs, last, -1))


def load_sweeps(paths: Sequence[Path]) -> tuple[list[Sweeps], list[Sweeps]]:
    """Load the sweeps of the gate (SET) and those of the source line (RESET), one a day or chip.

    The files are imported tables, records or both; the days of each line are in the order of the
    files. Raises :class:`ConfigError` with the file if it holds anything else, if either line has
    no sweep or more than the other, or a sweep is too short to separate cells from cycles.
    """
    found: dict[bool, list[Sweeps]] = {True: [], False: []}
    for path in paths:
        for of_gate, sweeps in _of_record(path) if is_record(path) else _of_table(path):
            found[of_gate].append(sweeps)
    gates, lines = found[True], found[False]
    where = ", ".join(map(str, paths))
    if not gates or not lines:
        lacking = "source line, which RESETs" if gates else "gate, which SETs"
        raise ConfigError(f"no sweep of the {lacking}: both are needed", file=where)
    if len(gates) != len(lines):
        raise ConfigError(
            f"{len(gates)} sweeps of the gate and {len(lines)} of the source line: expected one of"
            " each for every day or chip",
            file=where,
        )
    return gates, lines


def _of_table(path: Path) -> Iterator[tuple[bool, Sweeps]]:
    """Yield the sweep of an imported table; it ends if the cell changes or the voltage falls."""
    if not is_dataset(path):
        raise ConfigError(
            "holds no pulse sweeps; `hwloop import --reader pulse_sweep` makes such a dataset, the"
            f" step {STEP} such a record",
            file=str(path),
        )
    data = read_measurement(path)
    if data.kind != "pulse_sweeps":
        raise ConfigError(f"holds {data.kind}: expected pulse_sweeps", file=str(path))
    columns = data.columns
    of_gate = bool(columns["amplitude_v"].max() > 0)
    swept_v = columns["gate_v"] if of_gate else np.abs(columns["amplitude_v"])
    begins = (np.diff(swept_v, prepend=np.inf) < 0) | (np.diff(columns["cell"], prepend=-1) != 0)
    yield of_gate, _sweeps(str(path), columns, np.cumsum(begins), of_gate=of_gate)


def _of_record(path: Path) -> Iterator[tuple[bool, Sweeps]]:
    """Yield the sweeps of every step of a run; cells of a population count as different cells."""
    with Record(path) as record:
        labels = [entry["label"] for entry in record.resolved["steps"] if entry["step"] == STEP]
        if not labels:
            raise ConfigError(
                f"holds no sweeps of 1T1R cells: none of its steps is {STEP}", file=str(path)
            )
        for label in labels:
            rows = record.results(label)
            if rows and len(rows["pulse"]):
                columns, sweep = _columns(f"{path}: {label}", rows)
                of_gate = bool(columns["amplitude_v"].max() > 0)
                yield of_gate, _sweeps(f"{path}: {label}", columns, sweep, of_gate=of_gate)


def _columns(
    where: str, rows: Mapping[str, FloatArray]
) -> tuple[dict[str, FloatArray], FloatArray]:
    """Return one entry for each pulse of a cell, and the number of the sweep of each."""
    pulsed = np.isfinite(rows["after_conductance_s"])
    for name in ("before_conductance_s", "after_conductance_s"):
        _check_positive(where, name, rows, pulsed)
    row, cell = np.nonzero(pulsed.reshape(len(pulsed), -1))
    columns = {name: rows[name][row] for name in ("width_s", "amplitude_v", "gate_v")}
    columns |= {
        name: rows[name][pulsed] for name in ("before_conductance_s", "after_conductance_s")
    }
    check_unit(columns["after_conductance_s"], where)
    cycles = rows["cycle"].max()
    return {"cell": cell.astype(np.float64), **columns}, cell * cycles + rows["cycle"][row] - 1


def _check_positive(
    where: str, name: str, rows: Mapping[str, FloatArray], pulsed: BoolArray
) -> None:
    wrong = pulsed & (rows[name] <= 0)
    if wrong.any():
        row, *place = first_place(wrong)
        raise ConfigError(
            f"{cell_name(tuple(place))}, sweep {int(rows['cycle'][row])}, {rows['swept_v'][row]:g}"
            f" V: {name} is {rows[name][(row, *place)]:.4g}: expected a value above 0 S",
            file=where,
        )


def _sweeps(
    where: str, columns: Mapping[str, FloatArray], sweep: FloatArray, *, of_gate: bool
) -> Sweeps:
    """Return the sweeps with one row per sweep, ordered by ``sweep``, their number per pulse."""
    swept_v, held_v = np.abs(columns["amplitude_v"]), columns["gate_v"]
    if of_gate:
        swept_v, held_v = held_v, swept_v
    numbers, first, row = np.unique(sweep, return_index=True, return_inverse=True)
    volts, place = np.unique(np.round(swept_v, 6).astype(np.float64), return_inverse=True)
    before_conductance_s = np.full((numbers.size, volts.size), np.nan)
    after_conductance_s = before_conductance_s.copy()
    before_conductance_s[row, place], after_conductance_s[row, place] = (
        columns["before_conductance_s"],
        columns["after_conductance_s"],
    )
    every = Sweeps(
        where,
        columns["cell"][first],
        volts,
        before_conductance_s,
        after_conductance_s,
        _one(where, "width", columns["width_s"], "s"),
        _one(where, "voltage of the other line", held_v, "V"),
    )
    kept = every.of(np.isfinite(after_conductance_s).sum(axis=1) >= _LEAST_PULSES)
    counts = [int((kept.cell == one).sum()) for one in kept.cells]
    several = sum(count >= _LEAST_SWEEPS for count in counts)
    if several < _LEAST_CELLS:
        raise ConfigError(
            f"{several} cells with {_LEAST_SWEEPS} sweeps or more: expected {_LEAST_CELLS}, or"
            " cells and cycles cannot be told apart",
            file=where,
        )
    return kept


def _one(where: str, name: str, values: FloatArray, unit: str) -> float:
    if np.ptp(values) > 1e-9 * np.abs(values).max():
        raise ConfigError(
            f"{name} from {values.min():g} to {values.max():g} {unit}: expected one", file=where
        )
    return float(values[0])
