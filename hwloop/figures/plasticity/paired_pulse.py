"""Figures of facilitation: its index against the interval, with the fits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwloop.plotting import style as plot
from hwloop.plotting.maps import band
from hwloop.plotting.style import NamedFigure
from hwloop.record.reader import Record
from hwloop.types import FloatArray


def figures(record: Record, label: str) -> Iterator[NamedFigure]:
    """Draw facilitation over the interval."""
    rows, found = record.results(label, "facilitation"), record.results(label, "figures")
    if not rows or not len(rows["interval_s"]) or not found:
        return
    with plot.style():
        curve = _curve(rows, found)
    yield curve


def _curve(rows: dict[str, FloatArray], found: dict[str, FloatArray]) -> NamedFigure:
    figure = plot.new_figure(6.4, 4.0)
    axes = figure.subplots()
    order = np.argsort(rows["interval_s"])
    intervals_s = rows["interval_s"][order]
    values = rows["facilitation"][order].reshape(len(order), -1)
    band(axes, intervals_s, values, colour=plot.BLUE, label="median; band of 90 % of the cells")
    x_s = np.geomspace(intervals_s[0], intervals_s[-1], 200)
    known = np.isfinite(found["tau_s"])
    if known.any():
        lasting, amplitude, tau_s = (
            float(np.median(found[n][known])) for n in ("lasting", "amplitude", "tau_s")
        )
        axes.plot(
            x_s,
            lasting + amplitude * np.exp(-x_s / tau_s),
            color=plot.BLACK,
            linewidth=0.9,
            linestyle="--",
            label="c + A exp(−Δ/τ), medians of the cells",
        )
    axes.set_xscale("log")
    axes.axhline(1, color=plot.GREY, linewidth=0.6)
    axes.set_xlabel("Interval between the pulses (s)")
    axes.set_ylabel("Change after two pulses over change after one")
    axes.legend()
    return NamedFigure(
        "facilitation",
        "Paired-pulse facilitation",
        "1: the second pulse adds nothing that the single one does not.",
        figure,
    )
