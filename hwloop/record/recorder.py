"""A backend that writes down every operation of the backend inside it."""

from __future__ import annotations

from typing_extensions import override

from hwloop.array.operations import Operation, Reading
from hwloop.backend.base import CrossbarBackend, Event
from hwloop.backend.wrapper import Wrapper
from hwloop.record.writer import RecordWriter


class Recorder(Wrapper):
    """Wrapper that records each operation when it is done, and the events meanwhile."""

    def __init__(self, inner: CrossbarBackend, writer: RecordWriter) -> None:
        super().__init__(inner)
        self._writer = writer
        self._events: list[Event] = []

    @override
    def perform(self, operation: Operation) -> Reading | None:
        started_s = self._writer.now_s()
        reading: Reading | None = None
        failed = True
        try:
            reading = self._inner.perform(operation)
            failed = False
        finally:
            self._writer.operation(
                operation,
                reading,
                started_s=started_s,
                array_time_s=self._inner.now_s(),
                failed=failed,
            )
            self._note_events()
        return reading

    def make_safe(self) -> None:
        """Make the backend inside safe, then record what happened meanwhile."""
        try:
            self._inner.make_safe()
        finally:
            self._note_events()

    def close(self) -> None:
        """Close the backend inside, then record what happened meanwhile."""
        try:
            self._inner.close()
        finally:
            self._note_events()

    @override
    def take_events(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def _note_events(self) -> None:
        for event in self._inner.take_events():
            self._writer.log(event.level, event.message)
            if event.level != "wire":  # for the record alone
                self._events.append(event)
