"""Run one point of a sweep, in whatever process: a function of plain data."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hwloop.errors import HwloopError, RecordError, Stopped
from hwloop.record.reader import Record
from hwloop.settings.foreign_hdf5 import walk
from hwloop.sweep.grid import Point

UNFINISHED = "unfinished"
"""Folder, below that of the sweep, in which records stand while they are written."""


@dataclass(frozen=True)
class SweepTask:
    """Work order for one point. ``threads``: most threads of numba; None: unchanged."""

    point: Point
    procedure: str
    backend: str
    population: int | None
    folder: str
    name: str
    threads: int | None = None

    @property
    def record(self) -> Path:
        """Path of the finished record."""
        return Path(self.folder) / f"{self.name}.h5"


@dataclass(frozen=True)
class Ended:
    """End of a point: its record, or its error. ``wall_s``: NaN for an earlier run."""

    index: int
    record: str
    status: str
    error: str
    wall_s: float


def name_of(procedure: dict[str, Any], backend: str, population: int | None) -> str:
    """Return a file name for one content: procedure with all values, backend, version."""
    content = json.dumps([procedure, backend, population, version("hwloop")], sort_keys=True)
    digest = hashlib.sha256(content.encode()).hexdigest()[:16]
    return f"{procedure['name']}-{digest}"


def content_of(record: Record) -> str:
    """Return the name that :func:`name_of` gives to the content of a record."""
    attrs = record.attrs
    resolved = record.resolved | {"seed": attrs["seed"]}
    content = json.dumps(
        [resolved, attrs["backend"], int(attrs["population"]) or None, attrs["hwloop_version"]],
        sort_keys=True,
    )
    return f"{resolved['name']}-{hashlib.sha256(content.encode()).hexdigest()[:16]}"


def finished(folder: Path) -> dict[str, Path]:
    """Return the records of completed runs in ``folder`` by the name of their content."""
    found: dict[str, Path] = {}
    paths = sorted(folder.glob("*.h5"))
    walk(paths)
    for path in paths:
        try:
            with Record(path) as record:
                if record.status == "completed":
                    found[content_of(record)] = path
        except RecordError:
            continue  # half-written, or not a record: it is no point's
    return found


def run_point(task: SweepTask) -> Ended:
    """Run a point and put its record in place; an error is a result, not raised.

    What is left of an earlier, unfinished attempt is replaced; a finished record never is.
    """
    from hwloop.execution.runner import RunOptions, run_procedure
    from hwloop.procedure.procedure import load_procedure

    _limit_threads(task.threads)
    began_s = time.perf_counter()
    scratch = Path(task.folder) / UNFINISHED / f"{task.name}.h5"
    status, error = "failed", ""
    try:
        scratch.parent.mkdir(parents=True, exist_ok=True)
        scratch.unlink(missing_ok=True)
        procedure = load_procedure(Path(task.procedure), task.point.overrides)
        options = RunOptions(
            task.backend, scratch, population=task.population, life_folder=Path(task.folder)
        )
        status = run_procedure(procedure, options).status
        if status == "completed":
            scratch.replace(task.record)
    except (HwloopError, OSError) as exc:
        error = f"{type(exc).__name__}: {exc}"
    except Exception as exc:  # noqa: BLE001 - a point that fails must not end the others
        error = f"unexpected {type(exc).__name__}: {exc}"
    if status == "stopped":
        raise Stopped(f"point {task.point.index} ({task.point.summary}) was stopped")
    where = task.record if status == "completed" else scratch
    return Ended(task.point.index, str(where), status, error, time.perf_counter() - began_s)


def _limit_threads(threads: int | None) -> None:
    if threads is not None:
        import numba

        numba.set_num_threads(min(threads, numba.get_num_threads()))
