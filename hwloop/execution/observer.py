"""Observers of a run while it goes on."""

from __future__ import annotations

from typing import Protocol

from typing_extensions import override

from hwloop.backend.base import Event
from hwloop.procedure.procedure import PreparedStep
from hwloop.steps.rows import Outcome, Row


class Observer(Protocol):
    """Observer of a run, such as the progress line or a program that reads JSON."""

    def step_began(self, prepared: PreparedStep) -> None:
        """Take note that a step begins."""

    def row(self, label: str, row: Row) -> None:
        """Take note of a row that a step has yielded."""

    def event(self, event: Event) -> None:
        """Take note of an event that the backend reports."""

    def step_ended(self, label: str, outcome: Outcome | None) -> None:
        """Take note that a step has ended, and of its outcome if it reached one."""


class Quiet(Observer):
    """Observer that shows nothing of a run."""

    @override
    def step_began(self, prepared: PreparedStep) -> None:
        pass

    @override
    def row(self, label: str, row: Row) -> None:
        pass

    @override
    def event(self, event: Event) -> None:
        pass

    @override
    def step_ended(self, label: str, outcome: Outcome | None) -> None:
        pass
