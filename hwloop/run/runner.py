"""Run a procedure: open, guard, record, step by step, and always make safe."""

from __future__ import annotations

import signal
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from hwloop import plugins
from hwloop.backend.base import CrossbarBackend
from hwloop.backend.guard import Guard
from hwloop.backend.kind import BackendKind, OpenRequest
from hwloop.errors import HwloopError, NotConverged, Stopped
from hwloop.procedure.procedure import PreparedStep, Procedure
from hwloop.record.recorder import Recorder
from hwloop.record.writer import RecordWriter, RunHeader
from hwloop.run.observer import Observer, Quiet
from hwloop.run.preview import refuse_beyond_limits, refuse_unsupported
from hwloop.steps.array import Array
from hwloop.steps.rows import Outcome, Yield


@dataclass(frozen=True)
class RunOptions:
    """How a procedure is run: on what, how many arrays of it, from which seed, recorded where."""

    backend: str
    path: Path
    population: int | None = None
    seed: int | None = None


@dataclass(frozen=True)
class RunResult:
    """How a run ended: "completed" or "stopped", and what its steps came to."""

    path: Path
    status: str
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def raise_unless_reached(self) -> None:
        """Raise :class:`Stopped` or :class:`NotConverged` where the run did not reach its aim."""
        if self.status == "stopped":
            raise Stopped(f"stopped before its end; what was done is in {self.path}")
        missed = [
            f"{label}: {out.words}" for label, out in self.outcomes.items() if not out.reached
        ]
        if missed:
            raise NotConverged("; ".join(missed))


def record_path(out: Path, procedure: Procedure, seed: int) -> Path:
    """Where a run is recorded: ``out`` itself if it names an HDF5 file, else a new file in it."""
    if out.suffix in {".h5", ".hdf5"}:
        return out
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    stem = f"{procedure.name}-{stamp}-seed{seed}"
    candidates = (out / f"{stem}{suffix}.h5" for suffix in ("", *(f"-{n}" for n in range(2, 1000))))
    return next(path for path in candidates if not path.exists())


def run_procedure(
    procedure: Procedure, options: RunOptions, observer: Observer | None = None
) -> RunResult:
    """Run every step of a procedure on a backend, and record it.

    What the steps plan is checked against the limits before the backend is opened, and against
    the backend before the record is begun. However the run ends, the backend is made safe and
    the record closed. Errors of the backend, the guard and the steps are logged in the record
    and raised again.
    """
    seed = procedure.seed if options.seed is None else options.seed
    backend_rng, step_rng = np.random.default_rng(seed).spawn(2)
    kind: BackendKind[Any] = plugins.load(plugins.BACKENDS, options.backend)
    request = OpenRequest(
        procedure.array,
        options.population,
        backend_rng,
        seed=seed,
        procedure=procedure.resolved,
        record=options.path,
    )
    refuse_beyond_limits(procedure)
    # Before anything is switched on: a signal while the bench is brought up is one to stop, too.
    with _stop_on_signal() as stop:
        inner = kind.open(procedure.backend_settings(kind), request)
        try:
            refuse_unsupported(procedure, inner)
            header = RunHeader(
                options.path.stem, procedure, seed, options.population, inner.description
            )
            writer = RecordWriter(options.path, header)
        except BaseException:
            inner.close()
            raise
        return _Run(procedure, inner, writer, step_rng, observer or Quiet()).go(stop)


class _Run:
    """One execution: what is open while it goes on."""

    def __init__(
        self,
        procedure: Procedure,
        inner: CrossbarBackend,
        writer: RecordWriter,
        rng: np.random.Generator,
        observer: Observer,
    ) -> None:
        self._procedure = procedure
        self._writer = writer
        self._observer = observer
        self._recorder = Recorder(inner, writer)
        self._guard = Guard(self._recorder, procedure.array)
        self._array = Array(self._guard, procedure.array, rng)
        self._outcomes: dict[str, Outcome] = {}
        self._unsafe: HwloopError | None = None

    def go(self, stop: _StopRequest) -> RunResult:
        status = "failed"
        try:
            self._steps(stop)
            status = "completed"
        except (Stopped, KeyboardInterrupt) as exc:
            status = "stopped"
            self._writer.log("warning", f"stopped: {exc}")
        except HwloopError as exc:
            self._writer.log("error", f"{type(exc).__name__}: {exc}")
            raise
        except BaseException as exc:
            self._writer.log("error", f"unexpected {type(exc).__name__}: {exc}")
            raise
        finally:
            self._end(status)
        return RunResult(self._writer.path, status, self._outcomes)

    def _steps(self, stop: _StopRequest) -> None:
        try:
            self._read_conductance("initial_conductance_s")
            for prepared in self._procedure.steps:
                self._step(prepared, stop)
            self._read_conductance("final_conductance_s")
        finally:
            # From here on a signal must not keep the lines from going to 0 V; and this comes
            # before anything is written, since a disk may be full or slow.
            stop.ignore()
            self._make_safe()

    def _step(self, prepared: PreparedStep, stop: _StopRequest) -> None:
        self._observer.step_began(self._counted(prepared))
        label = prepared.label
        items = prepared.step(prepared.settings, self._array)
        try:
            for item in items:
                self._take(label, item)
                stop.check()
        finally:
            # A generator is closed here, so that what it does at its end is done while the
            # backend is open.
            if isinstance(items, Generator):
                items.close()
        self._observer.step_ended(label, self._outcomes.get(label))

    def _counted(self, prepared: PreparedStep) -> PreparedStep:
        """With as many rows as there are for the groups of this backend."""
        if not prepared.plan.by_group:
            return prepared
        rows = prepared.plan.rows * sum(1 for _ in self._guard.groups())
        return replace(prepared, plan=replace(prepared.plan, rows=rows, by_group=False))

    def _take(self, label: str, item: Yield) -> None:
        if isinstance(item, Outcome):
            self._outcomes[label] = item
            self._writer.outcome(label, reached=item.reached, words=item.words)
        else:
            self._writer.row(label, item)
            self._array.remember(label, item)
            self._observer.row(label, item)
        self._show_events()

    def _show_events(self) -> None:
        for event in self._recorder.take_events():
            self._observer.event(event)

    def _read_conductance(self, name: str) -> None:
        reading = self._array.read_all()
        self._writer.conductance(name, self._array.conductance_s(reading))

    def _make_safe(self) -> None:
        try:
            self._guard.make_safe()
        except HwloopError as exc:
            self._unsafe = exc  # raised at the end, after what led to it was logged

    def _end(self, status: str) -> None:
        try:
            self._guard.close()
        finally:
            self._show_events()
            try:
                if self._unsafe is not None:
                    status = "failed"
                    self._writer.log("error", f"could not be made safe: {self._unsafe}")
            finally:
                self._writer.finish(status, pulses=self._guard.pulses)
        if self._unsafe is not None:
            raise self._unsafe


class _StopRequest:
    """Whether someone has asked to stop."""

    def __init__(self) -> None:
        self.reason = ""
        self._ignored = False

    def ask(self, reason: str) -> None:
        """Note the first request; the second stops at once."""
        if self._ignored:
            return
        if self.reason:
            raise KeyboardInterrupt(reason)
        self.reason = reason

    def ignore(self) -> None:
        """The run is ending as it is."""
        self._ignored = True

    def check(self) -> None:
        if self.reason:
            raise Stopped(self.reason)


@contextmanager
def _stop_on_signal() -> Iterator[_StopRequest]:
    """Turn the first SIGINT or SIGTERM into a stop between two rows; the second stops at once."""
    request = _StopRequest()

    def ask(number: int, _frame: FrameType | None) -> None:
        request.ask(signal.Signals(number).name)

    try:
        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread: whoever runs us there handles signals
        yield request
        return
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
