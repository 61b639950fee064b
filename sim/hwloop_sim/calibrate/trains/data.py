"""Trains that a calibration is made from: of one cell, one pulse in each direction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

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


@dataclass(frozen=True)
class Direction:
    """Trains of one pulse, siemens; ``rises``: whether the pulse raises the conductance."""

    amplitude_v: float
    width_s: float
    trains: Sequence[FloatArray]
    rises: bool

    @property
    def pulse(self) -> dict[str, float]:
        """Return amplitude and width as the settings of a device model have them."""
        return {"amplitude_v": self.amplitude_v, "width_s": self.width_s}

    def half(self, which: int) -> Direction:
        """Return every second train, so that drift of the device affects both halves alike.

        Of a lone train, the first two thirds and the last.
        """
        trains = self.trains[which::2]
        if self.lone:
            cut = 2 * len(self.trains[0]) // 3
            trains = [self.trains[0][cut:] if which else self.trains[0][:cut]]
        return Direction(self.amplitude_v, self.width_s, trains, self.rises)

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
    """Trains of one or both directions."""

    directions: Sequence[Direction]

    def half(self, which: int) -> TrainData:
        """Return every second train of each direction."""
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
    for path in paths:
        for pulse, train in _trains_of(path, cell, mixed=mixed):
            found.setdefault(pulse, []).append(train)
    where = ", ".join(map(str, paths))
    if not found:
        raise ConfigError(
            "has no train in it: no cell was read after each of two equal pulses or more",
            file=where,
        )
    for trains in found.values():
        check_unit(np.concatenate(trains), where)
    directions = [_direction(where, pulse, trains) for pulse, trains in found.items()]
    _check(where, directions)
    return TrainData(sorted(directions, key=lambda one: not one.rises))


def _trains_of(path: Path, cell: int | None, *, mixed: bool) -> Iterator[tuple[Pulse, FloatArray]]:
    if not path.is_file():
        raise ConfigError("there is no such file", file=str(path))
    if is_dataset(path):
        yield from _of_dataset(path, read_measurement(path), cell, mixed=mixed)
    else:
        check_format(path)
        yield from _of_history(path, of_record(path), cell, mixed=mixed)


def _of_dataset(
    path: Path, data: Measurement, cell: int | None, *, mixed: bool
) -> Iterator[tuple[Pulse, FloatArray]]:
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
        yield pulse, columns["conductance_s"][rows]


def _of_history(
    path: Path, history: History, cell: int | None, *, mixed: bool
) -> Iterator[tuple[Pulse, FloatArray]]:
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
                yield pulse, train


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
