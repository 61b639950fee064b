"""Figure of the wire resistance: map of apparent resistances."""

from __future__ import annotations

from collections.abc import Iterator

from hwloop.plotting.maps import map_figure
from hwloop.plotting.style import NamedFigure, style
from hwloop.record.reader import Record


def figures(record: Record, label: str) -> Iterator[NamedFigure]:
    """Draw the map of the apparent resistances of the cells, lines included."""
    derived = record.results(label, "figures")
    if not derived or not len(derived["row_ohm"]):
        return
    with style():
        drawn = map_figure(
            "map",
            "Apparent resistance through the lines",
            "Apparent resistance of cells in one state: it grows away from the drivers"
            " and the meters.",
            [("Apparent resistance", 1 / derived["apparent_conductance_s"][0], "ohm")],
        )
    yield drawn
