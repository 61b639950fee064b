"""Figures of a training that knows the hardware."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwloop.plotting import style as plot
from hwloop.plotting.style import NamedFigure
from hwloop.record.reader import Record


def training(record: Record, label: str) -> Iterator[NamedFigure]:
    """Draw accuracy and loss over the epochs, with a line where a pruning or levels begin."""
    rows = record.results(label)
    if not rows or not len(rows["loss"]):
        return
    epochs = np.arange(1, len(rows["loss"]) + 1)
    with plot.style():
        figure = plot.new_figure(7.2, 3.4)
        left, right = figure.subplots(1, 2)
        left.plot(epochs, 100 * rows["accuracy"], ".-", color=plot.BLUE, label="Training, as held")
        if np.isfinite(rows["held_out_accuracy"]).any():
            held_out = 100 * rows["held_out_accuracy"]
            left.plot(epochs, held_out, ".-", color=plot.ORANGE, label="Held out, without noise")
        left.legend()
        left.set_ylabel("Accuracy (%)")
        right.plot(epochs, rows["loss"], ".-", color=plot.BLUE)
        right.set_ylabel("Loss")
        for axes in (left, right):
            for began in np.flatnonzero(np.diff(rows["stage"])) + 1.5:
                axes.axvline(began, color="0.6", linewidth=0.8)
            axes.set_xlabel("Epoch")
            plot.whole_numbers(axes)
    caption = "Grey lines: a pruning step, or the change to levels, begins."
    yield NamedFigure("training", "Training in software", caption, figure)
