"""Figures of a training in the array by a chosen rule: of one array, or of a population."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from hwloop.plotting import style as plot
from hwloop.plotting.style import NamedFigure
from hwloop.record.reader import Record
from hwloop.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def figures(record: Record, label: str) -> Iterator[NamedFigure]:
    """Draw accuracy, loss and pulses over the epochs, and of a population its convergence."""
    rows = record.results(label)
    if not rows or not len(rows["epoch"]):
        return
    epochs = np.asarray(rows["epoch"])
    arrays = int(np.prod(np.shape(rows["loss"])[1:]))
    with plot.style():
        figure = plot.new_figure(9.0, 3.2)
        for axes, name, unit, scale in zip(
            figure.subplots(1, 3),
            ("accuracy", "loss", "pulses"),
            ("Accuracy (%)", "Loss", "Pulses given to an array"),
            (100.0, 1.0, 1.0),
            strict=True,
        ):
            _draw(axes, epochs, scale * np.asarray(rows[name]).reshape(len(epochs), -1))
            axes.set_ylabel(unit)
    caption = "Judged after so many epochs of updates."
    if arrays > 1:
        caption += f" Line: median of {arrays} arrays; bands: 50 % and 90 % of them."
    yield NamedFigure("learning", "Training in the array", caption, figure)
    if arrays > 1:
        with plot.style():
            yield _convergence(epochs, np.asarray(rows["converged"]).reshape(len(epochs), -1))


def _draw(axes: Axes, epochs: FloatArray, values: FloatArray) -> None:
    """Draw values (judgements, arrays): a line, or the median and bands of several."""
    if values.shape[-1] > 1:
        for low, high, alpha in ((5, 95, 0.15), (25, 75, 0.3)):
            ends = np.percentile(values, (low, high), axis=-1)
            axes.fill_between(epochs, *ends, color=plot.BLUE, alpha=alpha, linewidth=0)
    axes.plot(epochs, np.median(values, axis=-1), ".-", color=plot.BLUE, markersize=4)
    axes.set_xlabel("Epoch")
    plot.whole_numbers(axes)


def _convergence(epochs: FloatArray, converged: FloatArray) -> NamedFigure:
    figure = plot.new_figure(4.6, 3.0)
    axes = figure.subplots()
    share = 100 * converged.mean(axis=-1)
    axes.step(epochs, share, where="post", color=plot.BLUE)
    axes.set_ylim(0, max(1.1 * share[-1], 1.0))
    axes.set_xlabel("Epoch")
    axes.set_ylabel("Converged so far (%)")
    plot.whole_numbers(axes)
    caption = f"{int(converged[-1].sum())} of {converged.shape[-1]} arrays met the stop criterion."
    return NamedFigure("convergence", "Arrays that have converged", caption, figure)
