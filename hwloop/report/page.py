"""Page of a report: outcomes first, then settings and results, the procedure last."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hwloop.plotting.style import SavedFigure
from hwloop.record.reader import Record
from hwloop.report.html import document, figure_of, grid_of, heading_of, link, table_of, text_of
from hwloop.report.values import LARGEST_CELL, flat, inside, result, without_axes
from hwloop.settings.units import format_quantity

_MOST_ROWS = 60
_MOST_OF_A_KIND = 3
"""Lines of the log that say the same with other numbers are shown as one from here on."""


@dataclass(frozen=True)
class StepFigures:
    """Figures of a step, or the reason why there are none."""

    label: str
    figures: tuple[SavedFigure, ...]
    note: str


def page(record: Record, drawn: Sequence[StepFigures]) -> str:
    """Return the whole page with its images embedded."""
    title = f"{record.attrs['procedure']}, {record.origin}: {record.path.stem}"
    return document(title, _body(record, drawn))


def _body(record: Record, drawn: Sequence[StepFigures]) -> Iterator[str]:
    yield f"<h1>{text_of(record.attrs['procedure'])}: {text_of(record.origin)}</h1>"
    yield from _outcomes(record)
    if record.resolved["about"]:
        yield f"<p>{text_of(record.resolved['about'])}</p>"
    yield "<h2>The run</h2>"
    yield table_of(_run(record))
    yield from _warnings(record)
    for step in drawn:
        yield f"<h2>{text_of(step.label)}: results</h2>"
        if step.note:
            yield f"<p>{text_of(step.note)}</p>"
        yield from map(figure_of, step.figures)
        yield from _results(record, step.label)
    yield from _settings(record)
    yield from _array(record)
    yield from _log(record)
    yield "<h2>The procedure as it was read</h2>"
    if record.overrides:
        given = " ".join(f"--set {item}" for item in record.overrides)
        yield f"<p>Changed on the command line: <code>{text_of(given)}</code></p>"
    text = record.procedure_text
    yield f"<pre>{text_of(text)}</pre>" if text else "<p>It was not read from a file.</p>"


def _outcomes(record: Record) -> Iterator[str]:
    for entry in record.resolved["steps"]:
        label = entry["label"]
        outcome = record.outcome(label) if label in record.labels else None
        reached, message = outcome or (False, _unended(record, label))
        kind = "good" if reached else "bad"
        if outcome is None and record.status == "running":
            kind = ""
        said = f"{text_of(message)} ({text_of(record.origin)})"
        yield f'<p class="outcome {kind}"><b>{text_of(label)}</b>: {said}.</p>'
    kind = "" if record.status in {"completed", "running"} else "bad"
    status, meaning = text_of(record.status), text_of(record.status_meaning)
    yield f'<p class="outcome {kind}">The run is <b>{status}</b>: {meaning}.</p>'


def _unended(record: Record, label: str) -> str:
    """Return how far a step without an outcome has come."""
    has_begun = label in record.labels
    if record.status == "running":
        return "has not ended yet" if has_begun else "has not begun yet"
    return "did not get to its end" if has_begun else "did not begin"


def _run(record: Record) -> Iterator[tuple[str, str]]:
    attrs = record.attrs
    *_, rows, cols = record.shape
    population = attrs["population"]
    each = f"{rows} × {cols} cells (rows × columns)"
    yield "Array", f"{population} arrays of {each}" if population else each
    yield "Backend", attrs["backend"]
    yield "Numbers", record.origin
    device = record.identity.get("device")
    if isinstance(device, dict) and "model" in device:
        yield "Device model", str(device["model"])
    yield "Seed", str(attrs["seed"])
    yield "Began", attrs["started_utc"]
    unended = "not yet" if record.status == "running" else "not in order"
    yield "Ended", attrs["ended_utc"] or unended
    yield "Duration", format_quantity(record.duration_s, "s", digits=3)
    if len(record):
        on_array_s = record.operation(len(record) - 1).array_time_s
        yield "Time on the array's clock", format_quantity(on_array_s, "s", digits=4)
    counts = Counter(record.operation_kinds)
    summary = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    yield "Operations", f"{len(record)} ({summary})" if counts else "none"
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
    in_ledger = record.array("pulses_in_ledger")
    if in_ledger is not None:
        before += int(in_ledger.max())
    bound = record.resolved["array"]["limits"]["pulses_per_device"]
    history = f"up to {before} before this run, " if before else ""
    return (
        f"{int(given.sum())} in all; at most {int(given.max())} on a device"
        f" ({history}limit {bound} in its life)"
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
            yield f"<h3>{text_of(heading_of(table))}</h3>"
            heads = ((heading_of(key, units[key]), meanings[key]) for key in columns)
            cells = ([result(one, units[key]) for one in columns[key]] for key in columns)
            yield grid_of(heads, zip(*cells, strict=True))
            continue
        if table and rows > 1:
            yield f"<p>The record holds {rows} rows of {text_of(heading_of(table).lower())}.</p>"
            continue
        name = heading_of(table) if table else f"At the end (row {rows} of {rows})"
        yield f"<h3>{text_of(name)}</h3>"
        yield table_of(
            (heading_of(key, units[key]), result(values[-1], units[key]), meanings[key])
            for key, values in columns.items()
            if table or values[-1].ndim <= len(record.shape) - 2
        )


def _meanings(record: Record, label: str, table: str) -> dict[str, str]:
    """Return the meaning of each column, without the axes that only a program needs."""
    said = record.meanings(label, table)
    return {name: without_axes(meaning) for name, meaning in said.items()}


def _settings(record: Record) -> Iterator[str]:
    yield "<h2>What was asked</h2>"
    units = record.settings_units
    for index, entry in enumerate(record.resolved["steps"]):
        yield f"<h3>{text_of(entry['label'])} (step {text_of(entry['step'])})</h3>"
        yield table_of(flat(entry["settings"], inside(units, f"steps.{index}.settings")))


def _array(record: Record) -> Iterator[str]:
    array = dict(record.resolved["array"])
    units = inside(record.settings_units, "array")
    limits = array.pop("limits")
    yield "<h2>The array</h2>"
    yield table_of(flat(array, units))
    yield "<h3>Its limits</h3>"
    yield table_of(flat(limits, inside(units, "limits")))
    identity, units = dict(record.identity), record.identity_units
    device = dict(identity.pop("device", None) or {})
    calibration = device.pop("calibration", None)
    yield f"<h3>What stood for it: backend {text_of(record.attrs['backend'])}</h3>"
    yield table_of(flat(identity | ({"device": device} if device else {}), units))
    if isinstance(calibration, dict):
        yield "<h3>The calibration</h3>"
        units = inside(units, "device.calibration")
        yield table_of(
            (
                heading_of(key, units.get(key, "")),
                link(f"https://doi.org/{value}", value) if key == "doi" else value,
            )
            for key, value in flat(calibration, units)
        )


def _warnings(record: Record) -> Iterator[str]:
    count = sum(1 for _, level, _ in record.log if level != "info")
    if count:
        noun = "line" if count == 1 else "lines"
        yield f'<p>The log has {count} {noun} to heed: <a href="#log">see there</a>.</p>'


def _log(record: Record) -> Iterator[str]:
    """Return the log; lines that differ only in numbers become one line with their count."""
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
            summary = f"{len(members)} times, until {last}; the first: {message}"
            lines.append((first, level, summary))
    yield table_of(sorted(lines))


def _kind(message: str) -> str:
    """Strip a message of its numbers and the cells that it lists."""
    return re.sub(r"cells?\b", "cell", re.sub(r"(:[^:]*cell \(.*)|\d+", "", message))
