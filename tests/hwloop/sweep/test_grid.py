"""Axes of a sweep, as they are given on the command line."""

from __future__ import annotations

import pytest

from hwloop.errors import ConfigError
from hwloop.sweep.grid import read_axis


def test_a_range_has_its_first_and_not_its_end() -> None:
    assert read_axis("seed=0:7:3,20").values == (0, 3, 6, 20)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("seed=0:1000000000000", "more values than a sweep has points, 100000"),
        (f"seed=0:{2**70}", "whole numbers go up to 9223372036854775807"),
        ("seed=0:3:0", "a step of 0 leads nowhere"),
        (f"seed={2**70}", "whole numbers go up to 9223372036854775807"),
        (f"seed={'9' * 5000}", "whole numbers go up to 9223372036854775807"),
    ],
)
def test_numbers_and_ranges_beyond_a_sweep_are_refused(text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as caught:
        read_axis(text)
    assert len(str(caught.value)) < 200
