"""Figures of a forecast: pulses, time, and the cells at risk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from hwloop.forecast.forecast import Forecast
from hwloop.plotting import style as plot
from hwloop.plotting.maps import first_array, map_panel
from hwloop.plotting.style import NamedFigure
from hwloop.types import BoolArray, FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw(forecast: Forecast) -> Iterator[NamedFigure]:
    """Draw the expected pulses and time of a run, and maps of the array."""
    with plot.style():
        cost = _cost(forecast)
        maps = _maps(forecast)
    yield cost
    yield maps


def _cost(forecast: Forecast) -> NamedFigure:
    reached = np.array([twin.reached for twin in forecast.twins])
    figure = plot.new_figure(7.6, 3.2)
    of_pulses, of_time = figure.subplots(1, 2)
    totals = forecast.pulses.reshape(len(forecast.twins), -1).sum(axis=1).astype(float)
    _histogram(of_pulses, totals, reached, "Pulses of a run")
    scale = plot.AxisScale.of(forecast.duration_s, "s")
    place = f" on {forecast.station}" if forecast.station else ", emulated"
    _histogram(of_time, forecast.duration_s * scale.factor, reached, scale.label(f"Time{place}"))
    of_pulses.legend()
    low, high = forecast.interval
    return NamedFigure(
        "cost",
        "What a run will cost",
        f"Over {len(forecast.twins)} twins, of which {forecast.successes} reached the aim (95 %"
        f" interval {low:.1%} to {high:.1%}).",
        figure,
    )


def _histogram(axes: Axes, values: FloatArray, reached: BoolArray, label: str) -> None:
    low, high = float(values.min()), float(values.max())
    span = (low, high) if low < high else (low - 0.5, low + 0.5)
    groups = [values[reached], values[~reached]]
    axes.hist(
        groups,
        24,
        range=span,
        stacked=True,
        color=[plot.BLUE, plot.ORANGE],
        label=["reached", "missed"],
    )
    axes.set(xlabel=label, ylabel="Twins")
    plot.whole_numbers(axes, x=False, y=True)


def _maps(forecast: Forecast) -> NamedFigure:
    fraction = forecast.failed_fraction
    panels = 2 if fraction.any() else 1
    figure = plot.new_figure(4.6 * panels, 3.6)
    axes = figure.subplots(1, panels, squeeze=False)[0]
    most = np.percentile(forecast.pulses, 95, axis=0)
    map_panel(axes[0], first_array(most), "Pulses, 95 % of twins below", "")
    caption = f"Pulses of a run, of {forecast.procedure.array.limits.pulses_per_device} in a life."
    if most.ndim > 2:
        caption += f" The first of {len(most)} tiles."
    if panels > 1:
        map_panel(axes[1], first_array(100 * fraction), "Twins in which the cell failed (%)", "")
        caption += " Right: how often a cell did not reach what a step wanted of it."
    return NamedFigure("cells", "Cells at risk", caption, figure)
