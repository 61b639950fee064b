"""Figures of relaxation: conductance over the logarithm of time, and the time constants."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwloop.plotting import style as plot
from hwloop.plotting.maps import band, cumulative_figure, merged
from hwloop.plotting.style import NamedFigure
from hwloop.record.reader import Record
from hwloop.types import FloatArray

_MOST_LINES = 200


def figures(record: Record, label: str) -> Iterator[NamedFigure]:
    """Draw the decay, then the time constants of the cells."""
    rows, found = record.results(label), record.results(label, "figures")
    if not rows or not len(rows["time_s"]) or not found:
        return
    with plot.style():
        decay = _decay(rows, found)
    yield decay
    with plot.style():
        taus = cumulative_figure(
            "time_constants",
            "Time constants",
            "τ of G∞ + A exp(−(t/τ)^β), of each cell whose data determine it.",
            {"cells": found["tau_s"]},
            quantity="τ",
            unit="s",
        )
    if taus is not None:
        yield taus


def _decay(rows: dict[str, FloatArray], found: dict[str, FloatArray]) -> NamedFigure:
    figure = plot.new_figure(6.4, 4.0)
    axes = figure.subplots()
    numbers = np.unique(rows["number"])
    times_s = np.array([rows["time_s"][rows["number"] == n].mean() for n in numbers])
    maps = [merged(rows["conductance_s"][rows["number"] == n]) for n in numbers]
    scale = plot.AxisScale.of(rows["conductance_s"], "S")
    values = np.stack(maps).reshape(len(numbers), -1) * scale.factor
    shown = values[:, :: max(1, values.shape[1] // _MOST_LINES)]
    axes.plot(times_s, shown, color=plot.GREY, linewidth=0.5, alpha=0.5)
    band(axes, times_s, values, colour=plot.BLUE, label="median; band of 90 % of the cells")
    before = found["before_conductance_s"]
    axes.axhline(
        float(np.nanmedian(before)) * scale.factor,
        color=plot.BLACK,
        linewidth=0.9,
        linestyle="--",
        label="before the train, median",
    )
    axes.set_xscale("log")
    axes.set_xlabel("Time since the train (s)")
    axes.set_ylabel(scale.label("Conductance"))
    axes.legend()
    return NamedFigure(
        "relaxation", "Conductance after the train", "One grey line a cell, read by read.", figure
    )
