"""Figures of held-out against emulated sweeps of 1T1R cells, and of their distributions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hwloop.plotting import style as plot
from hwloop.plotting.style import NamedFigure
from hwloop_sim.calibrate.distribution_figures import cumulative

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from hwloop_sim.calibrate.one_transistor.prediction import SweepPrediction

_SHOWN = (16, 50, 84)


def draw(predictions: Sequence[SweepPrediction]) -> Iterator[NamedFigure]:
    """Yield both figures, with one column per direction."""
    with plot.style():
        yield NamedFigure("paths", "Data against model", "held-out cells", _paths(predictions))
        yield NamedFigure("distributions", "Distributions", "KS", _distributions(predictions))


def _label(one: SweepPrediction) -> str:
    return "Gate voltage (V)" if one.of_gate else "Source-line voltage (V)"


def _paths(predictions: Sequence[SweepPrediction]) -> Figure:
    figure = plot.new_figure(3.6 * len(predictions) + 0.6, 3.0)
    panels = figure.subplots(1, len(predictions), squeeze=False, sharey=True)[0]
    for axes, one in zip(panels, predictions, strict=True):
        volts = one.sweeps.volts[: one.at + 1]
        seen_conductance_us = 1e6 * one.sweeps.after_conductance_s[:, : one.at + 1]
        for i, row in enumerate(seen_conductance_us):
            label = "held-out sweeps" if i == 0 else None
            axes.plot(volts, row, color=plot.GREY, linewidth=0.4, alpha=0.5, label=label)
        shown_conductance_us = 1e6 * one.emulated_conductance_s[: one.at + 1].reshape(
            volts.size, -1
        )
        low, middle, high = np.nanpercentile(shown_conductance_us, _SHOWN, axis=1)
        axes.fill_between(
            volts,
            low,
            high,
            color=plot.VERMILION,
            alpha=0.25,
            linewidth=0,
            label="model, 16 to 84 %",
        )
        axes.plot(volts, middle, color=plot.VERMILION, label="model, median")
        axes.plot(
            volts,
            np.nanmedian(seen_conductance_us, axis=0),
            color=plot.BLACK,
            label="held-out median",
        )
        axes.set(xlabel=_label(one), yscale="log")
    panels[0].set_ylabel("Conductance (µS)")
    panels[0].legend()
    return figure


def _distributions(predictions: Sequence[SweepPrediction]) -> Figure:
    figure = plot.new_figure(3.6 * len(predictions) + 0.6, 5.4)
    panels = figure.subplots(2, len(predictions), squeeze=False)
    for column, one in zip(panels.T, predictions, strict=True):
        volt = one.sweeps.volts[one.at]
        column[0].set_title(f"{'gate' if one.of_gate else 'source line'}, at {volt:g} V")
        cumulative(column[0], one.final, "Conductance")
        cumulative(column[1], one.step, "Step")
    panels[0, 0].legend()
    return figure
