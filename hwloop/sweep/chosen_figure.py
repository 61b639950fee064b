"""The figure that a sweep file chooses: one result in lines or as a map, with its intervals."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from hwloop.plotting import style as plot
from hwloop.plotting.style import NamedFigure
from hwloop.sweep.grid import shown
from hwloop.sweep.sweep_file import ChosenFigure
from hwloop.sweep.table import Result
from hwloop.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

_WIDTH = 14
"""Letters of a label on an axis before it goes on in the next line."""

_ASIDE = 0.16
"""Distance between the points of one case, in distances of the cases."""


def draw_chosen(chosen: ChosenFigure, results: Sequence[Result], *, name: str) -> NamedFigure:
    """Draw the figure of finished points; panels share the axis or the colours of the result."""
    good = [one for one in results if chosen.y in one.figures]
    panels = _values(good, chosen.panels)
    span = plot.finite_span(np.array([one.figures[chosen.y] for one in good]))
    with plot.style():
        xs = _values(good, chosen.x)
        wide = 3.7 if _places(xs)[1] else max(3.7, 1.15 * len(xs))
        figure = plot.new_figure(wide * len(panels) + 0.3, 3.2)
        row = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
        for axes, panel in zip(row, panels, strict=True):
            own = [one for one in good if _value(one, chosen.panels) == panel]
            if chosen.kind == "lines":
                _draw_lines(axes, chosen, own)
            else:
                image = _draw_map(axes, chosen, own, span)
                if axes is row[-1]:
                    figure.colorbar(image, ax=list(row), label=chosen.label(chosen.y))
            axes.set_xlabel(chosen.label(chosen.x))
            if panel:
                axes.set_title(chosen.label(panel))
        row[0].set_ylabel(chosen.label(chosen.y if chosen.kind == "lines" else chosen.lines or ""))
    return NamedFigure(name, chosen.title or name, _caption(chosen), figure)


def _caption(chosen: ChosenFigure) -> str:
    ends = "; bars: its interval" if chosen.kind == "lines" else ""
    return f"{chosen.label(chosen.y)} against {chosen.label(chosen.x)}{ends}."


def _draw_lines(axes: Axes, chosen: ChosenFigure, results: Sequence[Result]) -> None:
    xs, lines = _values(results, chosen.x), _values(results, chosen.lines)
    place, numeric = _places(xs)
    # Cases have no order: nothing lies between them, and points of one case stand side by side.
    fmt, aside = ("o-", 0.0) if numeric else ("o", _ASIDE)
    for index, (color, line) in enumerate(zip(plot.LINES * 10, lines, strict=False)):
        own = [one for one in results if _value(one, chosen.lines) == line]
        middle, low, high = (
            np.array([_mean(own, chosen.x, x, chosen.y + end) for x in xs])
            for end in ("", "_low", "_high")
        )
        ends = np.nan_to_num(np.abs(np.stack([middle - low, high - middle])))
        label = chosen.label(line) if line else None
        at = place + aside * (index - (len(lines) - 1) / 2)
        axes.errorbar(at, middle, ends, fmt=fmt, color=color, capsize=2, label=label)
    if not numeric:
        axes.set_xticks(place, [fill(chosen.label(x), _WIDTH) for x in xs])
    if chosen.lines:
        axes.legend(title=chosen.label(chosen.lines) or None)


def _draw_map(
    axes: Axes, chosen: ChosenFigure, results: Sequence[Result], span: tuple[float, float]
) -> AxesImage:
    xs, ys = _values(results, chosen.x), _values(results, chosen.lines)
    values = np.array(
        [
            [
                _mean(
                    [one for one in results if _value(one, chosen.lines) == y],
                    chosen.x,
                    x,
                    chosen.y,
                )
                for x in xs
            ]
            for y in ys
        ]
    )
    image = plot.map_of(axes, values, cmap=plot.SEQUENTIAL, span=span)
    numbers = [[f"{value:.3g}" if np.isfinite(value) else "–" for value in row] for row in values]
    plot.write_numbers(axes, image, np.array(numbers))
    axes.set_xticks(range(len(xs)), [chosen.label(x) for x in xs])
    axes.set_yticks(range(len(ys)), [chosen.label(y) for y in ys])
    return image


def _places(values: Sequence[str]) -> tuple[FloatArray, bool]:
    """Return where values stand on an axis: at their numbers, else one after the other."""
    try:
        return np.array([float(value) for value in values]), True
    except ValueError:
        return np.arange(len(values), dtype=np.float64), False


def _value(result: Result, key: str | None) -> str:
    return "" if key is None else shown(dict(result.point.values)[key])


def _values(results: Sequence[Result], key: str | None) -> list[str]:
    return list(dict.fromkeys(_value(one, key) for one in results))


def _mean(results: Sequence[Result], key: str, value: str, name: str) -> float:
    found = [
        one.figures[name] for one in results if name in one.figures and _value(one, key) == value
    ]
    return float(np.mean(found)) if found else float("nan")
