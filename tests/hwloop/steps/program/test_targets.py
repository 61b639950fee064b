"""Targets and the windows around them, from every place that they can come from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from pydantic import TypeAdapter

from hwloop.array.conductance_range import ConductanceRange
from hwloop.errors import ConfigError, StepError
from hwloop.settings.model import Settings
from hwloop.steps.program.target_settings import Target, Tolerance
from hwloop.steps.program.targets import (
    TargetsAndWindows,
    planned_mask,
    refuse_misfit,
    targets_and_windows,
)
from hwloop.steps.rows import Row, column
from hwloop.types import FloatArray

SHAPE = (2, 3)
SPAN = ConductanceRange(low_conductance_s=1e-5, high_conductance_s=1.1e-4)
WIDE = {"kind": "absolute", "by_conductance_s": 1e-6}
MAP = [[2e-5, None, 3e-5], [4e-5, 5e-5, None]]
AS_ARRAY = np.array(MAP, dtype=float)


class Pair(Settings):
    target: Target
    tolerance: Tolerance


@dataclass(frozen=True, eq=False)
class Found(Row):
    target_conductance_s: FloatArray = column("S", "wanted")


def made(
    target: dict[str, Any],
    tolerance: dict[str, Any] = WIDE,
    *,
    shape: tuple[int, ...] = SHAPE,
    earlier: dict[str, Row] | None = None,
    folder: Path | None = None,
) -> TargetsAndWindows:
    pair = Pair.parse({"target": target, "tolerance": tolerance}, folder=folder)
    rng = np.random.default_rng(1)
    return targets_and_windows(
        pair.target, pair.tolerance, SPAN, shape=shape, rng=rng, earlier=earlier or {}
    )


def test_a_map_written_out_or_in_any_file_gives_the_same_targets(tmp_path: Path) -> None:
    np.save(tmp_path / "t.npy", AS_ARRAY)
    np.savez(tmp_path / "t.npz", g=AS_ARRAY)
    (tmp_path / "t.csv").write_text("a,b,c\n2e-5,,3e-5\n4e-5,5e-5,nan\n", encoding="utf-8")
    with h5py.File(tmp_path / "t.h5", "w") as file:
        file["g"] = AS_ARRAY
    for map_conductance_s in (
        MAP,
        {"file": "t.csv"},
        {"file": "t.npy"},
        {"file": "t.npz", "key": "g"},
        {"file": "t.h5", "key": "g"},
    ):
        found = made({"kind": "map", "map_conductance_s": map_conductance_s}, folder=tmp_path)
        np.testing.assert_array_equal(found.target_conductance_s, AS_ARRAY)
        np.testing.assert_allclose(
            found.high_conductance_s - found.low_conductance_s, 2e-6 + 0 * AS_ARRAY
        )
        assert (found.level == -1).all()


def test_a_first_line_with_a_gap_is_data_and_not_a_line_of_names(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("2e-5,,3e-5\n4e-5,5e-5,\n", encoding="utf-8")
    found = made({"kind": "map", "map_conductance_s": {"file": "t.csv"}}, folder=tmp_path)
    np.testing.assert_array_equal(found.target_conductance_s, AS_ARRAY)


def test_a_population_gets_one_map_or_each_array_its_own() -> None:
    both = np.stack([AS_ARRAY, 2 * AS_ARRAY])
    for map_conductance_s, wanted in ((AS_ARRAY, np.stack([AS_ARRAY] * 2)), (both, both)):
        target = {"kind": "map", "map_conductance_s": map_conductance_s.tolist()}
        np.testing.assert_array_equal(made(target, shape=(2, *SHAPE)).target_conductance_s, wanted)


@pytest.mark.parametrize(
    ("tolerance", "half_conductance_s"),
    [
        ({"kind": "absolute", "by_conductance_s": 2e-6}, 2e-6 + 0 * AS_ARRAY),
        ({"kind": "relative", "fraction": 0.1}, 0.1 * AS_ARRAY),
        ({"kind": "range", "fraction": 0.01}, 1e-6 + 0 * AS_ARRAY),
    ],
)
def test_windows_are_as_wide_as_their_kind_says(
    tolerance: dict[str, Any], half_conductance_s: np.ndarray
) -> None:
    found = made({"kind": "map", "map_conductance_s": MAP}, tolerance)
    np.testing.assert_allclose(
        found.high_conductance_s - found.target_conductance_s, half_conductance_s, rtol=1e-9
    )
    np.testing.assert_allclose(
        found.target_conductance_s - found.low_conductance_s, half_conductance_s, rtol=1e-9
    )


LEVELS = {
    "off": {"target_conductance_s": 2e-5, "high_conductance_s": 3e-5},
    "on": {"low_conductance_s": 8e-5, "high_conductance_s": 9e-5},
}


@pytest.mark.parametrize(
    ("pattern", "level"),
    [
        ("cycle", [[0, 1, 0], [1, 0, 1]]),
        ("rows", [[0, 0, 0], [1, 1, 1]]),
        ("columns", [[0, 1, 0], [0, 1, 0]]),
        ([["on", None, "off"], ["", "on", "on"]], [[1, -1, 0], [-1, 1, 1]]),
    ],
)
def test_levels_stand_where_their_pattern_says_with_windows_of_their_own(
    pattern: Any, level: list[list[int]]
) -> None:
    target = {"kind": "levels", "levels": LEVELS, "pattern": pattern}
    found = made(target, {"kind": "windows"})
    np.testing.assert_array_equal(found.level, level)
    np.testing.assert_array_equal(
        found.target_conductance_s, np.array([2e-5, 8.5e-5, np.nan])[level]
    )
    np.testing.assert_array_equal(found.low_conductance_s, np.array([0.0, 8e-5, np.nan])[level])
    np.testing.assert_array_equal(found.high_conductance_s, np.array([3e-5, 9e-5, np.nan])[level])


def test_random_targets_repeat_with_the_seed_and_stay_within_their_ends() -> None:
    target = {"kind": "random", "low_conductance_s": 2e-5, "high_conductance_s": 9e-5}
    first, again = (made(target, shape=(50, 50)).target_conductance_s for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert 2e-5 <= first.min() < 2.2e-5
    assert 8.8e-5 < first.max() <= 9e-5


def test_an_earlier_step_gives_its_map_or_is_missed_by_name() -> None:
    earlier: dict[str, Row] = {"map_network": Found(target_conductance_s=AS_ARRAY)}
    np.testing.assert_array_equal(
        made({"kind": "step"}, earlier=earlier).target_conductance_s, AS_ARRAY
    )
    with pytest.raises(StepError, match="no earlier step of this run has results 'map_netwrk'"):
        made({"kind": "step", "label": "map_netwrk"}, earlier=earlier)
    with pytest.raises(StepError, match="target_z"):
        made({"kind": "step", "column": "target_z"}, earlier=earlier)


def test_a_map_of_another_shape_is_refused() -> None:
    pair = Pair.parse({"target": {"kind": "map", "map_conductance_s": [[1e-5]]}, "tolerance": WIDE})
    with pytest.raises(ConfigError, match=r"has shape \(1, 1\); the array has \(2, 3\)"):
        refuse_misfit(pair.target, pair.tolerance, SPAN, SHAPE)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ({"kind": "map", "map_conductance_s": [[-1e-5]]}, "-1e-05"),
        ({"kind": "map", "map_conductance_s": [[float("inf")]]}, "every entry must be finite"),
        (
            {"kind": "random", "low_conductance_s": 9e-5, "high_conductance_s": 2e-5},
            "low_conductance_s",
        ),
        (
            {"kind": "levels", "levels": {"a": {"low_conductance_s": 1e-5}}},
            "needs target_conductance_s",
        ),
        ({"kind": "levels", "levels": LEVELS, "pattern": [["of"]]}, "did you mean 'off'"),
    ],
)
def test_targets_that_no_cell_can_have_are_refused(target: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Pair.parse({"target": target, "tolerance": WIDE})


def test_only_cells_that_have_a_target_are_planned_for() -> None:
    target: Any = TypeAdapter(Target).validate_python({"kind": "map", "map_conductance_s": MAP})
    np.testing.assert_array_equal(planned_mask(target, SHAPE), np.isfinite(AS_ARRAY))
