"""Histories from imported data: trains of pulses, and I-V sweeps with their times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from hwloop.datasets.importing import import_measurement
from hwloop.datasets.measurement import Measurement, read_measurement
from hwloop.errors import ConfigError
from hwloop.types import FloatArray
from hwloop_sim.calibrate.operations.history import History, Read, Stimulus, check

_READ_V = 0.1  # of trains that do not state it: irrelevant if current is linear in voltage
_SAME = 2e-4  # of the largest current: scatter of currents that a source limits
_HELD = 5  # points alike from which on they are limited, not a maximum
_NO_VOLTAGE = 1e-3  # of the largest: below it a current does not show the conductance


def of_dataset(path: Path, *, cell: int | None) -> list[History]:
    """Return the histories of a dataset.

    Raises :class:`ConfigError` with file and place if the data have gaps or no times.
    """
    return _of_measurement(path, read_measurement(path), cell)


def of_text(path: Path, *, cell: int | None) -> list[History]:
    """Return the histories of a lab's own file of columns, by the reader that recognises it.

    Raises :class:`ConfigError` as :func:`of_dataset` does, and if the file must be imported with
    conditions first.
    """
    # A calibration states its sources; here the file is the source.
    imported = import_measurement(path, reader=None, given={"source": path.name})
    return _of_measurement(path, imported.measurement, cell)


def _of_measurement(path: Path, data: Measurement, cell: int | None) -> list[History]:
    columns = _of_cell(path, data, cell)
    if data.kind == "trains":
        found = list(_every_train(path, columns, data.conditions.read_v or _READ_V))
    elif data.kind == "iv":
        found = list(_every_sweep(path, columns))
    else:
        raise ConfigError(
            f"holds {data.kind}: a device model is fitted to trains, iv or a record",
            file=str(path),
        )
    for history in found:
        check(history, short=data.kind == "trains")
    return found


def _of_cell(path: Path, data: Measurement, cell: int | None) -> dict[str, FloatArray]:
    columns = dict(data.columns)
    if cell is None:
        return columns
    chosen = columns["cell"] == cell
    if not chosen.any():
        raise ConfigError(f"has no cell {cell}", file=str(path))
    return {name: column[chosen] for name, column in columns.items()}


def _every_train(path: Path, columns: dict[str, FloatArray], read_v: float) -> Iterator[History]:
    by_width: dict[float, list[tuple[FloatArray, FloatArray]]] = {}
    keys = np.stack([columns["cell"], columns["train"]], axis=1)
    for cell, number in np.unique(keys, axis=0):
        rows = (keys == (cell, number)).all(axis=1)
        if not np.array_equal(columns["pulse"][rows], np.arange(rows.sum())):
            raise ConfigError(
                f"train {number:g} has a gap: its pulses are not 0, 1, 2, …", file=str(path)
            )
        widths_s = np.unique(columns["width_s"][rows])
        if widths_s.size > 1:
            raise ConfigError(f"train {number:g} has pulses of several widths", file=str(path))
        train = (columns["conductance_s"][rows], columns["amplitude_v"][rows])
        by_width.setdefault(float(widths_s[0]), []).append(train)
    for width_s, trains in by_width.items():
        yield _trains(path, trains, width_s, read_v)


def _trains(
    path: Path, trains: Sequence[tuple[FloatArray, FloatArray]], width_s: float, read_v: float
) -> History:
    """Return trains as a history in which each is a cell, as none of their beginnings is known."""
    longest = max(len(train_conductance_s) for train_conductance_s, _ in trains)
    seen_conductance_s = np.full((longest, len(trains)), np.nan)
    volts = np.zeros((longest, len(trains)))
    for column, (train_conductance_s, train_v) in enumerate(trains):
        seen_conductance_s[: len(train_conductance_s), column] = train_conductance_s
        volts[: len(train_conductance_s), column] = train_v
    events: list[Stimulus | Read] = [Read(read_v, True, seen_conductance_s[0] * read_v)]
    for pulse in range(1, longest):
        events.append(Stimulus(volts[pulse], width_s))
        events.append(Read(read_v, True, seen_conductance_s[pulse] * read_v))
    return History(str(path), [f"train {n}" for n in range(len(trains))], events)


def _every_sweep(path: Path, columns: dict[str, FloatArray]) -> Iterator[History]:
    """Yield one history per waveform, in which each sweep is a cell with an unknown beginning."""
    together: dict[tuple[bytes, bytes], list[tuple[str, FloatArray, FloatArray, FloatArray]]] = {}
    keys = np.stack([columns["cell"], columns["sweep"]], axis=1)
    for cell, number in np.unique(keys, axis=0):
        rows = (keys == (cell, number)).all(axis=1)
        name = f"cell {cell:g}, sweep {number:g}"
        time_s, volts, current_a = (columns[c][rows] for c in ("time_s", "voltage_v", "current_a"))
        _check_times(path, name, time_s)
        key = volts.tobytes(), np.diff(time_s).tobytes()
        together.setdefault(key, []).append((name, time_s, volts, current_a))
    for sweeps in together.values():
        _, time_s, volts, _ = sweeps[0]
        current_a = np.stack([_not_held(sweep[3]) for sweep in sweeps], axis=1)
        events = list(_sweep_events(time_s, volts, current_a))
        yield History(str(path), [sweep[0] for sweep in sweeps], events)


def _check_times(path: Path, name: str, time_s: FloatArray) -> None:
    if np.isnan(time_s).any():
        raise ConfigError(
            f"{name} has no times: how long each voltage lasted is not known; give it a column"
            " of times, or say how fast the voltage was swept: hwloop import FILE --set"
            " rate_v_per_s=0.1",
            file=str(path),
        )
    back = np.flatnonzero(np.diff(time_s) <= 0)
    if back.size:
        row = int(back[0]) + 1
        raise ConfigError(
            f"{name}, point {row}: time {time_s[row]:g} s does not come after"
            f" {time_s[row - 1]:g} s",
            file=str(path),
        )


def _not_held(current_a: FloatArray) -> FloatArray:
    """Set currents at the limit of the source to NaN: their voltage is not the one set."""
    most_a = np.abs(current_a).max()
    held = np.abs(np.abs(current_a) - most_a) <= _SAME * most_a
    return np.where(held, np.nan, current_a) if held.sum() >= _HELD else current_a


def _sweep_events(
    time_s: FloatArray, volts: FloatArray, current_a: FloatArray
) -> Iterator[Stimulus | Read]:
    """Yield the events of a sweep; between two points a cell sees the mean of their voltages."""
    least_v = _NO_VOLTAGE * float(np.abs(volts).max())
    for index, (volt, currents_a) in enumerate(zip(volts, current_a, strict=True)):
        if index:
            mean_v = (volts[index - 1] + volt) / 2
            yield Stimulus(
                np.full(currents_a.size, mean_v), float(time_s[index] - time_s[index - 1])
            )
        if abs(volt) > least_v:
            yield Read(float(volt), False, currents_a)
