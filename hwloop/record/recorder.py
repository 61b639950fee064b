"""A backend that writes down every operation of the backend inside it."""

from __future__ import annotations

from collections.abc import Callable

from typing_extensions import override

from hwloop.array.operations import Answer, Operation
from hwloop.backend.base import CrossbarBackend, Event
from hwloop.backend.wrapper import Wrapper
from hwloop.errors import RecordError
from hwloop.record.writer import RecordSink


class Recorder(Wrapper):
    """Wrapper that records each operation when it is done, and the events meanwhile."""

    def __init__(self, inner: CrossbarBackend, writer: RecordSink) -> None:
        super().__init__(inner)
        self._writer = writer
        self._events: list[Event] = []

    @override
    def perform(self, operation: Operation) -> Answer:
        started_s = self._writer.now_s()
        try:
            answer = self._inner.perform(operation)
        except BaseException as exc:
            self._after(exc, lambda: self._record(operation, None, started_s, failed=True))
            raise
        self._record(operation, answer, started_s)
        return answer

    def make_safe(self) -> None:
        """Make the backend inside safe, then record what happened meanwhile."""
        try:
            self._inner.make_safe()
        except BaseException as exc:
            self._after(exc, self._note_events)
            raise
        self._note_events()

    def close(self) -> None:
        """Close the backend inside, then record what happened meanwhile."""
        try:
            self._inner.close()
        except BaseException as exc:
            self._after(exc, self._note_events)
            raise
        self._note_events()

    def _record(
        self,
        operation: Operation,
        answer: Answer,
        started_s: float,
        *,
        failed: bool = False,
    ) -> None:
        self._writer.operation(
            operation,
            answer,
            started_s=started_s,
            array_time_s=self._inner.now_s(),
            failed=failed,
        )
        self._note_events()

    def _after(self, error: BaseException, record: Callable[[], None]) -> None:
        """Record what there is after an error, which a record that fails as well must not hide."""
        try:
            record()
        except RecordError as exc:
            error.add_note(str(exc))

    @override
    def take_events(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def _note_events(self) -> None:
        events = self._inner.take_events()
        self._events += [event for event in events if event.level != "wire"]  # for the record alone
        for event in events:
            self._writer.log(event.level, event.message)
