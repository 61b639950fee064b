"""The range of an array, written out or that of its calibration, and the steps that use it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwloop.array.conductance_range import ConductanceRange
from hwloop.array.settings import ArraySettings
from hwloop.backend.kind import OpenRequest
from hwloop.errors import ConfigError
from hwloop.steps.array import Array
from hwloop.steps.network.map_network import MAP_NETWORK
from hwloop.steps.network.mapping.mapping import OwnOrArrayRange
from hwloop.steps.program.program_verify import PROGRAM_VERIFY
from hwloop_sim.emulator.backend import SimSettings, open_sim
from tests.characterised import LIMITS, results

ALIBART = {
    "name": "alibart",
    "up": {"amplitude": 3.2, "width_s": 3e-4},
    "down": {"amplitude": -2.8, "width_s": 3e-4},
}


def _array(span: object) -> ArraySettings:
    data = {"rows": 2, "cols": 4, "limits": LIMITS, "read": {"read_v": 0.1}, "range": span}
    return ArraySettings.parse(data)


def test_the_range_of_a_calibration_is_what_its_data_covered(tmp_path: Path) -> None:
    assert _array("crosssim_taox").range == ConductanceRange(
        low_conductance_s=0.0016057, high_conductance_s=0.0024851
    )
    own = tmp_path / "own.yaml"
    own.write_text(
        "validity: {low_conductance_s: 1.0e-6, high_conductance_s: 2.0e-6}\n", encoding="utf-8"
    )
    assert _array(str(own)).range == ConductanceRange(
        low_conductance_s=1e-6, high_conductance_s=2e-6
    )


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ("crosssim_tao", "did you mean 'crosssim_taox'"),
        ("gone.yaml", "cannot be read"),
        ("gong2018_hfo2", "does not say which conductances its data covered"),
        (
            {"low_conductance_s": 2e-6, "high_conductance_s": 1e-6},
            "low_conductance_s 2e-06 must be below high_conductance_s 1e-06",
        ),
    ],
)
def test_a_range_that_cannot_be_had_is_refused(named: object, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        _array(named)


def test_mapping_and_programming_take_the_range_of_the_array(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", w=np.array([[1.0, -0.5], [0.25, 0.0]]))
    settings = _array({"low_conductance_s": 1e-5, "high_conductance_s": 9e-5})
    device = {
        "model": "soft_bounds",
        "min_conductance_s": 5e-6,
        "max_conductance_s": 1e-4,
        "up": {"amplitude_v": 3.2, "width_s": 3e-4},
        "down": {"amplitude_v": -2.8, "width_s": 3e-4},
    }
    request = OpenRequest(settings, None, np.random.default_rng(1))
    backend = open_sim(SimSettings.parse({"device": device}), request)
    array = Array(backend, settings, np.random.default_rng(2))
    layers = [{"kind": "dense", "weight": "w"}]
    mapped = results(MAP_NETWORK, {"weights": str(tmp_path / "w.npz"), "layers": layers}, array)
    np.testing.assert_allclose(
        mapped[""][0].target_conductance_s, [[9e-5, 1e-5, 3e-5, 1e-5], [1e-5, 5e-5, 1e-5, 1e-5]]
    )
    by_range = {
        "target": {"kind": "random", "low_conductance_s": 2e-5, "high_conductance_s": 8e-5},
        "tolerance": {"kind": "range", "fraction": 0.02},
        "algorithm": ALIBART,
    }
    cells = results(PROGRAM_VERIFY, by_range, array)["cells"][0]
    assert np.abs(cells.verified_conductance_s - cells.target_conductance_s).max() <= 0.02 * 8e-5


def test_without_any_range_the_missing_ends_are_named() -> None:
    with pytest.raises(ConfigError, match="give min_conductance_s and max_conductance_s, or array"):
        OwnOrArrayRange().within(None)
    assert (
        OwnOrArrayRange(min_conductance_s=0.0)
        .within(ConductanceRange(low_conductance_s=1e-6, high_conductance_s=1e-4))
        .min_conductance_s
        == 0.0
    )
