"""The trains that a calibration is made of: from datasets, of one cell, one pulse a direction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwloop.datasets import columns as measurement
from hwloop.datasets import pulse_table as dataset
from hwloop.errors import ConfigError
from hwloop.settings.units import format_quantity
from hwloop.types import FloatArray
from hwloop_sim.calibrate.inputs import check_format
from hwloop_sim.calibrate.operations.history import Drive, History, of_record

_LEAST_TRAINS = 2


_LEAST_VALUES = 3


_TURN = 0.25


_CLEARLY = 4.0


@dataclass(frozen=True)
class Direction:
    """Trains of one pulse, siemens; ``rises``: whether it raises the conductance."""

    amplitude_v: float
    width_s: float
    trains: Sequence[FloatArray]
    rises: bool

    @property
    def pulse(self) -> dict[str, float]:
        """As the settings of a model have it."""
        return {"amplitude_v": self.amplitude_v, "width_s": self.width_s}

    def half(self, which: int) -> Direction:
        """Every second train, so that slow changes of the device fall on both halves alike."""
        return Direction(self.amplitude_v, self.width_s, self.trains[which::2], self.rises)

    @property
    def padded_conductance_s(self) -> FloatArray:
        """(trains, longest), NaN after the end of each."""
        padded = np.full((len(self.trains), max(map(len, self.trains))), np.nan)
        for row, train in zip(padded, self.trains, strict=True):
            row[: len(train)] = train
        return padded


@dataclass(frozen=True)
class TrainData:
    """One or both directions, and where they come from."""

    directions: Sequence[Direction]
    sources: Sequence[str]
    device: str
    doi: str

    def half(self, which: int) -> TrainData:
        """Every second train of each direction."""
        halves = [direction.half(which) for direction in self.directions]
        return TrainData(halves, self.sources, self.device, self.doi)

    @property
    def span_conductance_s(self) -> tuple[float, float]:
        """Lowest and highest conductance measured."""
        values = np.concatenate([train for one in self.directions for train in one.trains])
        return float(np.nanmin(values)), float(np.nanmax(values))

    def named(self, *, rises: bool) -> Direction | None:
        """The direction that rises, or the one that falls."""
        return next((one for one in self.directions if one.rises == rises), None)


def load_trains(paths: Sequence[Path], *, cell: int | None, mixed: bool = False) -> TrainData:
    """The trains of all files together; ``mixed``: of several cells, if they hold such.

    Raises :class:`ConfigError` with file and what is wrong: several cells without ``cell``, two
    pulses of one direction, trains that go both ways under one pulse, too few of them.
    """
    tables = [_read(path) for path in paths]
    found: dict[tuple[float, float], list[FloatArray]] = {}
    for path, table in zip(paths, tables, strict=True):
        for pulse, train in _trains_of(path, table, cell, mixed=mixed):
            found.setdefault(pulse, []).append(train)
    where = ", ".join(map(str, paths))
    if not found:
        raise ConfigError(
            "has no train in it: no cell was read after each of two equal pulses or more",
            file=where,
        )
    for trains in found.values():
        dataset.check_unit(np.concatenate(trains), where)
    directions = [_direction(where, pulse, trains) for pulse, trains in found.items()]
    _check(where, directions)
    first = tables[0]
    return TrainData(
        sorted(directions, key=lambda one: not one.rises),
        list(dict.fromkeys(map(_source, tables))),
        "" if isinstance(first, History) else first.device,
        "" if isinstance(first, History) else first.doi,
    )


Table = dataset.ConductanceTable | measurement.Measurement | History


def _source(table: Table) -> str:
    return f"record {Path(table.where).name}" if isinstance(table, History) else table.source


def _read(path: Path) -> Table:
    if not path.is_file():
        raise ConfigError("there is no such file", file=str(path))
    form = dataset.format_of(path)
    if form == dataset.FORMAT:
        return dataset.read_dataset(path)
    if form == measurement.FORMAT:
        return measurement.read_measurement(path)
    check_format(path)
    return of_record(path)


def _trains_of(
    path: Path, table: Table, cell: int | None, *, mixed: bool
) -> Iterator[tuple[tuple[float, float], FloatArray]]:
    if isinstance(table, History):
        yield from _of_history(path, table, cell, mixed=mixed)
        return
    if isinstance(table, dataset.ConductanceTable):
        pulse = (table.conditions.amplitude_v, table.conditions.width_s)
        yield pulse, np.array(table.conductance_s)
        return
    if table.kind != "trains":
        raise ConfigError(f"holds {table.kind}: expected trains", file=str(path))
    columns = table.columns
    cells = np.unique(columns["cell"])
    if cell is None and cells.size > 1 and not mixed:
        raise ConfigError(
            f"holds trains of {cells.size} cells, which one calibration does not mix: name one"
            f" with --cell, {cells[0]:g} to {cells[-1]:g}",
            file=str(path),
        )
    mine = np.ones(table.rows, dtype=np.bool_) if cell is None else columns["cell"] == cell
    if not mine.any():
        raise ConfigError(f"has no cell {cell}", file=str(path))
    for number in np.unique(columns["train"][mine]):
        rows = mine & (columns["train"] == number)
        if not np.array_equal(columns["pulse"][rows], np.arange(rows.sum())):
            raise ConfigError(
                f"train {number:g} has a gap: its pulses are not 0, 1, 2, …", file=str(path)
            )
        pulse = (float(columns["amplitude_v"][rows][0]), float(columns["width_s"][rows][0]))
        yield pulse, columns["conductance_s"][rows]


def _of_history(
    path: Path, history: History, cell: int | None, *, mixed: bool
) -> Iterator[tuple[tuple[float, float], FloatArray]]:
    """Runs of equal single pulses, each read after it.

    What half-selected cells see between is left out: no model of trains says what it does.
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
            if len(train) >= _LEAST_VALUES:
                yield pulse, train


def trains_of_cell(history: History) -> Iterator[tuple[tuple[float, float], FloatArray]]:
    """(amplitude, width) and conductances of each train of the only cell of a history.

    A train ends where the pulse changes, where more than one comes between two reads, and where
    none does: that read begins the next one.
    """
    train: list[float] = []
    pulse: tuple[float, float] | None = None
    between: list[tuple[float, float, int]] = []
    for event in history.events:
        if isinstance(event, Drive):
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


def _direction(where: str, pulse: tuple[float, float], trains: list[FloatArray]) -> Direction:
    words = f"{format_quantity(pulse[0], 'V')}, {format_quantity(pulse[1], 's')}"
    if pulse[0] == 0:
        raise ConfigError(f"{len(trains)} trains of {words}: that is no pulse", file=where)
    if len(trains) < _LEAST_TRAINS or min(map(len, trains)) < _LEAST_VALUES:
        raise ConfigError(
            f"{len(trains)} trains of {words}, the shortest of {min(map(len, trains))} values:"
            f" expected {_LEAST_TRAINS} trains of {_LEAST_VALUES} values or more, as half of them"
            " are left out to compare with",
            file=where,
        )
    change_conductance_s = np.array([_change_conductance_s(one) for one in trains])
    if not change_conductance_s.any():
        raise ConfigError(
            f"{len(trains)} trains of {words} stay at {trains[0][0]:.4g} S: a pulse that changes"
            " nothing determines nothing",
            file=where,
        )
    rises = bool(np.mean(change_conductance_s) > 0)
    against = (change_conductance_s > 0) != rises
    if np.mean(against) > 0.25:
        raise ConfigError(
            f"{int(against.sum())} of {len(trains)} trains of {words} go against the others, first"
            f" train {int(np.argmax(against))}: one pulse must raise or lower the conductance",
            file=where,
        )
    return Direction(*pulse, trains, rises)


def _change_conductance_s(train: FloatArray) -> float:
    """From the first readings to the last ones, of which no reading is both."""
    ends = min(3, len(train) // 2)
    return float(np.mean(train[-ends:]) - np.mean(train[:ends]))


def check_one_way(data: TrainData, model: str, where: str) -> None:
    """Refuse trains whose mean turns, of which a model with one step for a state knows nothing.

    A turn: by more than a quarter of the range, and by more than chance shows.
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
