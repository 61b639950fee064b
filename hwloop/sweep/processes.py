"""Processes of this machine that run points, one each at a time, until none is left.

They are forked from a server that has imported what a run needs, started while the points are still
being validated; where there is no fork, each imports for itself. A process that dies, out of
memory for example, costs the point that it was running and no other: another takes its place.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any

from hwloop.errors import Stopped
from hwloop.sweep.point import Ended, SweepTask, run_point

FORKED = "forkserver" in multiprocessing.get_all_start_methods()

_PRELOADED = ("hwloop.procedure.procedure", "hwloop.execution.runner", "hwloop.sweep.point")
_ENVIRONMENT = {
    # Off their import path goes the working folder, where a `typing.py` may lie.
    "PYTHONSAFEPATH": "1",
    # Threads of linear algebra, one a process: the processes share the cores.
    "MKL_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


@dataclass(frozen=True)
class _Worker:
    """A process, this end of its connection, and the task that it runs."""

    process: BaseProcess
    connection: Connection
    task: SweepTask

    def take(self, task: SweepTask) -> _Worker | None:
        """Send the next task, and return the worker that runs it; None if it has died since."""
        try:
            self.connection.send(task)
        except OSError:
            return None
        return _Worker(self.process, self.connection, task)

    def end(self) -> None:
        """Let the process end, which it does once it has no task and no connection."""
        self.connection.close()
        self.process.join()

    def stop(self) -> None:
        """Ask the run to stop between two rows, and wait for it."""
        self.process.terminate()
        self.end()


def start_server(*libraries: str) -> None:
    """Start to import what runs need, and ``libraries``, beside whatever this process does next."""
    if FORKED:
        multiprocessing.set_forkserver_preload([*_PRELOADED, *libraries])
        with _environment(_ENVIRONMENT):
            resource_tracker.ensure_running()  # which lets Ctrl-C through again
            with _without_interrupts():
                forkserver.ensure_running()


def run_in_processes(
    tasks: Sequence[SweepTask], processes: int, run: Callable[[SweepTask], Ended] = run_point
) -> Iterator[Ended]:
    """Run the tasks in at most so many processes, and yield each as it ends, in any order.

    ``run``: a function that the processes can import. Where the caller leaves early, runs are asked
    to stop, and waited for.
    """
    context = multiprocessing.get_context("forkserver" if FORKED else "spawn")
    waiting = deque(tasks)
    busy: dict[Any, _Worker] = {}  # by connection, as `wait` returns it
    try:
        while waiting or busy:
            while waiting and len(busy) < processes:
                worker = _started(context, run, waiting.popleft())
                busy[worker.connection] = worker
            for connection in wait(list(busy)):
                worker = busy.pop(connection)
                ended, alive = _received(worker)
                again = worker.take(waiting[0]) if alive and waiting else None
                if again is None:
                    worker.end()
                else:
                    busy[connection] = again
                    waiting.popleft()
                yield ended
    finally:
        for worker in busy.values():
            worker.stop()


def _started(context: BaseContext, run: Callable[[SweepTask], Ended], task: SweepTask) -> _Worker:
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, run), name="hwloop sweep")  # type: ignore[attr-defined]
    with theirs, _environment(_ENVIRONMENT):
        process.start()
    with suppress(OSError):  # dead already: then no end of the task will come, either
        ours.send(task)
    return _Worker(process, ours, task)


def _received(worker: _Worker) -> tuple[Ended, bool]:
    """Return the end of the worker's task, and whether its process lives."""
    try:
        ended: Ended = worker.connection.recv()
    except (EOFError, OSError):
        worker.process.join()
        message = f"its process ended with exit code {worker.process.exitcode}"
        return Ended(worker.task.point.index, "", "failed", message, float("nan")), False
    return ended, True


def _serve(connection: Connection, run: Callable[[SweepTask], Ended]) -> None:
    """Run tasks until the other end is closed or its process has ended."""
    with suppress(EOFError, OSError, KeyboardInterrupt):
        if FORKED:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        while True:
            task: SweepTask = connection.recv()
            try:
                ended = run(task)
            except Stopped as exc:
                ended = Ended(task.point.index, "", "failed", f"Stopped: {exc}", float("nan"))
            connection.send(ended)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach: the server would print where it was importing.

    This process gets afterwards what came meanwhile; so does a worker, once it is ready.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Start processes with these variables; this process has them as before afterwards."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
