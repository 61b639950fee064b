"""Table of a sweep: settings, outcomes and figures of every point."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hwloop.backend.origin import Origin
from hwloop.disk import named_errors
from hwloop.record.reader import Record
from hwloop.sweep.grid import Point, shown
from hwloop.sweep.point import Ended


@dataclass(frozen=True)
class Column:
    """Name, unit and meaning of a figure. ``yes_or_no``: 1 or 0 for one array."""

    name: str
    unit: str
    meaning: str
    yes_or_no: bool


@dataclass(frozen=True)
class Result:
    """Result of one point. ``reached``: fraction that reached every aim; NaN if it failed.

    ``origin``: whether its numbers are measured or emulated; "" where it failed.
    ``figures``: the last row of every table, where it is a number for an array; means over a
    population. ``message``: of the outcomes, or the error. The times are "" where it failed.
    """

    point: Point
    ended: Ended
    reached: float
    figures: dict[str, float]
    message: str
    started_utc: str = ""
    ended_utc: str = ""
    origin: Origin | Literal[""] = ""


def result(point: Point, ended: Ended) -> Result:
    """Read the outcome and the figures of a point from its record."""
    if ended.status != "completed":
        return Result(point, ended, float("nan"), {}, ended.error or ended.status)
    figures: dict[str, float] = {}
    reached, messages = [], []
    with Record(Path(ended.record)) as record:
        population = record.population or 1
        for label in record.labels:
            outcome = record.outcome(label)
            if outcome is not None:
                reached.append(outcome[0])
                messages.append(f"{label}: {outcome[1]}")
            for table in record.tables(label):
                figures |= _of_table(record, label, table, population)
        times = record.attrs["started_utc"], record.attrs["ended_utc"]
        origin = record.origin
    converged = [value for name, value in figures.items() if name.endswith("summary.converged")]
    fraction = min([float(all(reached)), *converged]) if population == 1 else _least(converged)
    return Result(point, ended, fraction, figures, "; ".join(messages), *times, origin)


def _least(converged: list[float]) -> float:
    return min(converged) if converged else float("nan")


def _of_table(record: Record, label: str, table: str, population: int) -> dict[str, float]:
    found = {}
    for name, values in record.results(label, table).items():
        if not len(values) or values.dtype.kind not in "iufb":
            continue
        last = np.asarray(values[-1], dtype=np.float64)
        if last.size in (1, population):
            key = ".".join(part for part in (label, table, name) if part)
            found[key] = float(last.mean())
    return found


def origins(results: Sequence[Result]) -> str:
    """Return where the numbers of all finished points come from, in words."""
    return " and ".join(dict.fromkeys(one.origin for one in results if one.origin))


def figure_names(results: Sequence[Result]) -> list[str]:
    """Return the names of all figures that some point has, in order."""
    return list(dict.fromkeys(name for one in results for name in one.figures))


def moving(results: Sequence[Result]) -> list[str]:
    """Return the names of the figures that differ between points."""
    return [
        name
        for name in figure_names(results)
        if len({repr(one.figures.get(name)) for one in results}) > 1
    ]


def columns(results: Sequence[Result]) -> dict[str, Column]:
    """Return name, unit and meaning of each figure, from the first record that has it."""
    found: dict[str, Column] = {}
    for one in results:
        new = one.figures.keys() - found.keys()
        if new:
            with Record(Path(one.ended.record)) as record:
                found |= {key: _column(record, key) for key in new}
    return found


def _column(record: Record, key: str) -> Column:
    label, *inner, name = key.split(".")
    table = ".".join(inner)
    kind = record.results(label, table)[name].dtype.kind
    return Column(
        name,
        record.units(label, table)[name],
        record.meanings(label, table)[name],
        yes_or_no=kind == "b" and record.population is None,
    )


def write_csv(results: Sequence[Result], path: Path) -> None:
    """Write one line a point: settings, status, figures, record.

    Raises :class:`hwloop.errors.RecordError` where it cannot be written.
    """
    keys = [key for key, _ in results[0].point.values] if results else []
    names = figure_names(results)
    with named_errors(path), path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(
            [*keys, "status", "origin", "reached", *names, "wall_s", "record", "message"]
        )
        for one in results:
            values = [shown(value) for _, value in one.point.values]
            figures = [one.figures.get(name, "") for name in names]
            record = Path(one.ended.record).name if one.ended.record else ""
            row: list[Any] = [*values, one.ended.status, one.origin, one.reached, *figures]
            writer.writerow([*row, one.ended.wall_s, record, one.message])
