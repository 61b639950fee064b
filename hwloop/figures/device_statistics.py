"""Figure of the device statistics: distributions of both states."""

from __future__ import annotations

from collections.abc import Iterator

from hwloop.plotting.maps import cumulative_figure
from hwloop.plotting.style import NamedFigure, style
from hwloop.record.reader import Record


def figures(record: Record, label: str) -> Iterator[NamedFigure]:
    """Draw the conductance distributions of both states."""
    rows, derived = record.results(label), record.results(label, "figures")
    if not derived or not len(derived["state"]):
        return
    with style():
        drawn = cumulative_figure(
            "distributions",
            "Distributions of both states",
            "Every read of every cell, and the median of each cell over its cycles; a lognormal"
            " distribution is a straight line, the steeper the narrower.",
            {
                "high, all cycles": rows["high_conductance_s"],
                "high, medians of the cells": derived["cell_median_conductance_s"][0],
                "low, all cycles": rows["low_conductance_s"],
                "low, medians of the cells": derived["cell_median_conductance_s"][1],
            },
            quantity="Conductance",
            unit="S",
            log=True,
        )
    if drawn is not None:
        yield drawn
