"""Write one self-contained HTML page about an imported file, and its figures as PNG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from hwloop.datasets.measurement import LAYOUTS, Measurement, read_measurement
from hwloop.plotting.style import SavedFigure, save_figures
from hwloop.recordings.figures import draw_measurement
from hwloop.recordings.summary import provenance, summaries, value_text
from hwloop.report.html import document, figure_of, heading_of, table_of, text_of
from hwloop.report.page import StepFigures
from hwloop.report.values import result
from hwloop.report.write import (
    ReportFiles,
    publish,
    refuse_existing,
    report_paths,
    scratch_for,
)


def write_import_report(path: Path, out: Path | None, *, overwrite: bool = False) -> ReportFiles:
    """Write the page and its figures where :func:`hwloop.report.write.write_report` would.

    Raises :class:`hwloop.errors.ConfigError` where the file cannot be read, and
    :class:`hwloop.errors.RecordError` where the output exists or cannot be written; nothing is left
    half-written.
    """
    measurement = read_measurement(path)
    target, folder = report_paths(path, out)
    if not overwrite:
        refuse_existing(target, folder)
    with scratch_for(target) as scratch:
        figures = draw_measurement(measurement)
        saved = save_figures(figures, scratch / "figures", origin="measured, imported")
        written = scratch / target.name
        title = f"{measurement.title}, measured, imported: {path.stem}"
        body = document(title, _body(path, measurement, saved))
        written.write_text(body, encoding="utf-8")
        return publish([StepFigures(measurement.kind, tuple(saved), "")], written, target, folder)


def _body(path: Path, measurement: Measurement, saved: Sequence[SavedFigure]) -> Iterator[str]:
    yield f"<h1>{text_of(measurement.title)}: measured, imported</h1>"
    yield "<h2>Where it comes from</h2>"
    said = ((heading_of(name), text) for name, text in provenance(measurement))
    yield table_of([*said, ("File", path.name)])
    yield "<h2>What was measured</h2>"
    yield from map(figure_of, saved)
    for title, figures in summaries(measurement):
        yield f"<h3>{text_of(heading_of(title))}</h3>"
        yield table_of((heading_of(name), value_text(*figure)) for name, figure in figures.items())
    yield "<h2>Columns</h2>"
    yield table_of(
        (
            heading_of(name, unit),
            f"{measurement.rows} rows",
            result(measurement.columns[name], unit),
        )
        for name, unit in LAYOUTS[measurement.kind].columns.items()
    )
