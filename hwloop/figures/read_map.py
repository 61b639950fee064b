"""Figures of a read map: map and distribution."""

from __future__ import annotations

from collections.abc import Iterator

from hwloop.plotting.maps import cumulative_figure, map_figure
from hwloop.plotting.style import NamedFigure, style
from hwloop.record.reader import Record


def figures(record: Record, label: str) -> Iterator[NamedFigure]:
    """Draw the map of means and the cumulative distribution of the conductances."""
    rows = record.results(label, "figures")
    if not rows or not len(rows["mean_conductance_s"]):
        return
    mean_conductance_s = rows["mean_conductance_s"][0]
    with style():
        drawn = map_figure(
            "map",
            "Conductance map",
            "Mean of the reads of each cell; – where a cell could not be measured or was not read.",
            [("Conductance", mean_conductance_s, "S")],
        )
    yield drawn
    with style():
        spread = cumulative_figure(
            "distribution",
            "Distribution of the conductances",
            "Over the cells of all arrays; on these axes a lognormal distribution is a straight"
            " line.",
            {"cells": mean_conductance_s},
            quantity="Conductance",
            unit="S",
            log=True,
        )
    if spread is not None:
        yield spread
