"""Command ``hwloop calibrate``: fit a device model to measured data and write the calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwloop.terminal import say
from hwloop.types import LARGEST_INTEGER

if TYPE_CHECKING:
    from hwloop_sim.calibrate.method import FittedCalibration, Task


def calibrate(
    data: Annotated[
        list[Path],
        typer.Argument(help="Records of runs, or datasets as `hwloop import` makes them."),
    ],
    *,
    out: Annotated[Path, typer.Option("-o", "--out", help="The calibration file (.yaml).")],
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="The device model; of several, or of all where none is named, the one that"
            " predicts best."
        ),
    ] = None,
    cell: Annotated[
        int | None,
        typer.Option(min=0, help="The cell to take: its address, in a record 0, 1, … row by row."),
    ] = None,
    fix: Annotated[
        list[str] | None,
        typer.Option(help="NAME=VALUE: a setting of the model that is held; may be repeated."),
    ] = None,
    spread: Annotated[
        bool, typer.Option("--spread", help="Fit every cell by itself, for their spread.")
    ] = False,
    seconds: Annotated[
        float,
        typer.Option(min=1, help="The search ends after this time, with the best so far."),
    ] = 60,
    seed: Annotated[
        int,
        typer.Option(min=0, max=LARGEST_INTEGER, help="Of the emulated trains to compare with."),
    ] = 1,
) -> None:
    """Fit a device model; print its parameters, their uncertainty and how well it predicts."""
    import time

    from hwloop.errors import Stopped
    from hwloop.execution.stopping import stop_on_signal
    from hwloop_sim.calibrate.effort import Effort
    from hwloop_sim.calibrate.method import Task
    from hwloop_sim.calibrate.run import check_out, write_calibration
    from hwloop_sim.calibrate.summary import held, offer

    check_out(out)
    with stop_on_signal() as stop, SearchLine() as line:
        stop.may_raise = True  # a second request ends what does not ask for the first
        effort = Effort(time.monotonic() + seconds, lambda: bool(stop.reason), line.tell)
        task = Task("", data, cell, seed, held(fix or []), spread, effort=effort)
        best = _best(task, model or [])
    if stop.reason:
        for text in offer(best, [str(path) for path in data], str(out)):
            say(text, err=True)
        raise Stopped(stop.reason)
    written = write_calibration(best, data, out)
    for text in (*best.summary(), *best.predict().warnings()):
        say(text)
    say(f"calibration: {written[0]}")
    for path in written[1:]:
        say(f"figure: {path}")


def _best(task: Task, named: Sequence[str]) -> FittedCalibration:
    """Fit the model named, or the best of several, and print how they compare."""
    from hwloop.errors import ConfigError
    from hwloop_sim.calibrate.rank import alike, rank
    from hwloop_sim.calibrate.reads.calibrate import are_reads, calibrate_reads
    from hwloop_sim.calibrate.run import cells_of, doubts_of, fit_task, taken
    from hwloop_sim.calibrate.summary import advice, table, told

    if are_reads(task.paths):
        if named:
            raise ConfigError(
                "reads without pulses show noise and drift, no device model: leave it out",
                key="model",
            )
        return calibrate_reads(task)
    lines = taken(task)
    several = [] if lines and len(task.paths) > 1 else advice(cells_of(task), task.cell)
    for text in [*doubts_of(task), *lines, *several]:
        say(text, err=True)
    if len(named) == 1:
        return fit_task(replace(task, model=named[0]))
    ranked = rank(
        task,
        among=named,
        progress=lambda one: say(told(one, task.effort.left_s), err=True),
    )
    for text in table(ranked):
        say(text)
    if names := alike(ranked):
        say(f"{' and '.join(names)} predict alike: these data do not tell them apart")
    return next(one.found for one in ranked if one.found is not None)


class SearchLine:
    """Line on the standard error of what a search is doing and how long it may yet take.

    Nothing where that is no terminal.
    """

    def __init__(self) -> None:
        from hwloop.terminal import plain_console

        self._console = plain_console(stderr=True)
        self._status = self._console.status("")
        self._shown = -1.0

    def __enter__(self) -> SearchLine:
        if self._console.is_terminal:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._status.stop()

    def tell(self, doing: str, left_s: float) -> None:
        """Show what is being done, once a second at most."""
        if self._console.is_terminal and abs(left_s - self._shown) >= 1:
            self._shown = left_s
            self._status.update(f"{doing}, at most {left_s:.0f} s left")
