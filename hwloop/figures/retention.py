"""Figures of retention: conductance over time and drift exponents."""

from __future__ import annotations

from collections.abc import Iterator

from hwloop.plotting import style as plot
from hwloop.plotting.maps import band, cumulative_figure
from hwloop.plotting.style import NamedFigure
from hwloop.record.reader import Record
from hwloop.types import FloatArray

_MOST_LINES = 200


def figures(record: Record, label: str) -> Iterator[NamedFigure]:
    """Draw G against log t, then the drift exponents."""
    rows = record.results(label)
    if not rows or not len(rows["time_s"]):
        return
    with plot.style():
        path = _path(rows)
    yield path
    derived = record.results(label, "figures")
    if not derived or not len(derived["drift_exponent"]):
        return
    with plot.style():
        exponents = cumulative_figure(
            "drift_exponents",
            "Drift exponents",
            "ν of G = G₁ (t / 1 s)^−ν, of each cell; a normal distribution is a straight line.",
            {"cells": derived["drift_exponent"]},
            quantity="Drift exponent ν",
            unit="",
        )
    if exponents is not None:
        yield exponents


def _path(rows: dict[str, FloatArray]) -> NamedFigure:
    figure = plot.new_figure(6.4, 4.0)
    axes = figure.subplots()
    scale = plot.AxisScale.of(rows["conductance_s"], "S")
    values = rows["conductance_s"].reshape(len(rows["time_s"]), -1) * scale.factor
    shown = values[:, :: max(1, values.shape[1] // _MOST_LINES)]
    axes.plot(rows["time_s"], shown, color=plot.GREY, linewidth=0.5, alpha=0.5)
    band(axes, rows["time_s"], values, colour=plot.BLUE, label="median; band of 90 % of the cells")
    axes.set_xscale("log")
    axes.set_xlabel("Time since the programming (s)")
    axes.set_ylabel(scale.label("Conductance"))
    axes.legend()
    return NamedFigure(
        "retention", "Conductance against time", "One grey line a cell, read by read.", figure
    )
