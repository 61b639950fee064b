"""Fractions with a confidence interval, drawn against the settings of a sweep."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hwloop.statistics import wilson_interval
from hwloop.sweep.figures import draw
from hwloop.sweep.grid import points
from hwloop.sweep.interval_figures import draw_intervals, with_interval
from hwloop.sweep.point import Ended
from hwloop.sweep.table import Result

NAME = "infer.accuracy"


def swept(over: list[str], correct: list[int], *, of: int = 100) -> list[Result]:
    """A point for each count of right answers, as the step infer leaves it."""
    found = []
    for point, count in zip(points(over), correct, strict=True):
        low, high = wilson_interval(count, of)
        figures = {NAME: count / of, f"{NAME}_low": low, f"{NAME}_high": high, "infer.samples": 1.0}
        ended = Ended(point.index, "", "completed", "", math.nan)
        found.append(Result(point, ended, 1.0, figures, ""))
    return found


def test_a_line_has_the_wilson_interval_of_each_point() -> None:
    results = swept(["bits=4,6", "tile=64,128"], [50, 60, 80, 90])
    (figure,) = draw_intervals("bits", ["4", "6"], results)
    assert figure.name == "infer_accuracy_against_bits"
    (axes,) = figure.figure.axes
    assert [line.get_label() for line in axes.containers] == ["tile 64", "tile 128"]
    bars = [one.get_segments() for one in axes.containers[0].lines[2]]
    # 50 of 100: 0.404 to 0.596; 80 of 100: 0.711 to 0.867 (Wilson 1927, by hand).
    ends = np.array(bars[0])[:, :, 1]
    np.testing.assert_allclose(ends, [[0.4038, 0.5962], [0.7112, 0.8666]], atol=1e-4)


def test_seeds_of_a_combination_are_one_point_at_their_mean() -> None:
    results = swept(["seed=0:2", "bits=4,6"], [50, 70, 60, 90])
    (figure,) = draw_intervals("bits", ["4", "6"], results)
    (line,) = figure.figure.axes[0].containers
    assert line.lines[0].get_ydata() == pytest.approx([0.55, 0.80])


def test_a_figure_without_both_ends_or_outside_of_them_has_no_interval() -> None:
    results = swept(["bits=4,6"], [50, 60])
    assert with_interval(results) == [NAME]
    outside = [*results[:1], swept(["bits=4,6"], [50, 60])[1]]
    outside[1].figures[f"{NAME}_high"] = 0.55
    assert with_interval(outside) == []
    del outside[1].figures[f"{NAME}_high"]
    assert with_interval(outside) == []


def test_more_lines_than_colours_are_not_drawn() -> None:
    results = swept(["bits=4,6", "tile=0:9"], list(range(40, 58)))
    assert list(draw_intervals("bits", ["4", "6"], results)) == []
    assert next(one.name for one in draw(results)) == "against_bits"


def test_the_ends_of_an_interval_get_no_panel_of_their_own() -> None:
    figures = list(draw(swept(["bits=4,6"], [50, 60])))
    assert [one.name for one in figures] == ["infer_accuracy_against_bits", "against_bits"]
    panels = [axes.get_ylabel() for axes in figures[1].figure.axes if axes.axison]
    assert panels == ["reached", "accuracy"]
