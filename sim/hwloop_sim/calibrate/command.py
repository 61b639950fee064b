"""Command ``hwloop calibrate``: fit a device model to measured data and write the calibration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwloop.terminal import say
from hwloop.types import LARGEST_INTEGER


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
    seed: Annotated[
        int,
        typer.Option(min=0, max=LARGEST_INTEGER, help="Of the emulated trains to compare with."),
    ] = 1,
) -> None:
    """Fit a device model; print its parameters, their uncertainty and how well it predicts."""
    from hwloop_sim.calibrate.method import Task
    from hwloop_sim.calibrate.rank import rank
    from hwloop_sim.calibrate.run import calibrate as fit
    from hwloop_sim.calibrate.run import check_out, write_calibration
    from hwloop_sim.calibrate.summary import held, table

    check_out(out)
    fixed = held(fix or [])
    named = model or []
    if len(named) != 1:
        ranked = rank(
            Task("", data, cell, seed, fixed, spread),
            among=named,
            progress=lambda one: say(f"tried {one.model}", err=True),
        )
        for line in table(ranked):
            say(line)
        best = ranked[0].found
    else:
        best = fit(data, model=named[0], cell=cell, seed=seed, fixed=fixed, spread=spread)
    if best is None:  # rank() raises instead
        return
    written = write_calibration(best, data, out)
    for line in best.summary():
        say(line)
    say(f"calibration: {written[0]}")
    for path in written[1:]:
        say(f"figure: {path}")
