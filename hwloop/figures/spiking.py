"""Figure of a spiking inference: accuracy against the time steps."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwloop.plotting import style as plot
from hwloop.plotting.style import NamedFigure
from hwloop.record.reader import Record


def figures(record: Record, label: str) -> Iterator[NamedFigure]:
    """Draw accuracy against time steps, beside that of the analogue network."""
    rows = record.results(label)
    if not rows or not len(rows["time_step"]):
        return
    steps = np.asarray(rows["time_step"])
    names = ("accuracy", "accuracy_low", "accuracy_high")
    mean, low, high = (100 * np.asarray(rows[one]).reshape(len(steps), -1) for one in names)
    with plot.style():
        figure = plot.new_figure(4.6, 3.2)
        axes = figure.subplots()
        axes.fill_between(
            steps, low.min(axis=-1), high.max(axis=-1), color=plot.BLUE, alpha=0.2, linewidth=0
        )
        axes.plot(steps, np.median(mean, axis=-1), ".-", color=plot.BLUE, label="spiking")
        analogue = 100 * float(rows["analogue_accuracy"][0])
        axes.axhline(analogue, color=plot.VERMILION, linestyle="--", label="analogue, software")
        axes.set_xlabel("Time steps")
        axes.set_ylabel("Accuracy (%)")
        axes.legend()
        plot.whole_numbers(axes)
    caption = f"{int(rows['samples'][0])} samples; band: 95 % Wilson interval."
    if mean.shape[-1] > 1:
        caption += f" Median of {mean.shape[-1]} arrays, band over all of them."
    yield NamedFigure("spiking", "Accuracy by spikes", caption, figure)
