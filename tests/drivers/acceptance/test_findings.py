"""A finding passes within its tolerance and nowhere else."""

from __future__ import annotations

import math

import pytest

from hwloop_drivers.acceptance.findings import Promise

PROMISE = Promise("pulse width", "smu on row0", "1 V, 1 ms", "page 1", "oscilloscope")


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        *((1.0, "passed"), (1.1, "passed"), (0.9, "passed")),
        *((1.11, "failed"), (math.nan, "failed"), (math.inf, "failed"), (-1.0, "failed")),
    ],
)
def test_quantity_is_judged_by_its_tolerance_and_nan_never_passes(
    seen: float, verdict: str
) -> None:
    finding = PROMISE.quantity(expected=1.0, seen=seen, tolerance=0.1 + 1e-12, unit="V")
    assert finding.verdict == verdict


def test_line_for_a_terminal_has_place_value_and_bound() -> None:
    finding = PROMISE.quantity(expected=1e-3, seen=1.36e-3, tolerance=7e-5, unit="s")
    assert str(finding) == (
        "pulse width, smu on row0, 1 V, 1 ms: expected 1 ms (± 70 µs), seen 1.36 ms"
    )


def test_what_nobody_sees_and_what_is_refused_do_not_fail() -> None:
    assert not PROMISE.unseen("no oscilloscope").failed
    assert not PROMISE.refused("shorter than 1 ms").failed
    assert PROMISE.broken_off("the link is gone").failed
