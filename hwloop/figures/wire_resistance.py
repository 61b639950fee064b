"""The figure of a wire resistance."""

from __future__ import annotations

from collections.abc import Iterator

from hwloop.plotting.maps import map_figure
from hwloop.plotting.style import NamedFigure, style
from hwloop.record.reader import Record


def figures(record: Record, label: str) -> Iterator[NamedFigure]:
    """Draw what the cells seem to be through the lines."""
    derived = record.results(label, "figures")
    if not derived or not len(derived["row_ohm"]):
        return
    with style():
        drawn = map_figure(
            "map",
            "What the lines take",
            "Apparent resistance of cells that stand in one state: it grows away from the drivers"
            " and the meters.",
            [("Apparent resistance", 1 / derived["apparent_conductance_s"][0], "ohm")],
        )
    yield drawn
