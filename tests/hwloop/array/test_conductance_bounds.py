"""Conductances that steps aim at, against the range of the array and what a read can show.

The bound is Ohm's law: at 0.1 V and a compliance of 1 mA a read ends at 10 mS.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwloop.array.conductance_bounds import refuse_outside, refuse_unreadable
from hwloop.array.settings import ArraySettings
from hwloop.errors import ConfigError, StepError
from hwloop.steps.characterise.form import FORM
from hwloop.steps.contract import Step
from hwloop.steps.network.map_network import MAP_NETWORK
from hwloop.steps.program.program_verify import PROGRAM_VERIFY
from hwloop.steps.program.targets import refuse_unusable_targets
from tests.characterised import LIMITS

RANGE = {"low_conductance_s": 1e-5, "high_conductance_s": 1e-4}
TRAIN = {"amplitude": 3.2, "width_s": 3e-4}
PROGRAM: dict[str, Any] = {
    "tolerance": {"kind": "relative", "fraction": 0.1},
    "algorithm": {"name": "alibart", "up": TRAIN, "down": TRAIN | {"amplitude": -2.8}},
}


def _array(conductance_range: dict[str, float] | None = None) -> ArraySettings:
    return ArraySettings.parse(
        {
            "rows": 2,
            "cols": 2,
            "limits": LIMITS | {"current_a": 1e-3},
            "read": {"read_v": 0.1},
            "range": conductance_range,
        }
    )


def _plan(step: Step[Any], settings: dict[str, Any], array: ArraySettings, **where: Any) -> None:
    step.plan(step.settings.parse(settings, **where), array)


def _map(value_conductance_s: float) -> dict[str, Any]:
    return {"kind": "map", "map_conductance_s": [[2e-5, None], [value_conductance_s, 3e-5]]}


@pytest.mark.parametrize("target_conductance_s", [50.0, 5e4, 1.01e-2])
def test_a_target_that_no_read_could_show_is_refused_wherever_it_comes_from(
    target_conductance_s: float, tmp_path: Path
) -> None:
    np.save(tmp_path / "t.npy", np.full((2, 2), target_conductance_s))
    file = {"kind": "map", "map_conductance_s": {"file": "t.npy"}}
    level = {"kind": "levels", "levels": {"on": {"target_conductance_s": target_conductance_s}}}
    spread = {
        "kind": "random",
        "low_conductance_s": 1e-5,
        "high_conductance_s": target_conductance_s,
    }
    for target in (_map(target_conductance_s), file, level, spread):
        with pytest.raises(ConfigError, match=r"^target\..* cannot be read: .* ends at 10 mS$"):
            _plan(PROGRAM_VERIFY, PROGRAM | {"target": target}, _array(), folder=tmp_path)
    with pytest.raises(StepError, match=r"target: entry \(0, 1\), .* cannot be read"):
        refuse_unusable_targets(np.array([[np.nan, target_conductance_s]]), None, _array())


def test_a_target_that_a_read_can_just_show_is_planned() -> None:
    _plan(PROGRAM_VERIFY, PROGRAM | {"target": _map(1e-2)}, _array())


@pytest.mark.parametrize("target_conductance_s", [9e-6, 1.1e-4, 0.0])
def test_a_target_outside_of_the_range_of_the_array_is_refused(
    target_conductance_s: float,
) -> None:
    settings = PROGRAM | {"target": _map(target_conductance_s)}
    place = r"target\.map_conductance_s: entry \(1, 0\), .*"
    with pytest.raises(ConfigError, match=place + r"outside of array\.range, 10 µS to 100 µS$"):
        _plan(PROGRAM_VERIFY, settings, _array(RANGE))
    with pytest.raises(ConfigError, match=place + r"outside of range, 10 µS to 100 µS$"):
        _plan(PROGRAM_VERIFY, settings | {"range": RANGE}, _array())
    with pytest.raises(StepError, match=r"outside of array\.range"):
        refuse_unusable_targets(np.array([target_conductance_s]), None, _array(RANGE))


def test_both_ends_of_the_range_are_targets() -> None:
    for end_conductance_s in RANGE.values():
        _plan(PROGRAM_VERIFY, PROGRAM | {"target": _map(end_conductance_s)}, _array(RANGE))


def test_windows_ranges_and_thresholds_that_no_read_could_show_are_refused() -> None:
    ispp = {"name": "ispp", "write": TRAIN, "erase": TRAIN | {"amplitude": -2.8}}
    for key, change in {
        "tolerance.by_conductance_s": {"tolerance": {"kind": "absolute", "by_conductance_s": 50.0}},
        "range": {"range": RANGE | {"high_conductance_s": 50.0}},
        "algorithm.erase_to_conductance_s": {"algorithm": ispp | {"erase_to_conductance_s": 50.0}},
    }.items():
        with pytest.raises(ConfigError, match=f"^{key}: 50 S cannot be read"):
            _plan(PROGRAM_VERIFY, PROGRAM | {"target": _map(2e-5)} | change, _array())
    form = {
        "amplitude": {"start_v": 1.0, "stop_v": 2.0, "step_v": 0.5},
        "width_s": 1e-3,
        "pulses_per_cell": 3,
    }
    with pytest.raises(ConfigError, match=r"^target_ohm: 50 S cannot be read"):
        _plan(FORM, form | {"target_ohm": 0.02}, _array())


def test_weights_are_not_mapped_beyond_the_range_or_what_a_read_could_show() -> None:
    for ends, array in (
        ({"min_conductance_s": 1e-6, "max_conductance_s": 50.0}, _array()),
        ({"max_conductance_s": 1.2e-4}, _array(RANGE)),
        ({"min_conductance_s": 0.0}, _array(RANGE)),
    ):
        with pytest.raises(ConfigError, match=r"^mapping\.m(ax|in)_conductance_s: "):
            _plan(MAP_NETWORK, {"mapping": ends}, array)


def test_an_array_whose_range_no_read_could_show_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"range\.high_conductance_s 50 cannot be read"):
        _array({"low_conductance_s": 1e-5, "high_conductance_s": 50.0})


def test_an_end_that_differs_in_its_last_digits_is_that_end() -> None:
    array = _array(RANGE)
    refuse_outside(1e-4 * (1 + 1e-12), array, key="target")
    refuse_unreadable(1e-2 * (1 + 1e-12), array, key="target")
    with pytest.raises(ConfigError):
        refuse_outside(1e-4 * (1 + 1e-6), array, key="target")
