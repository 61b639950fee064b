"""Who watches a run."""

from __future__ import annotations

from typing import Protocol

from hwloop.backend.base import Event
from hwloop.procedure.procedure import PreparedStep
from hwloop.steps.rows import Outcome, Row


class Observer(Protocol):
    """Who watches a run: the progress line, a program that reads JSON, a test."""

    def step_began(self, prepared: PreparedStep) -> None:
        """A step begins."""

    def row(self, label: str, row: Row) -> None:
        """A step has yielded a row."""

    def event(self, event: Event) -> None:
        """The backend reports something."""

    def step_ended(self, label: str, outcome: Outcome | None) -> None:
        """A step has ended."""


class Quiet:
    """An observer that shows nothing."""

    def step_began(self, prepared: PreparedStep) -> None:
        """Show nothing."""

    def row(self, label: str, row: Row) -> None:
        """Show nothing."""

    def event(self, event: Event) -> None:
        """Show nothing."""

    def step_ended(self, label: str, outcome: Outcome | None) -> None:
        """Show nothing."""
