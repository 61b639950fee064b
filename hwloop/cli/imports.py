"""Output of the command line about imported recordings, alone and beside runs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from rich.console import Console

from hwloop.cli.printing import note_lines, print_distances, print_unbroken, table_of
from hwloop.datasets.measurement import LAYOUTS, read_measurement
from hwloop.record.notes import read_notes
from hwloop.recordings.comparison import Figures, Section, compare_recordings
from hwloop.recordings.recording import open_recording
from hwloop.recordings.summary import provenance, summaries, value_text
from hwloop.terminal import plain_console


def print_import(path: Path) -> None:
    """Print what is in an imported file, and the figures of its devices."""
    console = plain_console()
    measurement = read_measurement(path)
    console.print(f"import       {path}", soft_wrap=True)
    console.print("numbers      measured, imported")
    for name, text in provenance(measurement):
        console.print(f"{name:12} {text}", soft_wrap=True)
    for line in note_lines(read_notes(path, "import")):
        console.print(line, soft_wrap=True)
    table = table_of("column", "rows", "lowest", "highest")
    for name, unit in LAYOUTS[measurement.kind].columns.items():
        values = measurement.columns[name]
        known = values[np.isfinite(values)]
        ends = (known.min(), known.max()) if known.size else (np.nan, np.nan)
        shown = (value_text(float(value), "" if unit == "1" else unit) for value in ends)
        table.add_row(f"{measurement.kind}/{name}", str(values.size), *shown)
    print_unbroken(table)
    for title, figures in summaries(measurement):
        _print_figures(console, title, (("", figures),))


def print_recordings(first: Path, second: Path, out: Path | None) -> None:
    """Print how far the devices of two recordings are apart, and draw them in ``out``."""
    a, b = open_recording(first), open_recording(second)
    sections = compare_recordings(a, b)
    console = plain_console()
    for name, one in (("first", a), ("second", b)):
        console.print(f"{name}: {one.provenance} ({one.path})", soft_wrap=True)
        for kind, measurement in one.measured.items():
            if measurement.conditions.note:
                note = f"{name}, {kind}: {measurement.conditions.note}"
                console.print(note, soft_wrap=True)
    for section in sections:
        _print_section(console, section)
    if out is not None:
        from hwloop.plotting.style import save_figures
        from hwloop.recordings.figures import draw_sections

        footer = f"first {a.provenance}, second {b.provenance}"
        figures = draw_sections(sections, (first.stem, second.stem))
        for saved in save_figures(figures, out, origin=footer):
            console.print(f"figure: {saved.path}", soft_wrap=True)


def _print_section(console: Console, section: Section) -> None:
    _print_figures(console, section.title, (("first", section.first), ("second", section.second)))
    for remark in section.remarks:
        console.print(remark, soft_wrap=True)
    if section.quantities:
        print_distances(console, section.quantities)


def _print_figures(console: Console, title: str, of: Iterable[tuple[str, Figures]]) -> None:
    """Print figures side by side, a column each, under the title."""
    sides = list(of)
    console.print()
    table = table_of(title, *(head for head, _ in sides))
    for name in sides[0][1]:
        table.add_row(name, *(value_text(*figures[name]) for _, figures in sides))
    print_unbroken(table)
