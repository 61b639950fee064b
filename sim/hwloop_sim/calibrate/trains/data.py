"""Trains that a calibration is made from: of one cell or a population, one pulse each way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hwloop.datasets.measurement import Measurement, check_unit, read_measurement
from hwloop.errors import ConfigError
from hwloop.settings.units import format_quantity
from hwloop.types import FloatArray
from hwloop_sim.calibrate.inputs import check_format, is_dataset
from hwloop_sim.calibrate.operations.history import History, Stimulus, of_record

_MIN_TRAINS = 2
_MIN_VALUES = 3
_MIN_LONE = 12
"""Values of the only train of a direction, of which the last third is held out."""
_SAME_PULSE = 1e-9  # relative: rounding of files written as text
_TURN = 0.25
"""Share of the range by which a mean train may go back."""
_CLEARLY = 4.0
"""Standard errors by which it must go back to count."""
_AGAINST = 0.25
"""Share of trains that may go against the others."""

Pulse = tuple[float, float]
"""Amplitude, volts, and width, seconds."""


@dataclass(frozen=True, order=True)
class Owner:
    """Cell that a train belongs to.

    ``device``: as the file names it; all records are of one array. ``number``: of the cell in its
    file. ``other``: counts cells of the same number in files that do not name their device.
    """

    device: str
    number: int
    other: int = 0

    def beside(self, earlier: Sequence[Owner]) -> Owner:
        """Return this cell as another one than those of earlier files with the same pulse.

        A cell of a named device stays the same.
        """
        if self.device:
            return self
        same = [one.other for one in earlier if (one.device, one.number) == ("", self.number)]
        return replace(self, other=1 + max(same, default=-1))


@dataclass(frozen=True)
class Direction:
    """Trains of one pulse, siemens, in the order in which they were measured.

    ``rises``: whether the pulse raises the conductance. ``cell_numbers``: the cell of each train;
    empty if there is one cell. ``earlier``: how many trains of this pulse the cell had had before;
    empty if none is missing.
    """

    amplitude_v: float
    width_s: float
    trains: Sequence[FloatArray]
    rises: bool
    cell_numbers: Sequence[int] = ()
    earlier: Sequence[int] = ()

    @property
    def cells(self) -> NDArray[np.intp]:
        """Return the number of the cell of each train, (trains,)."""
        return np.array(self.cell_numbers or [0] * len(self.trains), dtype=np.intp)

    @property
    def cycles(self) -> NDArray[np.intp]:
        """Return how many trains of this pulse each cell had had before each train, (trains,)."""
        if self.earlier:
            return np.array(self.earlier, dtype=np.intp)
        cells = self.cells
        return np.array([np.sum(cells[:i] == one) for i, one in enumerate(cells)], dtype=np.intp)

    @property
    def pulse(self) -> dict[str, float]:
        """Return amplitude and width as the settings of a device model have them."""
        return {"amplitude_v": self.amplitude_v, "width_s": self.width_s}

    def half(self, which: int) -> Direction:
        """Return the trains of every second cell; of one cell, every second train.

        Drift of the device then affects both halves alike. Of a lone train, the first two thirds
        and the last.
        """
        if self.lone:
            cut = 2 * len(self.trains[0]) // 3
            part = self.trains[0][cut:] if which else self.trains[0][:cut]
            return replace(self, trains=[part])
        known, ranks = np.unique(self.cells, return_inverse=True)
        rank = ranks if known.size > 1 else np.arange(len(self.trains))
        chosen = np.flatnonzero(rank % 2 == which)
        return Direction(
            self.amplitude_v,
            self.width_s,
            [self.trains[i] for i in chosen.tolist()],
            self.rises,
            self.cells[chosen].tolist(),
            self.cycles[chosen].tolist(),
        )

    @property
    def lone(self) -> bool:
        """Return whether there is one train only."""
        return len(self.trains) == 1

    @property
    def padded_conductance_s(self) -> FloatArray:
        """Return the trains as (trains, longest), siemens, NaN after the end of each."""
        padded = np.full((len(self.trains), max(map(len, self.trains))), np.nan)
        for row, train in zip(padded, self.trains, strict=True):
            row[: len(train)] = train
        return padded


@dataclass(frozen=True)
class TrainData:
    """Trains of one or both directions.

    ``apart``: whether files of the same pulse, which name no device, were taken as different cells.
    """

    directions: Sequence[Direction]
    apart: bool = False

    @property
    def cells(self) -> int:
        """Return the number of different cells."""
        return int(np.unique(np.concatenate([one.cells for one in self.directions])).size)

    def taken(self) -> list[str]:
        """Return what was taken for a cell and for a cycle, for the user."""
        counts = [np.unique(one.cells, return_counts=True)[1] for one in self.directions]
        least, most = min(int(one.min()) for one in counts), max(int(one.max()) for one in counts)
        cycles = f"{least}" if least == most else f"{least} to {most}"
        cycled = ", in the order of the file, taken for its cycles"
        lines = [
            f"{self.cells} {'cell' if self.cells == 1 else 'cells'}, each with {cycles}"
            f" {'train' if most == 1 else 'trains'} of a pulse{cycled if most > 1 else ''}"
        ]
        if self.apart:
            lines.append(
                "files with the same pulse name no device, so each is taken for a cell of its own;"
                " for cycles of one cell: hwloop import … --set device=NAME"
            )
        return lines

    def half(self, which: int) -> TrainData:
        """Return the trains of every second cell; of one cell, every second of each direction."""
        return TrainData([direction.half(which) for direction in self.directions])

    @property
    def span_conductance_s(self) -> tuple[float, float]:
        """Return the lowest and highest conductance measured, siemens."""
        values = np.concatenate([train for one in self.directions for train in one.trains])
        return float(np.nanmin(values)), float(np.nanmax(values))

    def named(self, *, rises: bool) -> Direction | None:
        """Return the direction that rises, or the one that falls; None if it is missing."""
        return next((one for one in self.directions if one.rises == rises), None)


def load_trains(paths: Sequence[Path], *, cell: int | None, mixed: bool = False) -> TrainData:
    """Load the trains of all files together.

    ``mixed``: take the trains of all cells. Raises :class:`ConfigError` with the file: several
    cells with neither ``cell`` nor ``mixed``, two pulses in one direction, trains that go both
    ways under one pulse, too few trains.
    """
    found: dict[Pulse, list[FloatArray]] = {}
    owners: dict[Pulse, list[Owner]] = {}
    for path in paths:
        taken = {pulse: list(of) for pulse, of in owners.items()}
        for pulse, own, train in _trains_of(path, cell, mixed=mixed):
            found.setdefault(pulse, []).append(train)
            owners.setdefault(pulse, []).append(own.beside(taken.get(pulse, ())))
    where = ", ".join(map(str, paths))
    if not found:
        raise ConfigError(
            "has no train in it: no cell was read after each of two equal pulses or more",
            file=where,
        )
    for trains in found.values():
        check_unit(np.concatenate(trains), where)
    every = sorted({own for of in owners.values() for own in of})
    directions = [
        replace(
            _direction(where, pulse, trains),
            cell_numbers=[every.index(own) for own in owners[pulse]],
        )
        for pulse, trains in found.items()
    ]
    _check(where, directions)
    apart = any(own.other for own in every)
    return TrainData(sorted(directions, key=lambda one: not one.rises), apart)


def _trains_of(
    path: Path, cell: int | None, *, mixed: bool
) -> Iterator[tuple[Pulse, Owner, FloatArray]]:
    if not path.is_file():
        raise ConfigError("there is no such file", file=str(path))
    if is_dataset(path):
        yield from _of_dataset(path, read_measurement(path), cell, mixed=mixed)
    else:
        check_format(path)
        yield from _of_history(path, of_record(path), cell, mixed=mixed)


def _of_dataset(
    path: Path, data: Measurement, cell: int | None, *, mixed: bool
) -> Iterator[tuple[Pulse, Owner, FloatArray]]:
    if data.kind != "trains":
        raise ConfigError(f"holds {data.kind}: expected trains", file=str(path))
    columns = data.columns
    cells = np.unique(columns["cell"])
    if cell is None and cells.size > 1 and not mixed:
        raise ConfigError(
            f"holds trains of {cells.size} cells, which one calibration does not mix: name one"
            f" with --cell, {cells[0]:g} to {cells[-1]:g}",
            file=str(path),
        )
    chosen = np.ones(data.rows, dtype=np.bool_) if cell is None else columns["cell"] == cell
    if not chosen.any():
        raise ConfigError(f"has no cell {cell}", file=str(path))
    for number in np.unique(columns["train"][chosen]):
        rows = chosen & (columns["train"] == number)
        if not np.array_equal(columns["pulse"][rows], np.arange(rows.sum())):
            raise ConfigError(
                f"train {number:g} has a gap: its pulses are not 0, 1, 2, …", file=str(path)
            )
        pulses = np.stack([columns["amplitude_v"][rows][1:], columns["width_s"][rows][1:]])
        if not np.allclose(pulses, pulses[:, :1], rtol=_SAME_PULSE, atol=0):
            raise ConfigError(
                f"train {number:g} has pulses of several amplitudes or widths, from"
                f" {pulses[0].min():g} to {pulses[0].max():g} V: a model of trains takes equal"
                " pulses, a state equation such as vteam takes any",
                file=str(path),
            )
        pulse = (float(columns["amplitude_v"][rows][0]), float(columns["width_s"][rows][0]))
        own = Owner(data.device, int(columns["cell"][rows][0]))
        yield pulse, own, columns["conductance_s"][rows]


def _of_history(
    path: Path, history: History, cell: int | None, *, mixed: bool
) -> Iterator[tuple[Pulse, Owner, FloatArray]]:
    """Yield sequences of equal single pulses, each followed by a read.

    Half-select stress in between is left out: models of trains do not describe its effect.
    """
    cells = len(history.names)
    if cell is None and cells > 1 and not mixed:
        raise ConfigError(
            f"holds trains of {cells} cells, which one calibration does not mix: name one"
            f" with --cell, 0 to {cells - 1}",
            file=str(path),
        )
    if cell is not None and cell >= cells:
        raise ConfigError(f"has no cell {cell}: 0 to {cells - 1} were read", file=str(path))
    selected = history.selected_only()
    for index in range(cells) if cell is None else (cell,):
        for pulse, train in trains_of_cell(selected.of_cells([index])):
            if len(train) >= _MIN_VALUES:
                yield pulse, Owner("array", index), train


def trains_of_cell(history: History) -> Iterator[tuple[Pulse, FloatArray]]:
    """Yield pulse and conductances, siemens, of each train of the only cell of a history.

    A train ends if the pulse changes, and if two reads have several pulses or none between them:
    the second of these reads begins the next train.
    """
    train: list[float] = []
    pulse: Pulse | None = None
    between: list[tuple[float, float, int]] = []
    for event in history.events:
        if isinstance(event, Stimulus):
            between.append((float(event.voltage_v[0]), event.width_s, event.count))
            continue
        seen_conductance_s = float(event.conductance_s[0])
        given = between[0][:2] if len(between) == 1 and between[0][2] == 1 else None
        if pulse is not None and given != pulse:
            yield pulse, np.array(train)
            train, pulse = train[-1:], None
        if given is None:
            train = [seen_conductance_s]
        else:
            pulse = given
            train.append(seen_conductance_s)
        between = []
    if pulse is not None:
        yield pulse, np.array(train)


def _direction(where: str, pulse: Pulse, trains: list[FloatArray]) -> Direction:
    shown = f"{format_quantity(pulse[0], 'V')}, {format_quantity(pulse[1], 's')}"
    if pulse[0] == 0:
        raise ConfigError(f"{len(trains)} trains of {shown}: that is no pulse", file=where)
    shortest = min(map(len, trains))
    if (len(trains) < _MIN_TRAINS and shortest < _MIN_LONE) or shortest < _MIN_VALUES:
        raise ConfigError(
            f"{len(trains)} trains of {shown}, the shortest of {shortest} values:"
            f" expected {_MIN_TRAINS} trains of {_MIN_VALUES} values or more, as half of them"
            f" are left out to compare with, or one of {_MIN_LONE} or more",
            file=where,
        )
    change_conductance_s = np.array([_change_conductance_s(one) for one in trains])
    if not change_conductance_s.any():
        raise ConfigError(
            f"{len(trains)} trains of {shown} stay at {trains[0][0]:.4g} S: a pulse that changes"
            " nothing determines nothing",
            file=where,
        )
    rises = bool(np.mean(change_conductance_s) > 0)
    against = (change_conductance_s > 0) != rises
    if np.mean(against) > _AGAINST:
        raise ConfigError(
            f"{int(against.sum())} of {len(trains)} trains of {shown} go against the others, first"
            f" train {int(np.argmax(against))}: one pulse must raise or lower the conductance",
            file=where,
        )
    return Direction(*pulse, trains, rises)


def _change_conductance_s(train: FloatArray) -> float:
    """Compute the change from the first to the last values, siemens; no value counts as both."""
    ends = min(3, len(train) // 2)
    return float(np.mean(train[-ends:]) - np.mean(train[:ends]))


def check_one_way(data: TrainData, model: str, where: str) -> None:
    """Refuse trains whose mean turns back, which a model with one step per state cannot describe.

    The mean turns if it goes back by more than a quarter of its range and by more than chance.
    Raises :class:`ConfigError` with ``where`` and the pulses.
    """
    for one in data.directions:
        padded_conductance_s = one.padded_conductance_s
        kept = np.isfinite(padded_conductance_s).sum(axis=0) > len(one.trains) / 2
        padded_conductance_s = padded_conductance_s[:, kept] * (1 if one.rises else -1)
        mean_conductance_s = np.nanmean(padded_conductance_s, axis=0)
        back_conductance_s = np.maximum.accumulate(mean_conductance_s) - mean_conductance_s
        last = int(np.argmax(back_conductance_s))
        first = int(np.argmax(mean_conductance_s[: last + 1]))
        parts_conductance_s = padded_conductance_s[:, first] - padded_conductance_s[:, last]
        chance_conductance_s = np.nanstd(parts_conductance_s) / np.sqrt(
            max(len(parts_conductance_s) - 1, 1)
        )
        if back_conductance_s[last] > max(
            _TURN * float(np.ptp(mean_conductance_s)), _CLEARLY * chance_conductance_s
        ):
            share = back_conductance_s[last] / float(np.ptp(mean_conductance_s))
            raise ConfigError(
                f"{len(one.trains)} trains of {one.amplitude_v:g} V turn: their mean goes back by"
                f" {share:.0%} of its range from pulse {first} to pulse {last}; {model} needs"
                " trains that go one way, pulse_table does not",
                file=where,
            )


def _check(where: str, directions: Sequence[Direction]) -> None:
    for rises in (True, False):
        same = [one for one in directions if one.rises == rises]
        if len(same) > 1:
            pulses = ", ".join(f"{one.amplitude_v:g} V {one.width_s:g} s" for one in same)
            raise ConfigError(
                f"{len(same)} pulses {'raise' if rises else 'lower'} the conductance, {pulses}:"
                " calibrate each for itself",
                file=where,
            )
