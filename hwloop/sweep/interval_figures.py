"""Figures of a sweep for fractions that come with a confidence interval, such as an accuracy.

``accuracy`` with ``accuracy_low`` and ``accuracy_high`` is drawn against a setting with its
interval, a line for each combination of the other settings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from hwloop.plotting import style as plot
from hwloop.plotting.style import NamedFigure
from hwloop.sweep.grid import SEED, shown
from hwloop.sweep.table import Result, moving
from hwloop.types import FloatArray

_LOW, _HIGH = "_low", "_high"
_NONE: Mapping[str, str] = MappingProxyType({})
_ASIDE = 0.06
"""Distance between lines, in steps of the setting, so that their bars stand apart."""


def with_interval(results: Sequence[Result]) -> list[str]:
    """Return the names of moving fractions that lie between ends of their own at every point."""
    return [name for name in moving(results) if all(_bounded(one, name) for one in results)]


def _bounded(one: Result, name: str) -> bool:
    low, value, high = (one.figures.get(part, np.nan) for part in (name + _LOW, name, name + _HIGH))
    return bool(0 <= low <= value <= high <= 1)  # false where one of them is NaN


def draw_intervals(
    key: str,
    values: Sequence[str],
    results: Sequence[Result],
    labels: Mapping[str, str] = _NONE,
) -> Iterator[NamedFigure]:
    """Draw each such fraction against the setting ``key`` of ``values``.

    ``labels``: of values, in place of their own text. Nothing is drawn where the other settings
    have more combinations than there are colours.
    """
    lines = _lines(key, results, labels)
    texts = [labels.get(value, value) for value in values]
    if len(lines) <= len(plot.LINES):
        for name in with_interval(results):
            yield _figure(key, values, texts, name, lines)


def _lines(
    key: str, results: Sequence[Result], labels: Mapping[str, str]
) -> dict[str, list[Result]]:
    """Return the points of each combination of the settings other than ``key`` and the seed."""
    taken: dict[str, set[str]] = {}
    for one in results:
        for other, value in one.point.values:
            taken.setdefault(other, set()).add(shown(value))
    lines: dict[str, list[Result]] = {}
    for one in results:
        others = [
            f"{other.rpartition('.')[2]} {labels.get(shown(value), shown(value))}"
            for other, value in one.point.values
            if other not in (key, SEED) and len(taken[other]) > 1
        ]
        lines.setdefault(", ".join(others), []).append(one)
    return lines


def _figure(
    key: str,
    values: Sequence[str],
    texts: Sequence[str],
    name: str,
    lines: dict[str, list[Result]],
) -> NamedFigure:
    with plot.style():
        figure = plot.new_figure(6.4, 4.0)
        axes = figure.subplots()
        for index, (label, members) in enumerate(lines.items()):
            at, low, middle, high = _means(key, values, name, members)
            axes.errorbar(
                at + _ASIDE * (index - (len(lines) - 1) / 2),
                middle,
                (middle - low, high - middle),
                color=plot.LINES[index],
                marker="o",
                markersize=4,
                capsize=3,
                label=label,
            )
        axes.set_xticks(range(len(texts)), texts, rotation=30 if len("".join(texts)) > 40 else 0)
        axes.set_xlabel(key.rpartition(".")[2])
        axes.set_ylabel(name.rpartition(".")[2].replace("_", " ").capitalize())
        if len(lines) > 1:
            axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=min(len(lines), 4))
    return NamedFigure(
        f"{name}_against_{key}".replace(".", "_"),
        f"{name} against {key}",
        "Bars: the 95 % confidence interval of one run; over several seeds, the means.",
        figure,
    )


def _means(
    key: str, values: Sequence[str], name: str, members: Sequence[Result]
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return positions, low ends, fractions and high ends, means over the seeds."""
    at_value: dict[int, list[Result]] = {}
    for one in members:
        at_value.setdefault(values.index(shown(dict(one.point.values)[key])), []).append(one)
    at = sorted(at_value)
    low, middle, high = (
        np.array([np.mean([one.figures[name + end] for one in at_value[place]]) for place in at])
        for end in (_LOW, "", _HIGH)
    )
    return np.array(at, dtype=np.float64), low, middle, high
