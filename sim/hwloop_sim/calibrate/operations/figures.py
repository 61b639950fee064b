"""Figures of a calibration from operations: data, residuals, distributions and spread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hwloop.plotting import style as plot
from hwloop.plotting.style import NamedFigure
from hwloop.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from hwloop_sim.calibrate.operations.fit import OperationFit
    from hwloop_sim.calibrate.operations.history import History
    from hwloop_sim.calibrate.operations.spread import CellSpread

_PANELS = 4
_MOST_PARAMETERS = 6


def draw(fits: Sequence[OperationFit], spread: CellSpread | None) -> Iterator[NamedFigure]:
    """Yield the figures of a fit to all cells or of one fit a cell, and of ``spread`` if there is
    one.

    Paths are those of :data:`_PANELS` of the fitted cells.
    """
    with plot.style():
        yield NamedFigure("paths", "Data against model", "first cells", _paths(fits))
        yield NamedFigure("residuals", "Residuals", "over read noise", _residuals(fits))
        yield NamedFigure("distributions", "Distribution", "of residuals", _normal(fits))
        if spread is not None:
            yield NamedFigure("spread", "Spread", "cell by cell", _spread(spread))


def _paths(fits: Sequence[OperationFit]) -> Figure:
    shown = []
    for history, one_a in _shown(fits):
        volts = np.array([read.read_v for read in history.reads])[:, None]
        pairs = zip(history.names, history.conductance_s.T, (one_a[0] / volts).T, strict=True)
        shown += list(pairs)
    shown = [shown[i] for i in np.linspace(0, len(shown) - 1, min(_PANELS, len(shown))).astype(int)]
    figure = plot.new_figure(3.4 * len(shown) + 0.6, 3.0)
    panels = figure.subplots(1, len(shown), squeeze=False, sharey=True)[0]
    scale = plot.AxisScale.of(np.concatenate([measured for _, measured, _ in shown]), "S")
    for axes, (name, measured_conductance_s, model_conductance_s) in zip(
        panels, shown, strict=True
    ):
        read = np.isfinite(measured_conductance_s)
        reads = np.flatnonzero(read)
        axes.plot(
            reads,
            measured_conductance_s[read] * scale.factor,
            ".",
            color=plot.GREY,
            markersize=3,
            label="measured",
        )
        axes.plot(
            reads, model_conductance_s[read] * scale.factor, color=plot.VERMILION, label="model"
        )
        axes.set(title=name, xlabel="Reads")
        plot.whole_numbers(axes)
    panels[0].set_ylabel(scale.label("Current over voltage"))
    panels[0].legend()
    return figure


def _shown(fits: Sequence[OperationFit]) -> Iterator[tuple[History, FloatArray]]:
    """Yield each history with the currents of its own fit, (1, reads, cells), amperes."""
    for fit in fits:
        problem = fit.minimum.problem
        yield from zip(problem.histories, problem.shown_a(fit.minimum.theta[None]), strict=True)


def _residuals(fits: Sequence[OperationFit]) -> Figure:
    figure = plot.new_figure(6.4, 3.0)
    axes = figure.subplots()
    every = [off for fit in fits for off in fit.residuals]
    for number, off in enumerate(every):
        label = "every cell" if number == 0 else None
        axes.plot(off, ".", color=plot.GREY, markersize=2, label=None)
        axes.plot([], [], ".", color=plot.GREY, label=label)
    longest = max(every, key=len)
    read = np.isfinite(longest)
    several = read.sum(axis=1) > 0
    mean = np.nansum(longest, axis=1)[several] / read.sum(axis=1)[several]
    axes.plot(np.flatnonzero(several), mean, color=plot.BLUE, linewidth=0.8, label="mean of cells")
    axes.axhline(0, color=plot.BLACK, linewidth=0.8)
    axes.set(xlabel="Reads", ylabel="Measured less model, over read noise")
    axes.legend()
    plot.whole_numbers(axes)
    return figure


def _normal(fits: Sequence[OperationFit]) -> Figure:
    from scipy.special import ndtr

    every = [off for fit in fits for off in fit.residuals]
    off = np.concatenate([one[np.isfinite(one)] for one in every])
    figure = plot.new_figure(4.0, 3.0)
    axes = figure.subplots()
    _steps(axes, off, plot.BLACK, "residuals")
    grid = np.linspace(min(-4.0, off.min()), max(4.0, off.max()), 200)
    axes.plot(grid, ndtr(grid), color=plot.VERMILION, label="normal")
    axes.set(
        xlabel="Measured less model, over read noise", ylabel="Cumulative fraction", ylim=(0, 1)
    )
    axes.legend()
    return figure


def _steps(axes: object, values: FloatArray, colour: str, label: str | None) -> None:
    ordered = np.sort(values)
    fraction = np.arange(1, ordered.size + 1) / ordered.size
    axes.step(ordered, fraction, where="post", color=colour, label=label)  # type: ignore[attr-defined]


def _spread(spread: CellSpread) -> Figure:
    names = list(spread.values)[:_MOST_PARAMETERS]
    figure = plot.new_figure(2.6 * len(names) + 0.6, 2.8)
    panels = figure.subplots(1, len(names), squeeze=False, sharey=True)[0]
    for axes, name in zip(panels, names, strict=True):
        middle, _ = spread.median(name)
        sigma, error = spread.sigma(name)
        _steps(axes, 100 * (spread.values[name] / middle - 1), plot.BLACK, None)
        axes.set(title=f"{name}\nsigma {sigma:.3f} ± {error:.3f}", xlabel="Off the median (%)")
        axes.locator_params(axis="x", nbins=4)
    panels[0].set(ylabel="Cumulative fraction of cells", ylim=(0, 1))
    return figure
