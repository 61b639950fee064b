"""Figures of imported data by its kind, and of two recordings over each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hwloop.datasets.measurement import Kind, Measurement
from hwloop.plotting import style as plot
from hwloop.plotting.maps import cumulative_figure
from hwloop.plotting.style import NamedFigure
from hwloop.record.comparison_figures import draw as draw_quantities
from hwloop.recordings.comparison import Section
from hwloop.recordings.sweeps import SweepSet, sweeps_of
from hwloop.recordings.trains import PulseTrains, trains_of
from hwloop.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_LINES = 40
_MOST_GROUPS = 8
_BAND = "Median over the cells; the band holds 90 % of them."
_COLOURS = (plot.BLUE, plot.VERMILION)


def draw_measurement(measurement: Measurement) -> Iterator[NamedFigure]:
    """Draw the figures of a measurement of any kind, in the style of the characterisation steps."""
    with plot.style():
        figures = list(_DRAWN[measurement.kind](measurement))
    yield from figures


def draw_sections(sections: Sequence[Section], names: tuple[str, str]) -> Iterator[NamedFigure]:
    """Draw two recordings over each other; ``names``: of the two, for the legends."""
    for number, section in enumerate(sections):
        prefix = f"{number}_" if len(sections) > 1 else ""
        for drawn in _overlaid(section, names):
            yield replace(drawn, name=f"{prefix}{drawn.name}")
        for one in draw_quantities(section.quantities, names):
            name = f"{prefix}{one.name.replace(' ', '_')}"
            yield NamedFigure(name, f"{section.title}: {one.title}", one.caption, one.figure)


def _overlaid(section: Section, names: tuple[str, str]) -> Iterator[NamedFigure]:
    """Draw what both recordings hold in one panel, where there is a way to."""
    if section.pair is None:
        return
    first, second = section.pair
    with plot.style():
        if isinstance(first, PulseTrains) and isinstance(second, PulseTrains):
            drawn = _overlaid_trains((first, second), names, section.title)
        elif isinstance(first, SweepSet) and isinstance(second, SweepSet):
            drawn = _overlaid_sweeps((first, second), names)
    yield drawn


def _trains(measurement: Measurement) -> Iterator[NamedFigure]:
    figure = plot.new_figure(7.2, 4.0)
    axes = figure.subplots()
    scale = plot.AxisScale.of(measurement.columns["conductance_s"], "S")
    groups = trains_of(measurement)
    for colour, group in zip(plot.LINES, groups[:_MOST_GROUPS], strict=False):
        _lines(axes, group, scale, colour, f"{group.name}, {_count(group)}")
    axes.set(xlabel="Pulse", ylabel=scale.label("Conductance"))
    plot.whole_numbers(axes)
    figure.legend(loc="outside upper center", ncols=2)
    left = len(groups) - _MOST_GROUPS
    more = f" {left} further sequences of pulses are not drawn." if left > 0 else ""
    yield NamedFigure(
        "trains",
        "Trains",
        f"Thin lines: single trains, {_MOST_LINES} of each at most. Thick line: their mean, as far"
        f" as half of them go.{more}",
        figure,
    )


def _count(group: PulseTrains) -> str:
    cells = np.unique(group.cells).size
    return f"{_plural(group.cells.size, 'train')} of {_plural(cells, 'cell')}"


def _counted(sweeps: SweepSet) -> str:
    return f"{_plural(len(sweeps.voltage_v), 'sweep')} of {_plural(sweeps.cells, 'cell')}"


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _lines(axes: Axes, group: PulseTrains, scale: plot.AxisScale, colour: str, label: str) -> None:
    shown = group.conductance_s * scale.factor
    shown = shown[:, :: max(1, -(-shown.shape[1] // _MOST_LINES))]
    axes.plot(shown, color=colour, alpha=0.3, linewidth=0.6)
    axes.plot(group.mean_conductance_s * scale.factor, color=colour, linewidth=2.0, label=label)


def _overlaid_trains(
    pair: tuple[PulseTrains, PulseTrains], names: tuple[str, str], title: str
) -> NamedFigure:
    figure = plot.new_figure(8.4, 3.6)
    left, right = figure.subplots(1, 2)
    everything = np.concatenate([one.conductance_s.ravel() for one in pair])
    scale = plot.AxisScale.of(everything, "S")
    steps_scale = plot.AxisScale.of(np.concatenate([o.steps_conductance_s for o in pair]), "S")
    for one, name, colour in zip(pair, names, _COLOURS, strict=True):
        _lines(left, one, scale, colour, f"{name}, {_count(one)}")
        steps = np.diff(one.conductance_s, axis=0)
        before, change = one.conductance_s[:-1][np.isfinite(steps)], steps[np.isfinite(steps)]
        thin = slice(None, None, max(1, before.size // 2000))
        right.plot(
            before[thin] * scale.factor,
            change[thin] * steps_scale.factor,
            ".",
            color=colour,
            markersize=3,
            alpha=0.4,
        )
        right.plot(
            *_binned(before * scale.factor, change * steps_scale.factor),
            color=colour,
            marker="o",
            markersize=4,
        )
    left.set(xlabel="Pulse", ylabel=scale.label("Conductance"))
    plot.whole_numbers(left)
    right.axhline(0, color=plot.GREY, linewidth=0.6)
    right.set(
        xlabel=scale.label("Conductance before the pulse"), ylabel=steps_scale.label("Change")
    )
    figure.legend(loc="outside upper center", ncols=2)
    return NamedFigure(
        "trains",
        title.capitalize(),
        "Left: single trains and their mean. Right: the change with each pulse against the"
        " conductance before it; the line is the median of eight bins.",
        figure,
    )


def _binned(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the medians of ``x`` and ``y`` in eight bins of equally many points."""
    bins = np.array_split(np.argsort(x, kind="stable"), min(8, max(1, x.size // 5)))
    medians = np.array([[np.median(x[chosen]), np.median(y[chosen])] for chosen in bins])
    return medians[:, 0], medians[:, 1]


def _sweeps(measurement: Measurement) -> Iterator[NamedFigure]:
    sweeps = sweeps_of(measurement)
    figure = plot.new_figure(6.4, 4.2)
    axes = figure.subplots()
    _loops(axes, sweeps, plot.BLUE, _counted(sweeps))
    axes.legend()
    yield NamedFigure("loops", "I-V loops", "Magnitude of the current, a line a sweep.", figure)
    voltages = {"set": np.abs(sweeps.set_v), "reset": np.abs(sweeps.reset_v)}
    if all(np.isfinite(one).sum() > 1 for one in voltages.values()):
        drawn = cumulative_figure(
            "switching_voltages",
            "Set and reset voltages",
            "Magnitudes, over all sweeps: where the conductance crosses the geometric mean of the"
            " sweep's lowest and highest.",
            voltages,
            quantity="|Voltage|",
            unit="V",
        )
        if drawn is not None:
            yield drawn


def _loops(axes: Axes, sweeps: SweepSet, colour: str, label: str) -> None:
    step = max(1, -(-len(sweeps.voltage_v) // _MOST_LINES))
    for number, (volts, current_a) in enumerate(
        zip(sweeps.voltage_v[::step], sweeps.current_a[::step], strict=True)
    ):
        magnitude_a = np.where(current_a == 0, np.nan, np.abs(current_a))
        axes.plot(
            volts,
            magnitude_a,
            color=colour,
            alpha=0.5,
            linewidth=0.8,
            label="" if number else label,
        )
    axes.set_yscale("log")
    axes.set(xlabel="Voltage (V)", ylabel="|Current| (A)")


def _overlaid_sweeps(pair: tuple[SweepSet, SweepSet], names: tuple[str, str]) -> NamedFigure:
    figure = plot.new_figure(6.4, 4.2)
    axes = figure.subplots()
    for one, name, colour in zip(pair, names, _COLOURS, strict=True):
        _loops(axes, one, colour, f"{name}, {_counted(one)}")
    axes.legend()
    return NamedFigure("loops", "I-V loops", "Magnitude of the current, a line a sweep.", figure)


def _reads(measurement: Measurement) -> Iterator[NamedFigure]:
    columns = measurement.columns
    figure = plot.new_figure(6.4, 4.0)
    axes = figure.subplots()
    scale = plot.AxisScale.of(columns["conductance_s"], "S")
    cells = np.unique(columns["cell"])
    shown = cells[:: max(1, -(-cells.size // _MOST_LINES))]
    for cell in shown:
        rows = np.flatnonzero(columns["cell"] == cell)
        rows = rows[np.argsort(columns["time_s"][rows], kind="stable")]
        axes.plot(
            columns["time_s"][rows],
            columns["conductance_s"][rows] * scale.factor,
            color=plot.BLUE,
            alpha=1.0 if cells.size == 1 else 0.5,
            linewidth=0.8,
        )
    times_s = columns["time_s"]
    if times_s.min() > 0 and times_s.max() > 30 * times_s.min():
        axes.set_xscale("log")
    axes.set(xlabel="Time (s)", ylabel=scale.label("Conductance"))
    of = "every cell" if shown.size == cells.size else f"{shown.size} of {cells.size} cells"
    yield NamedFigure("reads", "Conductance against time", f"A line a cell, {of}.", figure)


def _cycling(measurement: Measurement) -> Iterator[NamedFigure]:
    columns = measurement.columns
    samples = {
        "after reset": columns["reset_conductance_s"],
        "after set": columns["set_conductance_s"],
    }
    cycles, place = np.unique(columns["cycle"], return_inverse=True)
    order = np.argsort(place.ravel(), kind="stable")
    bounds = np.flatnonzero(np.diff(place.ravel()[order])) + 1
    figure = plot.new_figure(6.4, 4.0)
    axes = figure.subplots()
    scale = plot.AxisScale.of(np.concatenate(list(samples.values())), "S")
    for (label, values), colour in zip(samples.items(), _COLOURS, strict=True):
        each = np.split(values[order] * scale.factor, bounds)
        low, middle, high = np.array([np.percentile(one, (5, 50, 95)) for one in each]).T
        axes.fill_between(cycles, low, high, color=colour, alpha=0.18, linewidth=0)
        axes.plot(cycles, middle, color=colour, marker=".", label=label)
    axes.set_yscale("log")
    axes.set(xlabel="Cycle", ylabel=scale.label("Conductance"))
    axes.legend()
    yield NamedFigure("cycles", "Both states against the cycle", _BAND, figure)
    yield from _distributions("states", "Distributions of both states", samples)


def _pulse_sweeps(measurement: Measurement) -> Iterator[NamedFigure]:
    columns = measurement.columns
    figure = plot.new_figure(7.2, 3.6)
    scale = plot.AxisScale.of(columns["after_conductance_s"], "S")
    swept = [name for name in ("gate_v", "amplitude_v") if np.ptp(columns[name]) > 0]
    panels = figure.subplots(1, max(1, len(swept)), squeeze=False)[0]
    for axes, name in zip(panels, swept or ["amplitude_v"], strict=True):
        axes.plot(
            columns[name],
            columns["after_conductance_s"] * scale.factor,
            ".",
            color=plot.BLUE,
            markersize=2,
            alpha=0.3,
        )
        label = {"gate_v": "Gate (V)", "amplitude_v": "Amplitude (V)"}[name]
        axes.set(xlabel=label, ylabel=scale.label("Conductance after the pulse"))
    yield NamedFigure("pulses", "Conductance after each pulse", "A point a pulse.", figure)


def _programming(measurement: Measurement) -> Iterator[NamedFigure]:
    samples = {"programmed": measurement.columns["conductance_s"]}
    yield from _distributions("programmed", "Programmed conductances", samples)


def _distributions(name: str, title: str, samples: dict[str, FloatArray]) -> Iterator[NamedFigure]:
    drawn = cumulative_figure(
        name,
        title,
        "A lognormal distribution is a straight line.",
        samples,
        quantity="Conductance",
        unit="S",
        log=True,
    )
    if drawn is not None:
        yield drawn


_DRAWN: Mapping[Kind, Callable[[Measurement], Iterator[NamedFigure]]] = {
    "trains": _trains,
    "iv": _sweeps,
    "reads": _reads,
    "cycling": _cycling,
    "pulse_sweeps": _pulse_sweeps,
    "programming": _programming,
}
