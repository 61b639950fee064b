"""Uncertainties against published ones."""

from __future__ import annotations

import math

import pytest

from hwloop.statistics import mean_and_deviation, wilson_interval


def test_wilson_interval_equals_the_published_example() -> None:
    # R. G. Newcombe, Stat. Med. 17, 857 (1998), table I: 81 of 263 gives 0.2553 to 0.3662.
    low, high = wilson_interval(81, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)


def test_deviation_is_that_of_a_sample_and_leaves_out_what_is_not_finite() -> None:
    # NIST StRD, dataset NumAcc1: mean 10000002, standard deviation 1, certified.
    values = [10000001, math.nan, 10000003, 10000002, math.inf]
    assert mean_and_deviation(values) == (10000002, pytest.approx(1, rel=1e-12), 3)


def test_too_few_values_have_no_deviation() -> None:
    mean, deviation, count = mean_and_deviation([4.0])
    assert (mean, count) == (4, 1)
    assert math.isnan(deviation)
    mean, _, count = mean_and_deviation([])
    assert math.isnan(mean)
    assert count == 0
