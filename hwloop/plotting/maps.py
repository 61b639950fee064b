"""What the figures of characterisations share: maps of cells, distributions, bands."""

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
    """The finite values, in a row."""
    finite: FloatArray = values[np.isfinite(values)]
    return finite


def first_array(values: FloatArray) -> FloatArray:
    """(..., rows, cols) of the first array of a population."""
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
    """One (rows, cols) map with its numbers where there are few, and its colour bar.

    ``marks``: (rows, cols), what is written into a cell that has no number, "–" if left out.
    ``among``: the values of all maps that share one scale of colours; its own, if left out.
    """
    of_all = values if among is None else among
    scale = plot.Scale.of(of_all, unit) if unit else plot.Scale(1.0, "")
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
    """The numbers of a map, with as many digits as tell its cells apart."""
    low, high = plot.finite_span(shown)
    largest = max(abs(low), abs(high))
    digits = 3 if high - low > 0.05 * largest or high == low else 4
    digits = 5 if 0 < high - low < 0.005 * largest else digits
    numbers = np.array([[f"{v:.{digits}g}" for v in row] for row in shown])
    return np.where(np.isfinite(shown), numbers, "–" if marks is None else marks)


def map_figure(
    name: str, title: str, caption: str, panels: list[tuple[str, FloatArray, str]], **kind: bool
) -> NamedFigure:
    """Maps side by side: (label, (..., rows, cols), unit) each; of a population its first."""
    figure = plot.new_figure(4.4 * len(panels) + 0.4, 3.6)
    for axes, (label, values, unit) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
    ):
        map_panel(axes, first_array(values), label, unit, diverging=kind.get("diverging", False))
    return NamedFigure(name, title, caption, figure)


def cumulative_panel(
    axes: Axes, samples: dict[str, FloatArray], quantity: str, unit: str, *, log: bool = False
) -> None:
    """Cumulative distributions on a normal-probability axis: a normal one is a straight line."""
    everything = np.concatenate([flat(values) for values in samples.values()])
    scale = plot.Scale.of(everything, unit) if unit else plot.Scale(1.0, "")
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
    """One panel of cumulative distributions; None where there is no finite value."""
    if not any(flat(values).size for values in samples.values()):
        return None
    figure = plot.new_figure(5.6, 3.8)
    cumulative_panel(figure.subplots(), samples, quantity, unit, log=log)
    return NamedFigure(name, title, caption, figure)


def band(axes: Axes, x: FloatArray, values: FloatArray, *, colour: str, label: str = "") -> None:
    """Median and the 5 to 95 % range over cells: ``values`` is (points, ..., rows, cols)."""
    lines = values.reshape(len(values), -1)
    lines = lines[:, np.isfinite(lines).all(axis=0)]
    if not lines.size:
        return
    low, middle, high = np.percentile(lines, (5, 50, 95), axis=1)
    axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
    axes.plot(x, middle, color=colour, marker=".", label=label)


def merged(values: FloatArray) -> FloatArray:
    """Rows of one point for each group, (groups, ..., rows, cols), as one map."""
    out: FloatArray = values[0].copy()
    for row in values[1:]:
        out = np.where(np.isnan(out), row, out)
    return out
