"""Uncertainties against published ones."""

from __future__ import annotations

from hwloop.statistics import wilson_interval


def test_wilson_interval_equals_the_published_example() -> None:
    # R. G. Newcombe, Stat. Med. 17, 857 (1998), table I: 81 of 263 gives 0.2553 to 0.3662.
    low, high = wilson_interval(81, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
