"""Page of a sweep: results first, then each point, and the command that repeats it."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hwloop.plotting.style import SavedFigure
from hwloop.record.reader import Record
from hwloop.report.html import (
    Html,
    document,
    figure_of,
    grid_of,
    heading_of,
    link,
    table_of,
    text_of,
)
from hwloop.report.values import quantity, setting, without_axes
from hwloop.settings.units import parse_quantity
from hwloop.sweep.grid import SEED, Point, shown
from hwloop.sweep.groups import Group, Spread, groups
from hwloop.sweep.manifest import Manifest
from hwloop.sweep.table import Column, Result, columns, figure_names, moving, origins

_MOST_POINTS = 2000
_MOST_VALUES = 12


@dataclass(frozen=True)
class Sweep:
    """Sweep as found in its folder: one result a point, in order."""

    folder: Path
    manifest: Manifest
    results: tuple[Result, ...]

    @property
    def finished(self) -> tuple[Result, ...]:
        """Results of the points that completed."""
        return tuple(one for one in self.results if one.ended.status == "completed")

    @property
    def unfinished(self) -> tuple[Result, ...]:
        """Results of the points that failed or were interrupted."""
        return tuple(one for one in self.results if one.ended.status != "completed")

    @cached_property
    def varied(self) -> tuple[str, ...]:
        """Keys of the settings that took several values; for a single point, of all given ones."""
        texts: dict[str, set[str]] = {}
        for one in self.results:
            for key, value in one.point.values:
                texts.setdefault(key, set()).add(shown(value))
        return tuple(key for key in texts if len(texts[key]) > 1) or tuple(texts)

    @cached_property
    def units(self) -> dict[str, str]:
        """Return the unit of each setting that was given, from the record of a finished point."""
        keys = {key for one in self.results for key, _ in one.point.values}
        with Record(Path(self.finished[0].ended.record)) as record:
            return {key: record.unit_of(key) for key in keys}

    def text_of_setting(self, key: str, value: Any) -> str:
        """Return a value that a setting took: its label, or itself with its unit.

        Labels that the sweep's file gives stand for values of several parts, not for plain ones.
        """
        figure = self.manifest.figure
        if figure is not None and (isinstance(value, list | dict) or "+" in key):
            return figure.label(shown(value))
        unit = self.units[key]
        if isinstance(value, list | dict):
            return shown(value)
        if isinstance(value, str) and unit:
            with suppress(ValueError):  # a word that a setting takes in place of a number
                return setting(parse_quantity(value, unit), unit)
        return setting(value, unit)


def page(sweep: Sweep, figures: Sequence[SavedFigure], target: Path) -> str:
    """Return the whole page for ``target``, with its images embedded."""
    with Record(Path(sweep.finished[0].ended.record)) as record:
        name, about = str(record.attrs["procedure"]), str(record.resolved["about"])
        text = record.procedure_text
    return document(f"{name}: sweep", _body(sweep, figures, target, (name, about, text)))


def _body(
    sweep: Sweep, figures: Sequence[SavedFigure], target: Path, procedure: tuple[str, str, str]
) -> Iterator[str]:
    name, about, text = procedure
    yield f"<h1>{text_of(name)}: a sweep, {text_of(origins(sweep.finished))}</h1>"
    yield from _outcomes(sweep)
    if about:
        yield f"<p>{text_of(about)}</p>"
    yield "<h2>What was swept</h2>"
    yield table_of(_swept(sweep))
    yield from _failures(sweep, target)
    yield from _results(sweep)
    if figures:
        yield "<h2>Figures</h2>"
        yield from map(figure_of, figures)
    yield from _points(sweep, target)
    yield "<h2>To make it again</h2>"
    yield f'<pre class="command">{text_of(sweep.manifest.command)}</pre>'
    yield "<p>In an empty folder it runs every point, in this one those that have not finished.</p>"
    yield "<h2>The procedure as it was read</h2>"
    yield f"<pre>{text_of(text)}</pre>"


def _outcomes(sweep: Sweep) -> Iterator[str]:
    total, done = len(sweep.results), len(sweep.finished)
    failed = sum(1 for one in sweep.results if one.ended.error)
    rest = total - done - failed
    parts = [f"<b>{done} of {total}</b> points finished"]
    parts += [f"{failed} failed"] if failed else []
    parts += [f"{rest} did not run to the end"] if rest else []
    yield f'<p class="outcome {"good" if done == total else "bad"}">{"; ".join(parts)}.</p>'
    if sweep.manifest.population is None:
        reached = sum(1 for one in sweep.finished if one.reached == 1)
        kind = "good" if reached else "bad"
        yield (
            f'<p class="outcome {kind}"><b>{reached} of {done}</b> finished points reached every'
            " aim.</p>"
        )


def _swept(sweep: Sweep) -> Iterator[tuple[str, object]]:
    manifest = sweep.manifest
    yield "Procedure", manifest.procedure
    yield "SHA-256 of its file", manifest.procedure_sha256
    yield "Backend", manifest.backend
    yield "Numbers", origins(sweep.finished)
    if manifest.population is not None:
        yield "Arrays at every point", str(manifest.population)
    yield "Version", f"hwloop {manifest.hwloop_version}"
    values: dict[str, dict[str, str]] = {}
    for one in sweep.results:
        for key, value in one.point.values:
            values.setdefault(key, {})[shown(value)] = sweep.text_of_setting(key, value)
    for key, texts in values.items():
        yield f"Over {key}", _listed(list(texts.values()))
    if manifest.overrides:
        yield "Set at every point", " ".join(manifest.overrides)
    yield "Points", str(len(sweep.results))
    yield "First began", min(one.started_utc for one in sweep.finished)
    yield "Last ended", max(one.ended_utc for one in sweep.finished)


def _listed(values: Sequence[str]) -> str:
    if len(values) <= _MOST_VALUES:
        return ", ".join(values)
    few = ", ".join(values[: _MOST_VALUES - 2])
    return f"{few}, … , {values[-1]} ({len(values)} values)"


def _heads(keys: Iterable[str]) -> Iterator[tuple[object, object]]:
    """Yield the last part of each key, and the whole in small letters, breakable at dots."""
    for key in keys:
        *path, last = key.split(".")
        whole = Html(text_of(key).replace(".", ".<wbr>"))
        yield last, whole if path else ""


def _settings(sweep: Sweep, point: Point, keys: Iterable[str]) -> Iterator[str]:
    values = dict(point.values)
    return (sweep.text_of_setting(key, values[key]) for key in keys)


def _results(sweep: Sweep) -> Iterator[str]:
    """Yield the tables of results: figures that vary, by step and table, then constant ones."""
    found, keys = groups(sweep.results), [key for key in sweep.varied if key != SEED]
    yield "<h2>Results</h2>"
    one_array = sweep.manifest.population is None
    about = columns(sweep.finished)
    yield f"<p>{_explained(found, one_array=one_array)}</p>"
    yield "<h3>Aims</h3>"
    whose = "every step's aim" if one_array else "every step's aim, fraction of the arrays"
    aims = Column("reached", "1", whose, yes_or_no=one_array)
    yield _grid(sweep, keys, found, [aims], [[group.reached] for group in found])
    changing = moving(sweep.finished)
    for place in dict.fromkeys(name.rpartition(".")[0] for name in changing):
        names = [name for name in changing if name.rpartition(".")[0] == place]
        label, _, table = place.partition(".")
        yield f"<h3>{text_of(label)}: {text_of(heading_of(table).lower() or 'at the end')}</h3>"
        spreads = [[group.spread(name) for name in names] for group in found]
        yield _grid(sweep, keys, found, [about[name] for name in names], spreads)
    yield from _constant(sweep, about, changing)


def _explained(found: Sequence[Group], *, one_array: bool) -> str:
    parts = "The last row that each step wrote"
    parts += "" if one_array else ", as the mean over the population"
    if all(len(group.results) == 1 for group in found):
        return f"{parts}: one run for each combination of settings."
    return (
        f"{parts}: for each combination of settings the mean ± the sample standard deviation over"
        " the seeds, and of what is so or not, in how many runs it was so. A figure that not every"
        " finished run has is followed by the number of those that have it."
    )


def _constant(sweep: Sweep, about: Mapping[str, Column], changing: Sequence[str]) -> Iterator[str]:
    same = [name for name in figure_names(sweep.finished) if name not in changing]
    if same:
        value = {name: value for one in sweep.finished for name, value in one.figures.items()}
        yield "<h3>The same at every point</h3>"
        lines = (
            (name, _one(value[name], about[name]), _sentence(without_axes(about[name].meaning)))
            for name in same
        )
        yield _wide(grid_of([("Figure", ""), ("Value", ""), ("Meaning", "")], lines))


def _grid(
    sweep: Sweep,
    keys: Sequence[str],
    found: Sequence[Group],
    shown_columns: Sequence[Column],
    spreads: Sequence[Sequence[Spread]],
) -> str:
    """Return a table with a line a group: settings, number of finished runs, ``spreads``."""
    heads = [
        *_heads(keys),
        ("Finished", "runs"),
        *((heading_of(one.name, one.unit), without_axes(one.meaning)) for one in shown_columns),
    ]
    lines = (
        [
            *_settings(sweep, group.results[0].point, keys),
            f"{len(group.finished)} of {len(group.results)}",
            *(
                _spread(spread, column, len(group.finished))
                for spread, column in zip(line, shown_columns, strict=True)
            ),
        ]
        for group, line in zip(found, spreads, strict=True)
    )
    return _wide(grid_of(heads, lines))


def _spread(spread: Spread, column: Column, finished: int) -> object:
    """Format a spread as ``"300.8 µJ ± 34 µJ"``, breakable only before the sign."""
    if column.yes_or_no and spread.count:
        return f"{round(spread.mean * spread.count)} of {spread.count}"
    parts = [_number(spread.mean, column.unit)]
    if math.isfinite(spread.deviation):
        two_digits = float(f"{spread.deviation:.2g}")
        parts.append(f"± {_number(two_digits, column.unit)}")
    if 0 < spread.count < finished:
        parts.append(f"(of {spread.count})")
    unbroken = (text_of(word).replace(" ", "&nbsp;") for word in parts)
    return Html(f'<span class="spread">{" ".join(unbroken)}</span>')


def _one(value: float, column: Column) -> str:
    if column.yes_or_no:
        return "yes" if value else "no"
    return _number(value, column.unit)


def _number(value: float, unit: str) -> str:
    return quantity(value, unit) if math.isfinite(value) else "—"


def _failures(sweep: Sweep, target: Path) -> Iterator[str]:
    if sweep.unfinished:
        yield "<h2>Points that did not finish</h2>"
        head = ("Record", "as far as it goes")
        yield _lines(sweep, sweep.unfinished, target, (head, ("Why", "")))


def _points(sweep: Sweep, target: Path) -> Iterator[str]:
    yield "<h2>Finished points</h2>"
    few = sweep.finished[:_MOST_POINTS]
    yield _lines(sweep, few, target, (("Record", "and its report"), ("Outcome", "")))
    if len(few) < len(sweep.finished):
        more = len(sweep.finished) - len(few)
        yield f"<p>… and {more} more, which stand in <code>sweep.csv</code>.</p>"


def _lines(
    sweep: Sweep, results: Sequence[Result], target: Path, heads: Sequence[tuple[str, str]]
) -> str:
    """Return a table with a line a point: settings, files, message."""
    lines = (
        [
            *_settings(sweep, one.point, sweep.varied),
            _files(one, target),
            _sentence(one.message),
        ]
        for one in results
    )
    return _wide(grid_of([*_heads(sweep.varied), *heads], lines))


def _files(one: Result, target: Path) -> Html:
    """Return links to the record of a point and to its report, where these files exist."""
    record = Path(one.ended.record)
    if not record.is_file():
        return Html("none")
    report = record.with_name(f"{record.stem}-report.html")
    found = [link(_address(record, target), record.stem.rpartition("-")[2])]
    found += [link(_address(report, target), "report")] if report.is_file() else []
    return Html(", ".join(one.markup for one in found))


def _address(path: Path, target: Path) -> str:
    """Return the address of ``path`` relative to the page; absolute on another drive."""
    try:
        return quote(Path(os.path.relpath(path, target.parent)).as_posix())
    except ValueError:
        return path.resolve().as_uri()


def _sentence(text: str) -> Html:
    """Return a sentence for a cell in which it may take several lines."""
    return Html(f'<span class="sentence">{text_of(" ".join(text.split()))}</span>')


def _wide(table: str) -> str:
    return f'<div class="wide">{table}</div>'
