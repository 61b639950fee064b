"""Figures of program-and-verify: result, cost, error and maps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from hwloop.plotting import style as plot
from hwloop.plotting.maps import cumulative_panel, first_array, map_panel
from hwloop.plotting.style import NamedFigure
from hwloop.record.reader import Record
from hwloop.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Cells = dict[str, FloatArray]
_REACHED = 1


def figures(record: Record, label: str) -> Iterator[NamedFigure]:
    """Draw targets and results, the cost in pulses, and maps of the array."""
    rows = record.results(label, "cells")
    if not rows or not len(rows["status"]):
        return
    cells = {name: values[0] for name, values in rows.items()}
    if not (cells["status"] != 0).any():
        return
    with plot.style():
        drawn = [_achieved(cells), _cost(cells, record.results(label)), _maps(cells)]
        if (cells["level"] >= 0).any():
            drawn.append(_levels(cells, list(record.settings(label)["target"]["levels"])))
    yield from drawn


def _achieved(cells: Cells) -> NamedFigure:
    figure = plot.new_figure(8.6, 3.6)
    against, errors = figure.subplots(1, 2)
    wanted = cells["status"] != 0
    target_conductance_s, seen_conductance_s = (
        cells["target_conductance_s"][wanted],
        cells["verified_conductance_s"][wanted],
    )
    scale = plot.AxisScale.of(target_conductance_s, "S")
    good = cells["status"][wanted] == _REACHED
    for which, colour, name in ((good, plot.BLUE, "reached"), (~good, plot.VERMILION, "missed")):
        if which.any():
            x, y = (
                target_conductance_s[which] * scale.factor,
                seen_conductance_s[which] * scale.factor,
            )
            against.plot(x, y, ".", color=colour, label=name, markersize=4)
    ends = np.array(plot.finite_span(target_conductance_s)) * scale.factor
    against.plot(ends, ends, color=plot.GREY, linewidth=0.8)
    against.set(xlabel=scale.label("Target"), ylabel=scale.label("At verify"))
    against.legend()
    samples = {
        "at verify": (cells["verified_conductance_s"] - cells["target_conductance_s"])[wanted]
    }
    after_conductance_s = (cells["after_wait_conductance_s"] - cells["target_conductance_s"])[
        wanted
    ]
    if np.isfinite(after_conductance_s).any():
        samples["after the wait"] = after_conductance_s
    cumulative_panel(errors, samples, "Error", "S")
    return NamedFigure(
        "achieved",
        "Target against achieved",
        "Left: each cell at the read that ended its programming. Right: cumulative distribution of"
        " the errors, a normal one a straight line; after a wait the cells have relaxed.",
        figure,
    )


def _cost(cells: Cells, rounds: Cells) -> NamedFigure:
    figure = plot.new_figure(8.6, 3.4)
    counts, course = figure.subplots(1, 2)
    wanted = cells["status"] != 0
    pulses = (cells["pulses_up"] + cells["pulses_down"])[wanted]
    good = cells["status"][wanted] == _REACHED
    _histogram(counts, pulses[good], pulses[~good])
    groups = np.unique(rounds["group"])
    if len(groups) == 1 and len(rounds["number"]):
        _course(course, rounds)
    else:
        cumulative_panel(course, {"cells": cells["energy_j"][wanted]}, "Energy of a cell", "J")
    return NamedFigure(
        "cost",
        "Cost of the programming",
        f"Left: pulses of each cell, on average {pulses.mean():.1f}. Right: error of the cells"
        " not finished, round by round; where cells are programmed group by group, the energy.",
        figure,
    )


def _course(axes: Axes, rounds: Cells) -> None:
    """Draw the error round by round; a dotted line marks the start of a pass over the array."""
    scale = plot.AxisScale.of(rounds["worst_error_conductance_s"], "S")
    begins = np.flatnonzero(np.diff(rounds["attempt"])) + 1
    number = np.arange(1, len(rounds["number"]) + 1)
    for name, colour in (("rms", plot.BLUE), ("worst", plot.VERMILION)):
        error = rounds[f"{name}_error_conductance_s"] * scale.factor
        x, y = np.insert(number * 1.0, begins, np.nan), np.insert(error, begins, np.nan)
        axes.plot(x, y, color=colour, label=name)
    for index, begin in enumerate(begins):
        label = None if index else "next pass"
        axes.axvline(number[begin] - 0.5, color=plot.GREY, linestyle=":", label=label)
    axes.set(xlabel="Round", ylabel=scale.label("Error of the cells at work"))
    axes.set_yscale("log")
    axes.legend()
    plot.whole_numbers(axes)


def _histogram(axes: Axes, good: FloatArray, missed: FloatArray) -> None:
    most = int(max(good.max(initial=0), missed.max(initial=0)))
    edges = np.arange(0, most + 2, max(1, most // 40)) - 0.5
    colours = [plot.BLUE, plot.VERMILION]
    axes.hist([good, missed], list(edges), stacked=True, color=colours, label=["reached", "missed"])
    axes.set(xlabel="Pulses of a cell", ylabel="Cells")
    axes.legend()
    plot.whole_numbers(axes, y=True)


def _maps(cells: Cells) -> NamedFigure:
    figure = plot.new_figure(12.6, 3.6)
    target, achieved, error = figure.subplots(1, 3)
    target_conductance_s, seen_conductance_s = (
        first_array(cells[name]) for name in ("target_conductance_s", "verified_conductance_s")
    )
    status = first_array(cells["status"])
    marks = np.where(status == 0, "–", "?")
    map_panel(target, target_conductance_s, "Target", "S", marks=marks)
    map_panel(achieved, seen_conductance_s, "At verify", "S", marks=marks)
    map_panel(
        error, seen_conductance_s - target_conductance_s, "Error", "S", diverging=True, marks=marks
    )
    for axes in (achieved, error):
        for row, col in np.argwhere(status < 0):
            axes.plot(col, row, "x", color=plot.VERMILION, markersize=12)
    return NamedFigure(
        "maps",
        "Maps of the array",
        "Wanted, achieved, and the difference; × marks cells that were not reached.",
        figure,
    )


def _levels(cells: Cells, names: list[str]) -> NamedFigure:
    figure = plot.new_figure(5.8, 3.8)
    after = np.isfinite(cells["after_wait_conductance_s"]).any()
    seen_conductance_s = (
        cells["after_wait_conductance_s"] if after else cells["verified_conductance_s"]
    )
    named = {
        names[int(level)]: seen_conductance_s[cells["level"] == level]
        for level in np.unique(cells["level"][cells["level"] >= 0])
    }
    cumulative_panel(figure.subplots(), named, "Conductance", "S", log=True)
    return NamedFigure(
        "levels",
        "Levels",
        "Cumulative distribution of each level" + (", after the wait." if after else "."),
        figure,
    )
