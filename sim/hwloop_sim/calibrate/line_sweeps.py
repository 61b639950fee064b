"""Sweeps of the gate and of the source line of 1T1R cells, as arrays: one row a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hwloop import dataset, measurement
from hwloop.errors import ConfigError
from hwloop.operations import BoolArray, FloatArray

_LEAST_PULSES = 5
_LEAST_CELLS = 6
_LEAST_SWEEPS = 3


@dataclass(frozen=True, eq=False)
class Sweeps:
    """Conductance before and after each pulse, siemens, (sweeps, volts); NaN where there was none.

    ``cell``: of each sweep. ``volts``: what was swept, ascending: of the gate, or of the source
    line as a magnitude. ``held_v``: the other: of the bit line, or of the gate.
    """

    where: str
    cell: FloatArray
    volts: FloatArray
    before_s: FloatArray
    after_s: FloatArray
    width_s: float
    held_v: float

    @property
    def cells(self) -> FloatArray:
        """Their addresses, in order."""
        return np.unique(self.cell)

    def of(self, which: BoolArray) -> Sweeps:
        """Some of the sweeps."""
        return replace(
            self,
            cell=self.cell[which],
            before_s=self.before_s[which],
            after_s=self.after_s[which],
        )

    def half(self, which: int) -> Sweeps:
        """The sweeps of every second cell."""
        return self.of(np.isin(self.cell, self.cells[which::2]))

    def read_pairs(self) -> tuple[FloatArray, FloatArray]:
        """Mean and difference of ln G of the two reads between pulses that followed each other."""
        first, second = np.log(self.after_s[:, :-1]), np.log(self.before_s[:, 1:])
        both = np.isfinite(first) & np.isfinite(second)
        return (first[both] + second[both]) / 2, second[both] - first[both]

    def drawn(self, cells: FloatArray) -> Sweeps:
        """The sweeps of these cells; a cell that is named twice counts as two."""
        parts = [np.flatnonzero(self.cell == cell) for cell in cells]
        rows = np.concatenate(parts)
        number = np.repeat(np.arange(len(parts), dtype=np.float64), [one.size for one in parts])
        return replace(self, cell=number, before_s=self.before_s[rows], after_s=self.after_s[rows])


def load_sweeps(paths: Sequence[Path]) -> tuple[Sweeps, Sweeps]:
    """Of the gate (SET), and of the source line (RESET).

    Raises :class:`ConfigError` with the file where it holds anything else, and where either is
    missing or too short to tell cells from cycles.
    """
    found: dict[bool, Sweeps] = {}
    for path in paths:
        if dataset.format_of(path) != measurement.FORMAT:
            raise ConfigError(
                "holds no pulse sweeps; `hwloop import --reader pulse_sweep` makes such a dataset",
                file=str(path),
            )
        data = measurement.read_measurement(path)
        if data.kind != "pulse_sweeps":
            raise ConfigError(f"holds {data.kind}: expected pulse_sweeps", file=str(path))
        of_gate = bool(data.columns["amplitude_v"].max() > 0)
        if of_gate in found:
            line = "gate" if of_gate else "source line"
            raise ConfigError(f"is a second sweep of the {line}: give one", file=str(path))
        found[of_gate] = _sweeps(path, data.columns, of_gate=of_gate)
    if len(found) < 2:
        lacking = "source line, which RESETs" if True in found else "gate, which SETs"
        where = ", ".join(map(str, paths))
        raise ConfigError(f"no sweep of the {lacking}: both are needed", file=where)
    return found[True], found[False]


def _sweeps(path: Path, columns: Mapping[str, FloatArray], *, of_gate: bool) -> Sweeps:
    swept_v, held_v = np.abs(columns["amplitude_v"]), columns["gate_v"]
    if of_gate:
        swept_v, held_v = held_v, swept_v
    width_s = _one(path, "width", columns["width_s"], "s")
    cell = columns["cell"]
    begins = (np.diff(swept_v, prepend=np.inf) < 0) | (np.diff(cell, prepend=-1) != 0)
    sweep = np.cumsum(begins) - 1
    volts, place = np.unique(np.round(swept_v, 6).astype(np.float64), return_inverse=True)
    before_s = np.full((int(sweep[-1]) + 1, volts.size), np.nan)
    after_s = before_s.copy()
    before_s[sweep, place], after_s[sweep, place] = columns["before_s"], columns["after_s"]
    every = Sweeps(
        str(path),
        cell[begins],
        volts,
        before_s,
        after_s,
        width_s,
        _one(path, "voltage of the other line", held_v, "V"),
    )
    kept = every.of(np.isfinite(after_s).sum(axis=1) >= _LEAST_PULSES)
    counts = [int((kept.cell == one).sum()) for one in kept.cells]
    several = sum(count >= _LEAST_SWEEPS for count in counts)
    if several < _LEAST_CELLS:
        raise ConfigError(
            f"{several} cells with {_LEAST_SWEEPS} sweeps or more: expected {_LEAST_CELLS}, or"
            " cells and cycles cannot be told apart",
            file=str(path),
        )
    return kept


def _one(path: Path, name: str, values: FloatArray, unit: str) -> float:
    if np.ptp(values) > 1e-9 * np.abs(values).max():
        raise ConfigError(
            f"{name} from {values.min():g} to {values.max():g} {unit}: expected one", file=str(path)
        )
    return float(values[0])
