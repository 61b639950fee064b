"""Panels of the characterisation figures: maps of cells, distributions, bands."""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hwloop.plotting import style as plot
from hwloop.plotting.style import NamedFigure
from hwloop.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LARGEST_WRITTEN = 8
_PERCENT = (0.1, 1, 10, 50, 90, 99, 99.9)


def flat(values: FloatArray) -> FloatArray:
    """Return the finite values as a one-dimensional array."""
    finite: FloatArray = values[np.isfinite(values)]
    return finite


def first_array(values: FloatArray) -> FloatArray:
    """Return the map (rows, cols) of the first array of a population (..., rows, cols)."""
    first: FloatArray = values.reshape(-1, *values.shape[-2:])[0]
    return first


def map_panel(
    axes: Axes,
    values: FloatArray,
    name: str,
    unit: str,
    *,
    diverging: bool = False,
    marks: NDArray[np.str_] | None = None,
    among: FloatArray | None = None,
) -> None:
    """Draw one (rows, cols) map with its colour bar, and its numbers up to 8 × 8 cells.

    ``marks``: (rows, cols), text of the cells without a number; "–" if left out. ``among``: the
    values of all maps that share one colour scale; those of this map if left out.
    """
    of_all = values if among is None else among
    scale = plot.AxisScale.of(of_all, unit) if unit else plot.AxisScale(1.0, "")
    shown, all_shown = values * scale.factor, of_all * scale.factor
    span = plot.symmetric_span(all_shown) if diverging else plot.finite_span(all_shown)
    cmap = plot.DIVERGING if diverging else plot.SEQUENTIAL
    image = plot.map_of(axes, shown, cmap=cmap, span=span)
    if max(shown.shape) <= _LARGEST_WRITTEN:
        plot.write_numbers(axes, image, _numbers(shown, marks))
    axes.set_yticks(plot.thinned(shown.shape[0]))
    axes.set_xticks(plot.thinned(shown.shape[1]))
    axes.set_xlabel("Column")
    axes.set_ylabel("Row")
    axes.figure.colorbar(image, ax=axes, label=scale.label(name) if scale.unit else name)


def _numbers(shown: FloatArray, marks: NDArray[np.str_] | None) -> NDArray[np.str_]:
    """Format the values of a map with as many digits as tell its cells apart."""
    low, high = plot.finite_span(shown)
    largest = max(abs(low), abs(high))
    digits = 3 if high - low > 0.05 * largest or high == low else 4
    digits = 5 if 0 < high - low < 0.005 * largest else digits
    numbers = np.array([[f"{v:.{digits}g}" for v in row] for row in shown])
    return np.where(np.isfinite(shown), numbers, "–" if marks is None else marks)


def map_figure(
    name: str, title: str, caption: str, panels: list[tuple[str, FloatArray, str]], **kind: bool
) -> NamedFigure:
    """Draw maps side by side, each given as (label, values (..., rows, cols), unit).

    Shows the first array of a population.
    """
    figure = plot.new_figure(4.4 * len(panels) + 0.4, 3.6)
    for axes, (label, values, unit) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
    ):
        map_panel(axes, first_array(values), label, unit, diverging=kind.get("diverging", False))
    return NamedFigure(name, title, caption, figure)


def cumulative_panel(
    axes: Axes, samples: dict[str, FloatArray], quantity: str, unit: str, *, log: bool = False
) -> None:
    """Draw cumulative distributions on a normal-probability axis.

    A normal distribution is a straight line there; with ``log``, a lognormal one.
    """
    everything = np.concatenate([flat(values) for values in samples.values()])
    scale = plot.AxisScale.of(everything, unit) if unit else plot.AxisScale(1.0, "")
    quantile = NormalDist().inv_cdf
    for colour, (label, values) in zip(plot.LINES, samples.items(), strict=False):
        ordered = np.sort(flat(values)) * scale.factor
        if ordered.size:
            ranks = (np.arange(ordered.size) + 0.5) / ordered.size
            axes.plot(ordered, [quantile(float(p)) for p in ranks], ".", color=colour, label=label)
    axes.set_yticks([quantile(p / 100) for p in _PERCENT], [f"{p:g}" for p in _PERCENT])
    axes.set_ylim(quantile(0.0008), quantile(0.9992))
    axes.set_ylabel("Cumulative probability (%)")
    axes.set_xlabel(scale.label(quantity) if scale.unit else quantity)
    if log and everything.size and everything.min() > 0:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("{x:g}" if everything.max() < 10 * everything.min() else "")
    if len(samples) > 1:
        axes.legend()


def cumulative_figure(
    name: str,
    title: str,
    caption: str,
    samples: dict[str, FloatArray],
    *,
    quantity: str,
    unit: str,
    log: bool = False,
) -> NamedFigure | None:
    """Draw one panel of cumulative distributions; return None without a finite value."""
    if not any(flat(values).size for values in samples.values()):
        return None
    figure = plot.new_figure(5.6, 3.8)
    cumulative_panel(figure.subplots(), samples, quantity, unit, log=log)
    return NamedFigure(name, title, caption, figure)


def band(axes: Axes, x: FloatArray, values: FloatArray, *, colour: str, label: str = "") -> None:
    """Draw median and 5 to 95 % range over cells of ``values``, (points, ..., rows, cols)."""
    lines = values.reshape(len(values), -1)
    lines = lines[:, np.isfinite(lines).all(axis=0)]
    if not lines.size:
        return
    low, middle, high = np.percentile(lines, (5, 50, 95), axis=1)
    axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
    axes.plot(x, middle, color=colour, marker=".", label=label)


def merged(values: FloatArray) -> FloatArray:
    """Combine one row per group, (groups, ..., rows, cols), NaN outside the group, into one map."""
    out: FloatArray = values[0].copy()
    for row in values[1:]:
        out = np.where(np.isnan(out), row, out)
    return out
