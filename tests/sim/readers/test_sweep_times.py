"""Times of sweeps from a stated rate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from hwloop.datasets.importing import import_measurement
from hwloop.errors import ConfigError
from hwloop.types import FloatArray

SWEEP = "V,I\n0,0\n0.5,1e-6\n1,2e-6\n1,2e-6\n0.5,1e-6\n-0.5,-1e-6\n"


def times_s(folder: Path, text: str, given: Mapping[str, str]) -> tuple[FloatArray, list[str]]:
    path = folder / "sweep.csv"
    path.write_text(text, encoding="utf-8")
    found = import_measurement(path, reader=None, given={"source": "test", **given})
    return found.measurement.columns["time_s"], found.messages


def test_a_point_lasts_as_long_as_its_step_at_the_rate_and_a_repeated_one_as_the_median(
    tmp_path: Path,
) -> None:
    found_s, messages = times_s(tmp_path, SWEEP, {"rate_v_per_s": "0.25"})
    assert found_s.tolist() == [0, 2, 4, 6, 8, 12]
    assert any("0.25 V/s as stated: 12 s in all" in line for line in messages)


def test_without_a_rate_a_sweep_without_times_has_none(tmp_path: Path) -> None:
    found_s, _ = times_s(tmp_path, SWEEP, {})
    assert np.isnan(found_s).all()


def test_every_sweep_begins_at_0_s(tmp_path: Path) -> None:
    rows = "1,0,0\n1,1,1e-6\n1,2,2e-6\n2,0,0\n2,-1,-1e-6\n2,-3,-3e-6\n"
    found_s, _ = times_s(tmp_path, f"cycle,V,I\n{rows}", {"rate_v_per_s": "500 mV/s"})
    assert found_s.tolist() == [0, 2, 4, 0, 2, 6]


def test_sweeps_side_by_side_take_the_rate_too(tmp_path: Path) -> None:
    rows = "0,0,0,0\n1,1e-6,-1,-1e-6\n2,2e-6,-3,-2e-6\n"
    found_s, _ = times_s(tmp_path, f"AV(1),AI(1),AV(2),AI(2)\n{rows}", {"rate_v_per_s": "2"})
    assert found_s.tolist() == [0, 0.5, 1, 0, 0.5, 1.5]


@pytest.mark.parametrize(
    ("text", "rate", "reason"),
    [
        (SWEEP, "-1", "rate_v_per_s: -1 V/s: expected a rate above 0"),
        (SWEEP, "fast", "rate_v_per_s: 'fast': expected"),
        (
            "Time (s),V,I\n0,0,0\n1,0.5,1e-6\n2,1,2e-6\n",
            "1",
            "rate_v_per_s: the file has times of its own: leave it out",
        ),
    ],
    ids=["below 0", "a word", "beside times"],
)
def test_a_rate_that_cannot_be_is_refused(
    tmp_path: Path, text: str, rate: str, reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason):
        times_s(tmp_path, text, {"rate_v_per_s": rate})
