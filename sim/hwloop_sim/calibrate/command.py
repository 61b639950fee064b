"""``hwloop calibrate``: fit a device model to measured trains and write the calibration."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hwloop_sim.calibrate.run import Calibration


def calibrate(
    datasets: Annotated[
        list[Path], typer.Argument(help="Datasets of trains, as `hwloop import` makes them.")
    ],
    *,
    model: Annotated[str, typer.Option(help="pulse_response, soft_bounds or step_response.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The calibration file (.yaml).")],
    cell: Annotated[
        int | None, typer.Option(min=0, help="Of a dataset of several cells, the one to take.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the emulated trains to compare with.")] = 1,
) -> None:
    """Fit a device model to measured trains; compare it with a half that was left out."""
    from hwloop_sim.calibrate.run import calibrate_trains, write_calibration

    found = calibrate_trains(datasets, model=model, cell=cell, seed=seed)
    written = write_calibration(found, datasets, out)
    for line in _lines(found):
        typer.echo(line)
    typer.echo(f"calibration: {written[0]}")
    for path in written[1:]:
        typer.echo(f"figure: {path}")


def _lines(found: Calibration) -> Iterator[str]:
    low_s, high_s = found.data.span_s
    for one in found.data.directions:
        yield (
            f"{len(one.trains)} trains of {one.amplitude_v:g} V, {one.width_s:g} s, which"
            f" {'raise' if one.rises else 'lower'} the conductance"
        )
    for name, value in found.fit.settings.items():
        if isinstance(value, int | float):
            error = found.fit.uncertainty.get(name)
            yield f"  {name:16} {value:.5g}" + ("" if error is None else f" ± {error:.2g}")
    if noise_s := found.fit.read_noise_s:
        yield f"  {'read_noise_s':16} {noise_s:.5g} ± {found.fit.uncertainty['read_noise_s']:.2g}"
    for name, figure in found.fit.goodness.items():
        yield f"  {name:24} {figure:.4g}"
    yield f"valid from {low_s:.4g} to {high_s:.4g} S, for these pulses only"
    yield from found.fit.words
    for seen in found.predictions:
        yield (
            f"held out, {seen.direction.amplitude_v:g} V: mean path within the measured spread at"
            f" {seen.mean_within_spread:.0%} of the pulses"
        )
        for name, of in (("final conductance", seen.final), ("step", seen.step)):
            figures = of.figures()
            yield (
                f"  {name:18} KS {figures['ks_model']:.3f}; the other half"
                f" {figures['ks_other_half']:.3f}; equal distributions"
                f" {figures['ks_expected']:.3f}, 95 % below {figures['ks_95']:.3f}"
            )
