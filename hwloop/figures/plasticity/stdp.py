"""Figures of spike timing: the lasting change against the delay, with the fitted window."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwloop.plotting import style as plot
from hwloop.plotting.maps import band
from hwloop.plotting.style import NamedFigure
from hwloop.record.reader import Record
from hwloop.types import FloatArray


def figures(record: Record, label: str) -> Iterator[NamedFigure]:
    """Draw the change over the signed delay."""
    rows, found = record.results(label, "window"), record.results(label, "figures")
    if not rows or not len(rows["delay_s"]) or not found:
        return
    with plot.style():
        window = _window(rows, found)
    yield window


def _window(rows: dict[str, FloatArray], found: dict[str, FloatArray]) -> NamedFigure:
    figure = plot.new_figure(6.4, 4.0)
    axes = figure.subplots()
    scale = plot.AxisScale.of(rows["delay_s"], "s")
    delays_s, change = rows["delay_s"], 100 * rows["change"].reshape(len(rows["delay_s"]), -1)
    for name, sign, colour, label in (
        ("pre_first", 1, plot.BLUE, "pre first"),
        ("post_first", -1, plot.VERMILION, "post first"),
    ):
        own = sign * delays_s > 0
        band(axes, delays_s[own] * scale.factor, change[own], colour=colour, label=label)
        far, amplitude, tau_s = (
            float(np.nanmedian(found[f"{name}_{column}"]))
            if np.isfinite(found[f"{name}_{column}"]).any()
            else np.nan
            for column in ("far", "change", "tau_s")
        )
        if np.isfinite(tau_s):
            x_s = np.linspace(0, np.abs(delays_s[own]).max(), 200)
            axes.plot(
                sign * x_s * scale.factor,
                100 * (far + amplitude * np.exp(-x_s / tau_s)),
                color=plot.BLACK,
                linewidth=0.9,
                linestyle="--",
                label="c + A exp(−|Δt|/τ), medians of the cells" if sign > 0 else "",
            )
    axes.axhline(0, color=plot.GREY, linewidth=0.6)
    axes.axvline(0, color=plot.GREY, linewidth=0.6)
    axes.set_xlabel(scale.label("Δt, positive where pre comes first"))
    axes.set_ylabel("Lasting change Δg/g (%)")
    axes.legend()
    return NamedFigure(
        "window",
        "Lasting change against the time between two pulses",
        "Median over cells with a band of 90 % of them; dashed, the fitted exponentials.",
        figure,
    )
