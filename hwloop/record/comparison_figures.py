"""Figures of a comparison: paths overlaid, cumulative distributions of the ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hwloop.plotting import style as plot
from hwloop.plotting.style import NamedFigure
from hwloop.record.comparison import Quantity
from hwloop.settings.units import without_suffix
from hwloop.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = (plot.BLUE, plot.VERMILION)


def draw(quantities: Sequence[Quantity], names: tuple[str, str]) -> Iterator[NamedFigure]:
    """Draw each quantity: its course where it has one, and the distribution of its last row."""
    for one in quantities:
        with plot.style():
            has_path = len(one.first) > 1 or len(one.second) > 1
            figure = plot.new_figure(7.2 if has_path else 3.8, 3.0)
            panels = figure.subplots(1, 2 if has_path else 1, squeeze=False)[0]
            scale = plot.AxisScale.of(
                np.concatenate([one.first.ravel(), one.second.ravel()]), one.unit
            )
            if one.unit == "1":
                scale = plot.AxisScale(1.0, "1")
            label = without_suffix(one.name.rpartition(".")[2], one.unit).replace("_", " ")
            label = label if one.unit == "1" else scale.label(label)
            if has_path:
                _paths(panels[0], one, scale, names, label)
            _distributions(panels[-1], one, scale, names, label)
            panels[0].legend()
            yield NamedFigure(one.name.replace(".", "_"), one.name, "both records", figure)


def _paths(
    axes: Axes, one: Quantity, scale: plot.AxisScale, names: tuple[str, str], label: str
) -> None:
    for values, name, colour in zip((one.first, one.second), names, _COLOURS, strict=True):
        rows = np.arange(1, len(values) + 1)
        low, middle, high = _quartiles(values) * scale.factor
        axes.fill_between(rows, low, high, color=colour, alpha=0.2, linewidth=0)
        axes.plot(rows, middle, color=colour, label=f"{name}, median and quartiles")
    axes.set(xlabel="Row of the results", ylabel=label)
    plot.whole_numbers(axes)


def _quartiles(values: FloatArray) -> FloatArray:
    """Return the quartiles of each row, (3, rows); NaN where it has no finite value."""
    kept = (row[np.isfinite(row)] for row in values)
    found = [np.quantile(r, [0.25, 0.5, 0.75]) if r.size else np.full(3, np.nan) for r in kept]
    return np.array(found).T


def _distributions(
    axes: Axes, one: Quantity, scale: plot.AxisScale, names: tuple[str, str], label: str
) -> None:
    for values, name, colour in zip(one.ends, names, _COLOURS, strict=True):
        ordered = np.sort(values) * scale.factor
        fraction = np.arange(1, ordered.size + 1) / ordered.size
        axes.step(ordered, fraction, where="post", color=colour, label=name)
    figures = one.figures()
    axes.set_title(f"KS {figures['ks']:.2f}; equal: 95 % below {figures['ks_95']:.2f}")
    axes.set(xlabel=label, ylabel="Cumulative fraction, last row", ylim=(0, 1))
