"""The page of a report: what happened first, how it came about after it, the procedure last."""

from __future__ import annotations

import base64
import html
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from hwloop.describe import STATUS_MEANING
from hwloop.plot import SavedFigure
from hwloop.record_reader import Record
from hwloop.report_values import LARGEST_CELL, flat, result
from hwloop.units import format_quantity

_MOST_ROWS = 60
_SHOWN = 0.75
"""Size of an image on the page: its letters are then as large as the page's."""
_MOST_OF_A_KIND = 3
"""Lines of the log that say the same with other numbers are shown as one from here on."""


@dataclass(frozen=True)
class StepFigures:
    """The figures of a step, or why there are none."""

    label: str
    figures: tuple[SavedFigure, ...]
    note: str


def page(record: Record, drawn: Sequence[StepFigures]) -> str:
    """The whole page; its images stand in it."""
    css = files("hwloop").joinpath("report.css").read_text(encoding="utf-8")
    body = "\n".join(_body(record, drawn))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(record.attrs['procedure'])}: {_text(record.path.stem)}</title>\n"
        f"<style>\n{css}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _body(record: Record, drawn: Sequence[StepFigures]) -> Iterator[str]:
    yield f"<h1>{_text(record.attrs['procedure'])}</h1>"
    yield from _outcomes(record)
    if record.resolved["about"]:
        yield f"<p>{_text(record.resolved['about'])}</p>"
    yield "<h2>The run</h2>"
    yield _table(_run(record))
    yield from _warnings(record)
    for step in drawn:
        yield f"<h2>{_text(step.label)}: results</h2>"
        if step.note:
            yield f"<p>{_text(step.note)}</p>"
        yield from map(_figure, step.figures)
        yield from _results(record, step.label)
    yield from _settings(record)
    yield from _array(record)
    yield from _log(record)
    yield "<h2>The procedure as it was read</h2>"
    if record.overrides:
        given = " ".join(f"--set {item}" for item in record.overrides)
        yield f"<p>Changed on the command line: <code>{_text(given)}</code></p>"
    text = record.procedure_text
    yield f"<pre>{_text(text)}</pre>" if text else "<p>It was not read from a file.</p>"


def _outcomes(record: Record) -> Iterator[str]:
    for entry in record.resolved["steps"]:
        label = entry["label"]
        outcome = record.outcome(label) if label in record.labels else None
        began = "did not get to its end" if label in record.labels else "did not begin"
        reached, words = outcome or (False, began)
        kind = "good" if reached else "bad"
        yield f'<p class="outcome {kind}"><b>{_text(label)}</b>: {_text(words)}.</p>'
    kind = "" if record.status == "completed" else "bad"
    status = _text(record.status)
    meaning = STATUS_MEANING.get(record.status, "its meaning is not known to this version")
    yield f'<p class="outcome {kind}">The run is <b>{status}</b>: {_text(meaning)}.</p>'


def _run(record: Record) -> Iterator[tuple[str, str]]:
    attrs = record.attrs
    *_, rows, cols = record.shape
    population = attrs["population"]
    each = f"{rows} × {cols} cells (rows × columns)"
    yield "Array", f"{population} arrays of {each}" if population else each
    yield "Backend", attrs["backend"]
    device = record.identity.get("device")
    if isinstance(device, dict) and "model" in device:
        yield "Device model", str(device["model"])
    yield "Seed", str(attrs["seed"])
    yield "Began", attrs["started_utc"]
    yield "Ended", attrs["ended_utc"] or "not in order"
    yield "Duration", format_quantity(record.duration_s, "s", digits=3)
    if len(record):
        on_array_s = record.operation(len(record) - 1).array_time_s
        yield "Time on the array's clock", format_quantity(on_array_s, "s", digits=4)
    counts = Counter(record.operation_kinds)
    words = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    yield "Operations", f"{len(record)} ({words})" if counts else "none"
    yield "Pulses", _pulses(record)
    yield "Record", record.path.name
    yield "Host", f"{attrs['host']}, {attrs['platform']}"
    yield (
        "Versions",
        f"hwloop {attrs['hwloop_version']}, Python {attrs['python_version']},"
        f" NumPy {attrs['numpy_version']}",
    )


def _pulses(record: Record) -> str:
    given = record.pulses_given()
    before = int(record.resolved["array"]["pulses_before"])
    bound = record.resolved["array"]["limits"]["pulses_per_device"]
    history = f"{before} before this run, " if before else ""
    return (
        f"{int(given.sum())} in all; at most {int(given.max())} on a device"
        f" ({history}limit {bound} in its life)"
    )


def _figure(figure: SavedFigure) -> str:
    png = figure.path.read_bytes()
    data = base64.b64encode(png).decode("ascii")
    width_px = int.from_bytes(png[16:20], "big")  # PNG (ISO/IEC 15948), 11.2.2: in the header
    first, *more = figure.caption.split("\n\n")
    paragraphs = "".join(f"<p>{_text(words)}</p>" for words in more)
    return (
        f'<figure><img src="data:image/png;base64,{data}" alt="{_text(figure.title)}"'
        f' width="{round(width_px * _SHOWN)}">'
        f"<figcaption><p><b>{_text(figure.title)}.</b> {_text(first)}</p>{paragraphs}"
        "</figcaption></figure>"
    )


def _results(record: Record, label: str) -> Iterator[str]:
    for table in record.tables(label):
        columns = record.results(label, table)
        rows = min((len(values) for values in columns.values()), default=0)
        if not rows:
            continue
        units, meanings = record.units(label, table), _meanings(record, label, table)
        small = all(values[0].size <= LARGEST_CELL for values in columns.values())
        if table and 1 < rows <= _MOST_ROWS and small:
            yield f"<h3>{_text(_words(table))}</h3>"
            yield _grid(columns, units, meanings)
            continue
        if table and rows > 1:
            yield f"<p>The record holds {rows} rows of {_text(_words(table).lower())}.</p>"
            continue
        name = _words(table) if table else f"At the end (row {rows} of {rows})"
        yield f"<h3>{_text(name)}</h3>"
        yield _table(
            (_words(key), result(values[-1], units[key]), meanings[key])
            for key, values in columns.items()
            if table or values[-1].ndim <= len(record.shape) - 2
        )


def _meanings(record: Record, label: str, table: str) -> dict[str, str]:
    """What the columns mean, without the axes that only a program needs."""
    said = record.meanings(label, table)
    return {name: re.sub(r";? *\([^()]*\)$", "", words) for name, words in said.items()}


def _grid(columns: dict[str, Any], units: dict[str, str], meanings: dict[str, str]) -> str:
    head = "".join(
        f"<th>{_text(_words(key))}<br><small>{_text(meanings[key])}</small></th>" for key in columns
    )
    body = "".join(
        f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in cells)}</tr>"
        for cells in zip(
            *([result(value, units[key]) for value in values] for key, values in columns.items()),
            strict=True,
        )
    )
    return f'<table class="grid"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _settings(record: Record) -> Iterator[str]:
    yield "<h2>What was asked</h2>"
    for entry in record.resolved["steps"]:
        yield f"<h3>{_text(entry['label'])} (step {_text(entry['step'])})</h3>"
        yield _table(flat(entry["settings"]))


def _array(record: Record) -> Iterator[str]:
    array = dict(record.resolved["array"])
    limits = array.pop("limits")
    yield "<h2>The array</h2>"
    yield _table(flat(array))
    yield "<h3>Its limits</h3>"
    yield _table(flat(limits))
    identity = dict(record.identity)
    device = dict(identity.pop("device", None) or {})
    calibration = device.pop("calibration", None)
    yield f"<h3>What stood for it: backend {_text(record.attrs['backend'])}</h3>"
    yield _table(flat(identity | ({"device": device} if device else {})))
    if isinstance(calibration, dict):
        yield "<h3>The calibration</h3>"
        yield _table(
            (_words(key), _link(value) if key == "doi" else value)
            for key, value in flat(calibration)
        )


def _warnings(record: Record) -> Iterator[str]:
    count = sum(1 for _, level, _ in record.log if level != "info")
    if count:
        noun = "line" if count == 1 else "lines"
        yield f'<p>The log has {count} {noun} to heed: <a href="#log">see there</a>.</p>'


def _log(record: Record) -> Iterator[str]:
    """The log; lines that say the same with other numbers are one line with their count."""
    if not record.log:
        return
    yield '<h2 id="log">Log</h2>'
    groups: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for time, level, message in record.log:
        groups.setdefault((level, _kind(message)), []).append((time, message))
    lines: list[tuple[str, str, str]] = []
    for (level, _), members in groups.items():
        if len(members) <= _MOST_OF_A_KIND:
            lines += [(time, level, message) for time, message in members]
        else:
            (first, message), (last, _) = members[0], members[-1]
            words = f"{len(members)} times, until {last}; the first: {message}"
            lines.append((first, level, words))
    yield _table(sorted(lines))


def _kind(message: str) -> str:
    """A message without its numbers and the cells that it lists."""
    return re.sub(r"cells?\b", "cell", re.sub(r"(:[^:]*cell \(.*)|\d+", "", message))


@dataclass(frozen=True)
class _Html:
    """Text that is markup already."""

    markup: str


def _link(doi: str) -> _Html:
    return _Html(f'<a href="https://doi.org/{html.escape(doi)}">{html.escape(doi)}</a>')


def _table(rows: Iterable[Sequence[object]]) -> str:
    lines = (
        f"<tr><th>{_text(head)}</th>{''.join(f'<td>{_text(cell)}</td>' for cell in cells)}</tr>"
        for head, *cells in rows
    )
    return f"<table>{''.join(lines)}</table>"


def _words(name: str) -> str:
    """A column's name as words, its unit left to the value."""
    stem, _, suffix = name.rpartition("_")
    words = (stem if stem and len(suffix) == 1 else name).replace("_", " ")
    return words[:1].upper() + words[1:]


def _text(value: object) -> str:
    return value.markup if isinstance(value, _Html) else html.escape(str(value))
