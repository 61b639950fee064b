"""Figures of a sweep: every result against a setting, with its spread over the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from hwloop.plotting import style as plot
from hwloop.plotting.style import NamedFigure
from hwloop.statistics import mean_and_deviation
from hwloop.sweep.chosen_figure import draw_chosen
from hwloop.sweep.grid import SEED, shown
from hwloop.sweep.interval_figures import draw_intervals, with_interval
from hwloop.sweep.sweep_file import ChosenFigure
from hwloop.sweep.table import Result, moving


def draw(
    results: Sequence[Result], chosen: ChosenFigure | None = None, *, name: str = ""
) -> Iterator[NamedFigure]:
    """Draw the chosen figure as ``name``, then those of each setting that took several values.

    The latter show the spread over seeds; all take the labels of the chosen one.
    """
    if chosen is not None and any(chosen.y in one.figures for one in results):
        yield draw_chosen(chosen, results, name=name)
    labels = {} if chosen is None else chosen.labels
    good = [one for one in results if one.figures or np.isfinite(one.reached)]
    for key in dict.fromkeys(key for one in results for key, _ in one.point.values):
        values = list(dict.fromkeys(shown(dict(one.point.values)[key]) for one in good))
        if key != SEED and len(values) > 1:
            yield from draw_intervals(key, values, good, labels)
            yield _against(key, values, good, labels)


def _against(
    key: str, values: list[str], results: Sequence[Result], labels: Mapping[str, str]
) -> NamedFigure:
    ends = {name + end for name in with_interval(results) for end in ("_low", "_high")}
    texts = [labels.get(value, value) for value in values]
    names = ["reached", *(name for name in moving(results) if name not in ends)][:9]
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    with plot.style():
        figure = plot.new_figure(3.6 * columns, 2.7 * rows)
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for panel, name in zip(axes, names, strict=False):
            groups = [_values(results, key, value, name) for value in values]
            place = np.arange(len(values))
            means, spread, _ = zip(*map(mean_and_deviation, groups), strict=True)
            panel.errorbar(place, means, spread, color=plot.BLUE, marker="o", capsize=3)
            for at, group in zip(place, groups, strict=True):
                panel.plot([at] * len(group), group, ".", color=plot.GREY, markersize=3, zorder=0)
            panel.set_xticks(place, texts, rotation=30 if len("".join(texts)) > 24 else 0)
            panel.set(xlabel=key.rpartition(".")[2], ylabel=name.partition(".")[2] or name)
        for panel in axes[len(names) :]:
            panel.set_axis_off()
    return NamedFigure(
        f"against_{key.replace('.', '_')}",
        f"Against {key}",
        "Mean and sample standard deviation over the other settings and the seeds; each point in"
        " grey.",
        figure,
    )


def _values(results: Sequence[Result], key: str, value: str, name: str) -> list[float]:
    found = [
        one.reached if name == "reached" else one.figures.get(name, np.nan)
        for one in results
        if shown(dict(one.point.values)[key]) == value
    ]
    return [number for number in found if np.isfinite(number)]
