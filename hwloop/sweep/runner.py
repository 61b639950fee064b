"""Run the points of a sweep: in this process, in local ones, or on a cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwloop.backend.registered import backend_kind
from hwloop.errors import BackendError, ConfigError
from hwloop.sweep.grid import Point, points, validate
from hwloop.sweep.point import Ended, SweepTask, finished, name_of, run_point
from hwloop.sweep.processes import run_in_processes, start_server

CONNECT_S = 10.0
"""How long a scheduler may take to answer, seconds."""


@dataclass(frozen=True)
class SweepOptions:
    """Options of a sweep.

    ``workers``: processes on this machine, None: one a core. ``scheduler``: address of a cluster.
    """

    procedure: Path
    folder: Path
    backend: str
    population: int | None = None
    workers: int | None = None
    scheduler: str | None = None


@dataclass(frozen=True)
class Prepared:
    """Sweep whose points are all valid: the finished ones, and the tasks that are left.

    ``names``: of the content of each point.
    """

    points: tuple[Point, ...]
    names: tuple[str, ...]
    done: tuple[Ended, ...]
    tasks: tuple[SweepTask, ...]


def prepare(options: SweepOptions, over: Sequence[str], overrides: Sequence[str] = ()) -> Prepared:
    """Validate every point and find those that stand in the folder, finished.

    Raises :class:`ConfigError` and :class:`LimitError` naming the point, before anything runs.
    """
    _check_workers(options)
    if options.scheduler is None and not _inline(options):
        start_server(backend_kind(options.backend).open.__module__)
    all_points = points(over, overrides)
    resolved = validate(options.procedure, all_points, options.backend)
    there = finished(options.folder) if options.folder.is_dir() else {}
    threads = 1 if options.scheduler else max(1, _cores() // workers_of(options))
    names = tuple(name_of(one, options.backend, options.population) for one in resolved)
    done, tasks = [], []
    for point, name in zip(all_points, names, strict=True):
        if name in there:
            done.append(Ended(point.index, str(there[name]), "completed", "", float("nan")))
            continue
        tasks.append(
            SweepTask(
                point,
                str(options.procedure.resolve()),
                options.backend,
                options.population,
                str(options.folder.resolve()),
                name,
                None if _inline(options) else threads,
            )
        )
    return Prepared(all_points, names, tuple(done), tuple(tasks))


def run_tasks(tasks: Sequence[SweepTask], options: SweepOptions) -> Iterator[Ended]:
    """Run the tasks, and yield each as it ends, in any order."""
    if options.scheduler is not None and tasks:
        yield from _on_cluster(tasks, options.scheduler)
    elif _inline(options):
        yield from map(run_point, tasks)
    else:
        yield from run_in_processes(tasks, workers_of(options))


def _on_cluster(tasks: Sequence[SweepTask], address: str) -> Iterator[Ended]:
    from distributed import as_completed

    with _client(address) as client:
        futures = client.map(run_point, tasks, pure=False, retries=0)
        of = {future.key: task for future, task in zip(futures, tasks, strict=True)}
        for future in as_completed(futures):
            error = future.exception()
            if error is None:
                yield future.result()
            else:  # its process died, or it could not be loaded there
                message = f"{type(error).__name__}: {error}"
                index = of[future.key].point.index
                yield Ended(index, "", "failed", message, float("nan"))
            future.release()


def workers_of(options: SweepOptions) -> int:
    """Return the number of processes: as asked, else one a core; one for hardware."""
    if options.workers is not None:
        return options.workers
    return 1 if _hardware(options.backend) else _cores()


def _inline(options: SweepOptions) -> bool:
    return options.scheduler is None and workers_of(options) == 1


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _hardware(backend: str) -> bool:
    return backend_kind(backend).touches_hardware


def _check_workers(options: SweepOptions) -> None:
    if options.scheduler and options.workers is not None:
        raise ConfigError("--workers is for this machine; a cluster of --scheduler has its own")
    if not _hardware(options.backend):
        return
    if options.scheduler or workers_of(options) > 1:
        raise ConfigError(
            f"backend {options.backend!r} is one array: its points run one after the other, with"
            " --workers 1 and without --scheduler"
        )


@contextmanager
def _client(address: str) -> Iterator[Any]:
    """Open a client of the cluster."""
    from distributed import Client

    try:
        client = Client(address, timeout=CONNECT_S)
    except (OSError, ValueError) as exc:
        raise BackendError(f"no Dask scheduler answers at {address}: {exc}") from None
    with client:
        yield client
