"""Pulses of wrong amplitude are found, and the instrument that makes them is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.broken_boxes.outputs import gain, limited
from tests.drivers.acceptance.accepting import accepted, places


@pytest.mark.parametrize("station", ["virtual_4x4", "virtual_2450_33500b_3706a"])
def test_pulses_of_a_bench_in_order_pass(tmp_path: Path, station: str) -> None:
    outcome = accepted(tmp_path, "pulses", station=station)
    assert outcome.passed, outcome.failed
    seen = {finding.test for finding in outcome.findings if finding.verdict == "passed"}
    assert {"pulse amplitude", "pulse width", "held level", "return to 0 V"} <= seen


@pytest.mark.parametrize(
    ("output", "test", "place"),
    [
        ("row_smu", "pulse amplitude", "row_smu on row0"),
        ("col_smu", "held level", "col_smu on col0"),
    ],
)
def test_output_whose_levels_are_5_percent_low_is_named(
    tmp_path: Path, output: str, test: str, place: str
) -> None:
    outcome = accepted(tmp_path, "pulses", broken=gain(output, 0.95))
    assert places(outcome, test) == {place}


def test_limit_that_nobody_set_is_seen_in_the_pulse_by_both_witnesses(tmp_path: Path) -> None:
    # V/2 on row0, 10, 12, 15 and 18 kohm: 1 V draws 306 uA, and 100 uA more from the column.
    outcome = accepted(tmp_path, "pulses", broken=limited("row_smu", 250e-6))
    assert "row_smu on row0" in places(outcome, "pulse amplitude")
    assert "row_smu on row0, col_smu on col0" in places(outcome, "current in a pulse")


def test_pulse_that_a_limit_keeps_away_altogether_is_missed(tmp_path: Path) -> None:
    outcome = accepted(tmp_path, "pulses", broken=limited("row_smu", 1e-6))
    assert "row_smu on row0" in places(outcome, "pulse count")


def test_without_an_oscilloscope_the_page_says_what_nobody_saw(tmp_path: Path) -> None:
    outcome = accepted(tmp_path, "pulses", watched=False)
    assert outcome.passed
    unseen = {finding.test for finding in outcome.unseen}
    assert unseen == {"pulse amplitude", "pulse width", "held level", "return to 0 V"}


def test_without_an_oscilloscope_a_limited_pulse_is_found_by_its_current(tmp_path: Path) -> None:
    outcome = accepted(tmp_path, "pulses", watched=False, broken=limited("row_smu", 105e-6))
    assert "row_smu on row0, col_smu on col0" in places(outcome, "current in a pulse")
