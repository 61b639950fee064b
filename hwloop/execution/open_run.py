"""One run in progress: it ends in order, with a safe array and a closed record, however it ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from typing_extensions import override

from hwloop.backend.base import CrossbarBackend, Event
from hwloop.backend.guard import Guard
from hwloop.backend.origin import Origin
from hwloop.errors import HwloopError, NotConverged, RecordError, Stopped
from hwloop.execution.execute import Follower
from hwloop.execution.limited_pulses import LimitedPulses
from hwloop.execution.observer import Observer
from hwloop.execution.stopping import Interruptible, StopRequest
from hwloop.procedure.procedure import PreparedStep, Procedure
from hwloop.record.life import ArrayLife
from hwloop.record.recorder import Recorder
from hwloop.record.writer import RecordSink, RecordWriter
from hwloop.steps.array import Array
from hwloop.steps.rows import Outcome, Yield
from hwloop.types import FloatArray


@dataclass(frozen=True)
class RunResult:
    """Result of a run: its status, "completed" or "stopped", and the outcomes of its steps.

    ``life``: how far the array's life has gone; "" where it has none, as an emulated twin.
    ``beginning``: what the ledger does not count, where this run began it; else "".
    ``origin``: whether the numbers are measured or emulated.
    """

    path: Path
    status: str
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    life: str = ""
    beginning: str = ""
    origin: Origin = "not recorded"

    def outcome_text(self, label: str) -> str:
        """Return a step's label, its message, and whether that was measured or emulated."""
        return f"{label}: {self.outcomes[label].message} ({self.origin})"

    def raise_unless_reached(self) -> None:
        """Raise :class:`Stopped` or :class:`NotConverged` where the run did not reach its aim."""
        if self.status == "stopped":
            raise Stopped(f"stopped before its end; what was done is in {self.path}")
        missed = [
            self.outcome_text(label) for label, out in self.outcomes.items() if not out.reached
        ]
        if missed:
            raise NotConverged("; ".join(missed))


class OpenRun(Follower):
    """One recorded run: the open backend, its guard, and the writer of the record.

    ``array``: what the steps work on. ``result``: how it ended, once it has.
    """

    def __init__(
        self,
        procedure: Procedure,
        inner: CrossbarBackend,
        writer: RecordSink,
        rng: np.random.Generator,
        observer: Observer,
        stop: StopRequest,
        life: ArrayLife | None,
        about_life: Event | None,
        origin: Origin,
    ) -> None:
        self._procedure, self._origin = procedure, origin
        self._writer = writer
        self._observer = observer
        # A second signal may break off an operation of the backend, but not the record of it.
        self._recorder = Recorder(Interruptible(inner, stop, may_raise=True), writer)
        self._life, self._about_life = life, about_life
        self._guard = Guard(self._recorder, procedure.array, life)
        shielded = Interruptible(self._guard, stop, may_raise=False)
        self._pulses = LimitedPulses(shielded)
        record = writer.path if isinstance(writer, RecordWriter) else None
        self.array = Array(self._pulses, procedure.array, rng, record=record)
        self._outcomes: dict[str, Outcome] = {}
        self._unsafe: HwloopError | None = None
        self._unrecorded: list[RecordError] = []
        self._stop = stop

    @property
    def path(self) -> Path:
        """Return the file of the record."""
        return self._writer.path

    def allow_interrupts(self) -> None:
        """Let a second request to stop raise at once, as in the code of a step."""
        self._stop.may_raise = True

    def check_stop(self) -> None:
        """Raise :class:`Stopped` where someone has asked to stop."""
        self._stop.check()

    @contextmanager
    def in_order(self) -> Iterator[None]:
        """Run the block to its end, a stop or an error; leave a safe array and a closed record."""
        error: BaseException | None = None
        try:
            try:
                self._note_life()
                yield
            finally:
                # From here on a signal must not keep the lines from going to 0 V; and this comes
                # before anything is written, since a disk may be full or slow.
                self._stop.ignore()
                self._make_safe()
            status = "completed"
        except (Stopped, KeyboardInterrupt) as exc:
            status = "stopped"
            self._note("warning", f"stopped: {exc}")
        except HwloopError as exc:
            status, error = "failed", exc
            self._note("error", f"{type(exc).__name__}: {exc}")
        except BaseException as exc:  # noqa: BLE001 - raised at the end, when all is safe
            status, error = "failed", exc
            self._note("error", f"unexpected {type(exc).__name__}: {exc}")
        self._end(status)
        self._raise_first(self._unsafe, error, *self._unrecorded)
        about = self._about_life if self._life is not None else None
        beginning = "" if about is None else f"{about.level}: {about.message}"
        self.result = RunResult(
            self.path, status, self._outcomes, self._life_text(), beginning, self._origin
        )

    def _note(self, level: str, message: str) -> None:
        """Log why the run ended; a disk that does not take it must not hide the reason."""
        try:
            self._writer.log(level, message)
        except RecordError as exc:
            self._unrecorded.append(exc)

    def _raise_first(self, *errors: BaseException | None) -> None:
        """Raise the first error, with the messages of the others as notes."""
        found = [error for error in errors if error is not None]
        if not found:
            return
        first, *others = found
        for text in dict.fromkeys(str(other) for other in others):
            if text != str(first):
                first.add_note(text)
        raise first

    @override
    def conductance(self, name: str, conductance_s: FloatArray) -> None:
        self._writer.conductance(name, conductance_s)

    @override
    def step_began(self, prepared: PreparedStep) -> None:
        self._observer.step_began(self._counted(prepared))
        self._pulses.begin()
        self._stop.may_raise = True  # in the code of the step

    @override
    def take(self, label: str, item: Yield) -> None:
        self._stop.may_raise = False
        self._keep(label, item)
        self._show_events()
        self._stop.check()
        self._stop.may_raise = True

    def _keep(self, label: str, item: Yield) -> None:
        if isinstance(item, Outcome):
            item = self._pulses.told(item)
            self._outcomes[label] = item
            self._writer.outcome(label, reached=item.reached, message=item.message)
        else:
            self._writer.row(label, item)
            self._observer.row(label, item)
            formed = item.formed_cells()
            if self._life is not None and formed is not None:
                self._life.add_formed(formed)

    @override
    def step_ended(self, label: str) -> None:
        self._stop.may_raise = False
        self._observer.step_ended(label, self._outcomes.get(label))

    def _counted(self, prepared: PreparedStep) -> PreparedStep:
        """Return the step with the number of rows that the groups of this backend make."""
        if not prepared.plan.by_group:
            return prepared
        rows = prepared.plan.rows * sum(1 for _ in self._guard.groups())
        return replace(prepared, plan=replace(prepared.plan, rows=rows, by_group=False))

    def _show_events(self) -> None:
        for event in self._recorder.take_events():
            self._observer.event(event)

    def _note_life(self) -> None:
        """Say in the record and to the observer what the ledger of the array does not count."""
        if self._about_life is not None:
            self._writer.log(self._about_life.level, self._about_life.message)
            self._observer.event(self._about_life)

    def _life_text(self) -> str:
        if self._life is None:
            return self._about_life.message if self._about_life is not None else ""
        most, bound = int(self._guard.pulses.max()), self._procedure.array.limits.pulses_per_device
        return (
            f"array {self._procedure.array.name}: at most {most} of {bound} pulses of a device's"
            f" life are used ({self._life.path})"
        )

    def _make_safe(self) -> None:
        try:
            self._guard.make_safe()
        except RecordError as exc:  # safe, but not written down
            self._unrecorded.append(exc)
        except HwloopError as exc:
            self._unsafe = exc  # raised at the end, after what led to it was logged

    def _end(self, status: str) -> None:
        try:
            self._guard.close()
        except RecordError as exc:
            self._unrecorded.append(exc)
        except HwloopError as exc:
            self._unsafe = self._unsafe or exc
        finally:
            self._show_events()
            if self._unsafe is not None:
                status = "failed"
                self._note("error", f"could not be made safe: {self._unsafe}")
            if self._life is not None:
                self._life.status = status
            earlier = None if self._life is None else self._life.pulses
            try:
                self._writer.finish(status, pulses=self._guard.pulses, in_ledger=earlier)
            except RecordError as exc:
                self._unrecorded.append(exc)
