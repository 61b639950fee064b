"""Figures of a calibration from trains: data against model, residuals, distributions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hwloop.plotting import style as plot
from hwloop.plotting.style import NamedFigure
from hwloop_sim.calibrate.trains.held_out import Prediction

if TYPE_CHECKING:
    from matplotlib.figure import Figure
from hwloop_sim.calibrate.distribution_figures import cumulative


def draw(predictions: Sequence[Prediction]) -> Iterator[NamedFigure]:
    """Yield the three figures, with one column per direction, all for held-out trains."""
    with plot.style():
        yield NamedFigure("paths", "Data against model", "held-out trains", _paths(predictions))
        yield NamedFigure("residuals", "Residuals", "held-out less mean", _residuals(predictions))
        yield NamedFigure("distributions", "Distributions", "KS", _distributions(predictions))


def _title(one: Prediction) -> str:
    from hwloop.settings.units import format_quantity

    volts = format_quantity(one.direction.amplitude_v, "V")
    return f"{volts}, {format_quantity(one.direction.width_s, 's')}"


def _paths(predictions: Sequence[Prediction]) -> Figure:
    figure = plot.new_figure(3.6 * len(predictions) + 0.6, 3.0)
    panels = figure.subplots(1, len(predictions), squeeze=False, sharey=True)[0]
    scale = plot.AxisScale.of(
        np.concatenate([p.direction.padded_conductance_s.ravel() for p in predictions]), "S"
    )
    for axes, one in zip(panels, predictions, strict=True):
        held_conductance_s = one.direction.padded_conductance_s * scale.factor
        for i, train_conductance_s in enumerate(held_conductance_s):
            label = "held-out trains" if i == 0 else None
            axes.plot(train_conductance_s, color=plot.GREY, linewidth=0.6, alpha=0.7, label=label)
        mean_conductance_s = one.mean_conductance_s * scale.factor
        spread_conductance_s = np.nanstd(one.emulated_conductance_s, axis=(1, 2)) * scale.factor
        pulses = np.arange(mean_conductance_s.size)
        axes.fill_between(
            pulses,
            mean_conductance_s - spread_conductance_s,
            mean_conductance_s + spread_conductance_s,
            color=plot.VERMILION,
            alpha=0.25,
            linewidth=0,
            label="model, ± 1 deviation",
        )
        axes.plot(pulses, mean_conductance_s, color=plot.VERMILION, label="model, mean")
        axes.set(title=_title(one), xlabel="Pulses")
        plot.whole_numbers(axes)
    panels[0].set_ylabel(scale.label("Conductance"))
    panels[0].legend()
    return figure


def _residuals(predictions: Sequence[Prediction]) -> Figure:
    figure = plot.new_figure(3.6 * len(predictions) + 0.6, 2.8)
    panels = figure.subplots(1, len(predictions), squeeze=False, sharey=True)[0]
    off = [
        p.direction.padded_conductance_s - p.emulated_conductance_s.mean(axis=1).T
        for p in predictions
    ]
    scale = plot.AxisScale.of(np.concatenate([one.ravel() for one in off]), "S")
    for axes, one, off_conductance_s in zip(panels, predictions, off, strict=True):
        for train_conductance_s in off_conductance_s * scale.factor:
            axes.plot(train_conductance_s, color=plot.GREY, linewidth=0.6, alpha=0.7)
        axes.plot(
            np.nanmean(off_conductance_s, axis=0) * scale.factor, color=plot.BLUE, label="mean"
        )
        axes.axhline(0, color=plot.BLACK, linewidth=0.8)
        axes.set(title=_title(one), xlabel="Pulses")
        plot.whole_numbers(axes)
    panels[0].set_ylabel(scale.label("Held-out train less model"))
    panels[0].legend()
    return figure


def _distributions(predictions: Sequence[Prediction]) -> Figure:
    figure = plot.new_figure(3.6 * len(predictions) + 0.6, 5.4)
    panels = figure.subplots(2, len(predictions), squeeze=False)
    for column, one in zip(panels.T, predictions, strict=True):
        column[0].set_title(_title(one))
        cumulative(column[0], one.final, "Final conductance")
        cumulative(column[1], one.step, "Step")
    panels[0, 0].legend()
    return figure
