"""Figures of a pulse response: trains and grid of conditions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwloop.plotting import style as plot
from hwloop.plotting.maps import band, merged
from hwloop.plotting.style import NamedFigure
from hwloop.record.reader import Record
from hwloop.types import FloatArray

_MOST_CONDITIONS = 8


def figures(record: Record, label: str) -> Iterator[NamedFigure]:
    """Draw the trains of each condition, and the change over the grid of several conditions."""
    rows = record.results(label)
    if not rows or not len(rows["pulse"]):
        return
    with plot.style():
        trains = _trains(rows)
    yield trains
    derived = record.results(label, "figures")
    if derived and len(derived["condition"]) > 2:
        with plot.style():
            grid = _grid(derived)
        yield grid


def _trains(rows: dict[str, FloatArray]) -> NamedFigure:
    figure = plot.new_figure(8.0, 4.0)
    axes = figure.subplots()
    scale = plot.AxisScale.of(rows["conductance_s"], "S")
    first = rows["group"] == rows["group"][0]
    conditions = np.unique(rows["condition"])[:_MOST_CONDITIONS]
    per_cycle = 2 * int(rows["pulse"].max()) + 1
    for colour, condition in zip(plot.LINES, conditions, strict=False):
        chosen = first & (rows["condition"] == condition)
        keys = list(zip(*(rows[k][chosen] for k in ("cycle", "direction", "pulse")), strict=True))
        values = np.stack([merged(_point(rows, condition, key)) for key in keys])
        order = [(c - 1) * per_cycle + (p if d > 0 else per_cycle // 2 + p) for c, d, p in keys]
        name = f"{_amplitude(rows, chosen)}, {plot_seconds(rows['width_s'][chosen][0])}"
        band(axes, np.array(order), values * scale.factor, colour=colour, label=name)
    axes.set_xlabel("Pulse, counted through the cycles (up, then down)")
    axes.set_ylabel(scale.label("Conductance"))
    plot.whole_numbers(axes)
    figure.legend(loc="outside upper center", ncols=2)
    return NamedFigure(
        "conductance",
        "Potentiation and depression",
        "After every pulse: the line is the median over cells, the shaded band holds 90 % of"
        " them. In each cycle the train up comes first, then the train down.",
        figure,
    )


def _point(
    rows: dict[str, FloatArray], condition: int, key: tuple[float, float, float]
) -> FloatArray:
    cycle, direction, pulse = key
    mask = (rows["condition"] == condition) & (rows["cycle"] == cycle)
    mask &= (rows["direction"] == direction) & (rows["pulse"] == pulse)
    values: FloatArray = rows["conductance_s"][mask]
    return values


def _amplitude(rows: dict[str, FloatArray], chosen: FloatArray) -> str:
    used = chosen & (rows["pulse"] == 1)
    volts = [rows["amplitude_v"][used & (rows["direction"] == d)][:1] for d in (1, -1)]
    return " / ".join(f"{v[0]:g} V".replace("-", "−") for v in volts if v.size)


def plot_seconds(width_s: float) -> str:
    """Format a time with its unit, such as ``"50 ms"``."""
    from hwloop.settings.units import format_quantity

    return format_quantity(float(width_s), "s", digits=3)


def _grid(derived: dict[str, FloatArray]) -> NamedFigure:
    figure = plot.new_figure(7.6, 3.6)
    change = derived["last_conductance_s"] - derived["first_conductance_s"]
    scale = plot.AxisScale.of(change, "S")
    panels = figure.subplots(1, 2, sharey=False)
    for axes, direction, title in zip(panels, (1, -1), ("up", "down"), strict=True):
        rows = derived["direction"] == direction
        for colour, width_s in zip(plot.LINES, np.unique(derived["width_s"][rows]), strict=False):
            mask = rows & (derived["width_s"] == width_s)
            order = np.argsort(np.abs(derived["amplitude_v"][mask]))
            x = np.abs(derived["amplitude_v"][mask])[order]
            band(
                axes,
                x,
                change[mask][order] * scale.factor,
                colour=colour,
                label=plot_seconds(width_s),
            )
        axes.set_title(title)
        axes.set_xlabel("|Amplitude| (V)")
        axes.set_xticks(np.unique(np.abs(derived["amplitude_v"][rows])))
        axes.legend(title="width")
    panels[0].set_ylabel(scale.label("Change over the train"))
    return NamedFigure(
        "grid",
        "Change against amplitude and width",
        "Of the whole train, last minus first: median over cells, band of 90 %.",
        figure,
    )
