"""Observers that show a person or a program the progress of a run."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.progress import Progress, TaskID, TextColumn
from typing_extensions import override

from hwloop.backend.base import Event
from hwloop.execution.observer import Quiet
from hwloop.procedure.procedure import PreparedStep
from hwloop.steps.rows import Outcome, Row
from hwloop.terminal import printable

if TYPE_CHECKING:
    from rich.progress import Task

_LARGEST_IN_JSON = 64


class LiveLine(Quiet):
    """Progress line: the step, its latest figures, elapsed and remaining time."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn(
                "{task.description} {task.fields[figures]} {task.fields[time]}", markup=False
            ),
            console=console,
            transient=True,
        )
        self._task: TaskID | None = None

    @override
    def step_began(self, prepared: PreparedStep) -> None:
        self._progress.start()
        self._task = self._progress.add_task(
            prepared.label, total=prepared.plan.rows, figures="", time=""
        )

    @override
    def row(self, label: str, row: Row) -> None:
        if self._task is None or row.table:
            return
        self._progress.advance(self._task)
        figures = printable(" ".join(f"{name} {value}" for name, value in row.headline().items()))
        self._progress.update(
            self._task, figures=figures, time=_time(self._progress.tasks[self._task])
        )

    @override
    def event(self, event: Event) -> None:
        self._progress.console.print(f"{event.level}: {event.message}", style="yellow")

    @override
    def step_ended(self, label: str, outcome: Outcome | None) -> None:
        self.close()

    def close(self) -> None:
        """Remove the line from the terminal."""
        self._progress.stop()
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None


def _time(task: Task) -> str:
    """Format the elapsed time and an upper bound of the remaining time at the pace so far."""
    if not task.completed or task.total is None or task.elapsed is None:
        return ""
    left_s = task.elapsed / task.completed * (task.total - task.completed)
    return f"{math.floor(task.elapsed)} s, ≤ {math.ceil(left_s)} s left"


class JsonLines(Quiet):
    """Observer that writes one JSON object a line, for programs."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    @override
    def step_began(self, prepared: PreparedStep) -> None:
        self.emit("step", step=prepared.label, rows_at_most=prepared.plan.rows)

    @override
    def row(self, label: str, row: Row) -> None:
        columns = {name: plain(value) for name, value in row.columns().items()}
        self.emit("row", step=label, table=row.table, **columns)

    @override
    def event(self, event: Event) -> None:
        self.emit("log", level=event.level, message=event.message)

    @override
    def step_ended(self, label: str, outcome: Outcome | None) -> None:
        if outcome is not None:
            self.emit("outcome", step=label, reached=outcome.reached, message=outcome.message)

    def emit(self, event: str, **fields: object) -> None:
        """Write one line: ``event`` first, then the fields."""
        self._write(json.dumps({"event": event, **fields}, allow_nan=False))


def plain(value: Any) -> Any:
    """Convert a value to JSON's types: NaN becomes null, a large array its shape."""
    if isinstance(value, np.ndarray):
        if value.size > _LARGEST_IN_JSON:
            return {"shape": list(value.shape)}
        return plain(value.tolist())
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value
