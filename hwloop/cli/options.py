"""Backend, procedure, report and progress of a command, by the options that it was given."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from hwloop.terminal import say

if TYPE_CHECKING:
    from hwloop.cli.progress import JsonLines, LiveLine
    from hwloop.procedure.procedure import Procedure


def chosen_backend(named: str | None, recording: Path | None, station: Path | None) -> str:
    """Return the backend that was named, else that of the file given, else the emulator."""
    from hwloop.backend.registered import backend_for

    return backend_for(named, {"recording": recording, "station": station})


def load(
    backend: str,
    path: Path,
    overrides: list[str] | None,
    calibration: str | None,
    recording: Path | None,
    station: Path | None,
) -> Procedure:
    """Load the procedure with the files that the options name in the sections they belong to."""
    from hwloop.procedure.procedure import load_procedure
    from hwloop.procedure.sections import file_override

    files = {"recording": recording, "station": station}
    source = [file_override(key, file, backend) for key, file in files.items() if file]
    return load_procedure(
        path, [*(overrides or ()), *source], calibration=calibration, backend=backend
    )


def write_report_of(record: Path, out: Path | None, *, overwrite: bool, quiet: bool) -> None:
    """Write the report of a record or an import, and say where unless ``quiet``."""
    from hwloop.datasets.measurement import is_measurement

    if is_measurement(record):
        from hwloop.report.imported import write_import_report

        written = write_import_report(record, out, overwrite=overwrite)
    else:
        from hwloop.report.write import write_report

        written = write_report(record, out, overwrite=overwrite)
    if not quiet:
        say(f"report: {written.html}")


def observer_for(*, json_lines: bool) -> JsonLines | LiveLine | None:
    """Return who shows the progress of a run: lines of JSON, a line on a terminal, or nobody."""
    if json_lines:
        return json_writer()
    if not sys.stderr.isatty():
        return None
    from hwloop.cli.progress import LiveLine
    from hwloop.terminal import plain_console

    return LiveLine(plain_console(stderr=True))


def json_writer() -> JsonLines:
    """Return a writer of lines of JSON to the standard output."""
    from hwloop.cli.progress import JsonLines

    return JsonLines(typer.echo)


def close_observer(observer: JsonLines | LiveLine | None) -> None:
    """Take a live line off the terminal."""
    close = getattr(observer, "close", None)
    if close is not None:
        close()
