"""What the seeds of a combination of settings came to."""

from __future__ import annotations

import math

import pytest

from hwloop.sweep.grid import points
from hwloop.sweep.groups import groups
from hwloop.sweep.point import Ended
from hwloop.sweep.table import Result, moving

ERROR = "train.total_error"


def _results(over: list[str], errors: list[float | None]) -> list[Result]:
    """A result a point; None: it failed."""
    found = []
    for point, error in zip(points(over), errors, strict=True):
        status = "failed" if error is None else "completed"
        ended = Ended(point.index, "", status, "", math.nan)
        figures = {} if error is None else {ERROR: error, "train.rows": 4.0}
        found.append(Result(point, ended, math.nan if error is None else 1.0, figures, ""))
    return found


def test_a_group_is_the_seeds_of_one_combination_of_the_other_settings() -> None:
    found = groups(_results(["seed=0:2", "a=1,2"], [10.0, 20.0, 12.0, 20.0]))
    assert [dict(one.results[0].point.values)["a"] for one in found] == [1, 2]
    # 10 and 12: mean 11, and √((1 + 1) / (2 − 1)).
    assert found[0].spread(ERROR).mean == 11
    assert found[0].spread(ERROR).deviation == pytest.approx(math.sqrt(2))
    assert found[1].spread(ERROR).deviation == 0


def test_failed_points_and_what_was_not_measured_are_not_in_the_spread() -> None:
    (found,) = groups(_results(["seed=0:5"], [1.0, None, 3.0, math.nan, 8.0]))
    spread = found.spread(ERROR)
    assert (len(found.results), len(found.finished), spread.count) == (5, 4, 3)
    # 1, 3 and 8: mean 4, and √((9 + 1 + 16) / (3 − 1)).
    assert (spread.mean, spread.deviation) == (4, pytest.approx(math.sqrt(13)))
    assert found.reached.count == 4


def test_a_single_run_has_no_deviation_and_none_has_no_mean() -> None:
    one, none = groups(_results(["a=1,2"], [7.0, None]))
    assert one.spread(ERROR).mean == 7
    assert math.isnan(one.spread(ERROR).deviation)
    assert math.isnan(none.spread(ERROR).mean)
    assert none.spread(ERROR).count == 0


def test_a_figure_that_no_point_has_measured_is_the_same_everywhere() -> None:
    nothing = float("nan"), -float("nan")  # two objects, as two records give
    assert moving(_results(["seed=0:2"], list(nothing))) == []
    assert moving(_results(["seed=0:2"], [math.nan, 1.0])) == [ERROR]
