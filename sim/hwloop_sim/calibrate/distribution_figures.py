"""Figures of cumulative distributions with their KS distances."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwloop.plotting import style as plot
from hwloop.types import FloatArray
from hwloop_sim.calibrate.distribution import Distribution

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def cumulative(axes: Axes, of: Distribution, quantity: str) -> None:
    """Draw both halves of the data and the model as cumulative fractions, with their distances."""
    scale = plot.AxisScale.of(
        np.concatenate([of.held_out_conductance_s, of.fitted_conductance_s]), "S"
    )
    for values_conductance_s, colour, label in (
        (of.fitted_conductance_s, plot.SKY, "fitted half"),
        (of.held_out_conductance_s, plot.BLACK, "held-out half"),
        (of.emulated_conductance_s, plot.VERMILION, "model"),
    ):
        _step_line(axes, values_conductance_s * scale.factor, colour, label)
    figures = of.figures()
    title = f"{axes.get_title()}\n" if axes.get_title() else ""
    axes.set_title(
        f"{title}KS {figures['ks_model']:.2f}, other half {figures['ks_other_half']:.2f},"
        f" 95 % below {figures['ks_95']:.2f}"
    )
    axes.set(xlabel=scale.label(quantity), ylabel="Cumulative fraction", ylim=(0, 1))


def _step_line(axes: Axes, values: FloatArray, colour: str, label: str) -> None:
    ordered = np.sort(values)
    fraction = np.arange(1, ordered.size + 1) / ordered.size
    axes.step(ordered, fraction, where="post", color=colour, label=label)
