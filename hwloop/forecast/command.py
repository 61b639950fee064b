"""Implement ``hwloop forecast``: run twins, and print the expected result on the array."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from numpy.typing import ArrayLike

from hwloop.terminal import say
from hwloop.types import LARGEST_INTEGER

if TYPE_CHECKING:
    from hwloop.forecast.forecast import Forecast

_SHOWN = 5
_LIFE = 0.5  # of a life: a run that takes more of it is worth a word


def forecast(
    procedure: Annotated[Path, typer.Argument(help="The procedure, a YAML file.")],
    *,
    calibration: Annotated[
        str | None, typer.Option(help="What the twins are: a calibration, by name or path.")
    ] = None,
    station: Annotated[
        Path | None, typer.Option(help="The station whose time is counted, a YAML file.")
    ] = None,
    twins: Annotated[int, typer.Option(min=1, help="How many emulated arrays.")] = 200,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0, max=LARGEST_INTEGER, help="Of the first twin; the procedure's own if left out."
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a setting.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="A folder for the figures, as PNG.")
    ] = None,
) -> None:
    """Say what a procedure will come to, from runs on many twins, before the array is touched."""
    from hwloop.backend.registered import backend_taking
    from hwloop.forecast.forecast import forecast as make
    from hwloop.procedure.procedure import load_procedure
    from hwloop.procedure.sections import file_override

    if out is not None:
        from hwloop.plotting.style import check_folder

        check_folder(out)
    given = list(overrides or ())
    timed_on = None
    if station is not None:
        timed_on = backend_taking("station").name
        given.append(file_override("station", station, timed_on))
    loaded = load_procedure(procedure, given, calibration=calibration)
    found = make(loaded, twins=twins, seed=seed, timed_on=timed_on)
    for line in _lines(found):
        say(line)
    if out is not None:
        from hwloop.forecast.figures import draw
        from hwloop.plotting.style import save_figures

        for saved in save_figures(draw(found), out, origin="emulated"):
            say(f"figure: {saved.path}")


def _lines(found: Forecast) -> Iterator[str]:
    from hwloop.settings.units import duration_text

    seeds = [twin.seed for twin in found.twins]
    total, reached = len(found.twins), found.successes
    low, high = found.interval
    yield f"{found.procedure.name}: {total} twins, seeds {seeds[0]} to {seeds[-1]}, emulated"
    interval = f"95 % interval {low:.1%} to {high:.1%}"
    yield f"success: {reached} of {total} ({reached / total:.1%}; {interval})"
    of_run = found.pulses.reshape(len(found.twins), -1).sum(axis=1)
    yield "pulses of a run: " + _spread([f"{round(v)}" for v in _quantiles(of_run)])
    yield from _life(found)
    place = f"on station {found.station}" if found.station else "on the emulator's clock"
    yield f"time {place}: " + _spread(
        [duration_text(float(v)) for v in _quantiles(found.duration_s)]
    )
    yield from _at_risk(found)
    for count, example in found.reasons()[:_SHOWN]:
        yield f"missed in {count} of {total}, for example: {example}"
    for count, example in found.warnings()[:_SHOWN]:
        yield f"warned in {count} of {total}, for example: {example}"


def _quantiles(values: ArrayLike) -> list[float]:
    """Return the median, the 5 % and the 95 % quantile."""
    values = np.asarray(values, dtype=np.float64)
    return [float(v) for v in np.percentile(values, (50, 5, 95))]


def _spread(values: list[str]) -> str:
    middle, low, high = values
    return f"median {middle}" + ("" if low == high else f" (5 to 95 %: {low} to {high})")


def _life(found: Forecast) -> Iterator[str]:
    array = found.procedure.array
    most = found.pulses.max(axis=0)
    place = _place(int(most.argmax()), most.shape)
    left = array.limits.pulses_per_device - array.pulses_before
    yield f"pulses of a cell: at most {int(most.max())}, cell {place}; {left} are left to it"
    hurt = int((found.pulses > _LIFE * left).any(axis=0).sum())
    if hurt:
        yield f"cells that a run may cost more than half of what is left: {hurt}"


def _place(index: int, shape: tuple[int, ...]) -> str:
    """Format a flat index as (row, column), or (tile, row, column) where there are several."""
    return str(tuple(int(i) for i in np.unravel_index(index, shape)))


def _at_risk(found: Forecast) -> Iterator[str]:
    fraction = found.failed_fraction
    order = np.argsort(-fraction, axis=None, kind="stable")[:_SHOWN]
    worst = [int(i) for i in order if fraction.flat[i] > 0]
    if not worst:
        yield "cells at risk: none was said to have failed"
        return
    names = ", ".join(f"{_place(i, fraction.shape)} {fraction.flat[i]:.0%}" for i in worst)
    count = int((fraction > 0).sum())
    yield f"cells at risk: {count} of {fraction.size} failed in some twin; most often {names}"
