"""Write one self-contained HTML page about a record, and its figures as PNG."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name

from hwloop import plugins
from hwloop.errors import ConfigError, RecordError
from hwloop.plotting.style import SavedFigure, save_figures
from hwloop.record.growing import read_growing
from hwloop.record.reader import Record
from hwloop.report.page import StepFigures, page


@dataclass(frozen=True)
class ReportFiles:
    """Files of a report that has been written."""

    html: Path
    figures: tuple[Path, ...]


def write_report(record_path: Path, out: Path | None, *, overwrite: bool = False) -> ReportFiles:
    """Write the page, by default ``<record>-report.html``, and its figures in a folder beside it.

    ``out``: the page, or an existing folder to put it in. The page needs neither the figures'
    files nor a network. With ``overwrite`` files of the same names are replaced and no other is
    touched. Raises :class:`RecordError` where the record cannot be read or the output exists or
    cannot be written; nothing is left half-written. The run may still be in progress.
    """
    target, folder = report_paths(record_path, out)
    with Record(record_path, allow_running=True):  # before a folder is made for its page
        if not overwrite:
            refuse_existing(target, folder)
    with scratch_for(target) as scratch:

        def write(record: Record) -> tuple[list[StepFigures], Path]:
            folder_of_attempt = Path(tempfile.mkdtemp(dir=scratch))
            drawn = list(_draw(record, folder_of_attempt / "figures"))
            written = folder_of_attempt / target.name
            written.write_text(page(record, drawn), encoding="utf-8")
            return drawn, written

        drawn, written = read_growing(record_path, write)
        return publish(drawn, written, target, folder)


def report_paths(path: Path, out: Path | None) -> tuple[Path, Path]:
    """Return the page about a file, and the folder of its figures; ``out`` as in `write_report`."""
    target = target_of(path.with_name(f"{path.stem}-report.html"), out)
    return target, target.with_name(f"{target.stem.removesuffix('-report')}-figures")


def target_of(usual: Path, out: Path | None) -> Path:
    """Return the path of a page: ``usual``, or ``out``, which may be an existing folder."""
    if out is None:
        return usual
    return out / usual.name if out.is_dir() else out


def refuse_existing(*paths: Path) -> None:
    """Raise :class:`RecordError` naming the first of ``paths`` that is there."""
    for path in paths:
        if path.exists():
            raise RecordError(f"{path}: exists already; give --overwrite to replace it")


@contextmanager
def scratch_for(target: Path) -> Iterator[Path]:
    """Make a folder beside ``target`` for unfinished files, and remove it at the end.

    Raises :class:`RecordError` where something cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".report-") as scratch:
            yield Path(scratch)
    except OSError as exc:
        raise RecordError(f"{target}: cannot be written: {exc}") from None


def _draw(record: Record, folder: Path) -> Iterator[StepFigures]:
    """Draw the figures of each step that has results, and save them in ``folder``."""
    entries = record.resolved["steps"]
    for entry in entries:
        label = entry["label"]
        if label not in record.labels:
            continue
        try:
            figures = plugins.load(plugins.STEPS, entry["step"]).figures
            draw = resolve_name(figures) if figures else None
        except ConfigError as exc:  # the step's package is not installed: the record still reads
            yield StepFigures(label, (), f"No figures: {exc}.")
            continue
        saved: list[SavedFigure] = []
        if draw is not None:
            prefix = f"{label}-" if len(entries) > 1 else ""
            saved = save_figures(draw(record, label), folder, prefix=prefix, origin=record.origin)
        yield StepFigures(label, tuple(saved), "")


def publish(drawn: list[StepFigures], written: Path, target: Path, folder: Path) -> ReportFiles:
    """Move finished files to their place, the page last: where it is, all are."""
    figures: list[Path] = []
    for figure in (figure for step in drawn for figure in step.figures):
        folder.mkdir(exist_ok=True)
        figures.append(figure.path.replace(folder / figure.path.name))
    written.replace(target)
    return ReportFiles(target, tuple(figures))
