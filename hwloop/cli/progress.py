"""What a person or a program sees of a run while it goes on."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.progress import Progress, TaskID, TextColumn

from hwloop.backend.base import Event
from hwloop.procedure.procedure import PreparedStep
from hwloop.run.observer import Quiet
from hwloop.steps.rows import Outcome, Row

if TYPE_CHECKING:
    from rich.progress import Task

_LARGEST_IN_JSON = 64


class LiveLine(Quiet):
    """One line that is rewritten: the step, its latest figures, elapsed and remaining time."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description} {task.fields[figures]} {task.fields[time]}"),
            console=console,
            transient=True,
        )
        self._task: TaskID | None = None

    def step_began(self, prepared: PreparedStep) -> None:
        """Begin a line."""
        self._progress.start()
        self._task = self._progress.add_task(
            prepared.label, total=prepared.plan.rows, figures="", time=""
        )

    def row(self, label: str, row: Row) -> None:  # noqa: ARG002 - the line stands for the step
        """Show the row's figures; rows of side tables do not count as progress."""
        if self._task is None or row.table:
            return
        self._progress.advance(self._task)
        figures = " ".join(f"{name} {value}" for name, value in row.headline().items())
        self._progress.update(
            self._task, figures=figures, time=_time(self._progress.tasks[self._task])
        )

    def event(self, event: Event) -> None:
        """Print above the line."""
        self._progress.console.print(f"[yellow]{event.level}:[/] {event.message}", highlight=False)

    def step_ended(self, label: str, outcome: Outcome | None) -> None:  # noqa: ARG002
        """End the line."""
        self.close()

    def close(self) -> None:
        """Take the line away."""
        self._progress.stop()
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None


def _time(task: Task) -> str:
    """Elapsed time, and that to the plan's last row at the pace so far: a step may end before."""
    if not task.completed or task.total is None or task.elapsed is None:
        return ""
    left_s = task.elapsed / task.completed * (task.total - task.completed)
    return f"{math.floor(task.elapsed)} s, ≤ {math.ceil(left_s)} s left"


class JsonLines(Quiet):
    """One JSON object a line, for programs."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def step_began(self, prepared: PreparedStep) -> None:
        """{"event": "step", ...}."""
        self.emit("step", step=prepared.label, rows_at_most=prepared.plan.rows)

    def row(self, label: str, row: Row) -> None:
        """{"event": "row", ...}: columns of up to 64 numbers in full, else their shape."""
        columns = {name: plain(value) for name, value in row.columns().items()}
        self.emit("row", step=label, table=row.table, **columns)

    def event(self, event: Event) -> None:
        """{"event": "log", ...}."""
        self.emit("log", level=event.level, message=event.message)

    def step_ended(self, label: str, outcome: Outcome | None) -> None:
        """{"event": "outcome", ...}."""
        if outcome is not None:
            self.emit("outcome", step=label, reached=outcome.reached, message=outcome.message)

    def emit(self, event: str, **fields: object) -> None:
        """Write one line."""
        self._write(json.dumps({"event": event, **fields}, allow_nan=False))


def plain(value: Any) -> Any:
    """A value as JSON has it: NaN becomes null, a large array its shape."""
    if isinstance(value, np.ndarray):
        if value.size > _LARGEST_IN_JSON:
            return {"shape": list(value.shape)}
        return plain(value.tolist())
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value
