"""Figure of an array that is programmed by least mean squares."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwloop.plotting import style as plot
from hwloop.plotting.style import NamedFigure
from hwloop.record.reader import Record


def figures(record: Record, label: str) -> Iterator[NamedFigure]:
    """Draw the mean error before each update, with each array of a population."""
    rows = record.results(label)
    if not rows or not len(rows["update"]):
        return
    updates = np.asarray(rows["update"])
    errors = np.asarray(rows["error"]).reshape(len(updates), -1)
    with plot.style():
        figure = plot.new_figure(4.6, 3.2)
        axes = figure.subplots()
        if errors.shape[-1] > 1:
            axes.semilogy(updates, errors, color=plot.SKY, linewidth=0.6)
        axes.semilogy(updates, np.median(errors, axis=-1), ".-", color=plot.BLUE)
        axes.axhline(1e-5, color=plot.VERMILION, linestyle="--", linewidth=1)
        axes.annotate("1e-5", (updates[0], 1e-5), va="bottom", color=plot.VERMILION)
        axes.set_xlabel("Updates")
        axes.set_ylabel("Mean |target − read|, of the range")
        plot.whole_numbers(axes)
    caption = "Read before each update; the dashed line is the error that the review asks for."
    if errors.shape[-1] > 1:
        caption += f" Line: median of {errors.shape[-1]} arrays; thin: each of them."
    yield NamedFigure("error", "Error of the programming", caption, figure)
