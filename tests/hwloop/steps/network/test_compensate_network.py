"""The second phase of a mapping on an emulated array whose cells miss their targets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwloop.errors import StepError
from hwloop.steps.array import Array
from hwloop.steps.network.compensate_network import COMPENSATE_NETWORK
from hwloop.steps.network.infer import INFER, placed_network
from hwloop.steps.network.map_network import MAP_NETWORK
from tests.characterised import results
from tests.hwloop.steps.network.test_networks import emulated, program


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Any]:
    """A layer of which half of the weights are small, and samples."""
    rng = np.random.default_rng(8)
    weight = rng.normal(size=(3, 30))
    weight[rng.random(weight.shape) < 0.5] *= 0.01
    x = rng.random((12, 30))
    np.savez(tmp_path / "d.npz", w=weight, x=x, y=(x @ weight.T).argmax(axis=1))
    file = str(tmp_path / "d.npz")
    return {
        "map": {
            "weights": file,
            "layers": [{"kind": "dense", "weight": "w"}],
            "prune_below": 0.05,
        },
        "data": {"inputs": {"file": file, "key": "x"}, "classes": {"file": file, "key": "y"}},
        "weight": weight,
        "x": x,
    }


def _missed(files: dict[str, Any], arrangement: str, population: int | None = None) -> Array:
    """Mapped, and programmed with an error of 3 % of the range at every cell."""
    array = emulated(30, 6, population=population)
    mapping = {"arrangement": arrangement, "min_conductance_s": 1e-6, "max_conductance_s": 1e-4}
    target_conductance_s = results(MAP_NETWORK, {**files["map"], "mapping": mapping}, array)[""][
        0
    ].target_conductance_s
    pruned = placed_network(array, step="test").network.matrices[0].weights == 0
    assert 0.3 < pruned.mean() < 0.7
    error_conductance_s = np.random.default_rng(9).normal(0, 3e-6, target_conductance_s.shape)
    program(array, np.maximum(target_conductance_s + error_conductance_s, 2e-7))
    return array


@pytest.mark.parametrize("arrangement", ["differential", "symmetric"])
def test_small_values_on_zero_weights_bring_the_sums_back(
    files: dict[str, Any], arrangement: str
) -> None:
    array = _missed(files, arrangement)
    found = results(COMPENSATE_NETWORK, {"data": files["data"]}, array)
    layer = found["layers"][0]
    second_conductance_s = found[""][0].target_conductance_s
    # 16 zero weights an output for 12 samples; what is left is the damping's and the bound's.
    assert layer.rms_error_expected < 0.25 * layer.rms_error
    chosen = np.isfinite(second_conductance_s)
    pairs = np.repeat(
        placed_network(array, step="test").network.matrices[0].weights == 0, 2, axis=1
    )
    assert chosen.sum() > 0
    assert not chosen[~pairs].any()
    now_s = np.array(array.backend._cells.conductance_s)  # type: ignore[attr-defined]
    program(array, np.where(chosen, second_conductance_s, now_s))
    weights = placed_network(array, step="test").weights_of(
        np.array(array.backend._cells.conductance_s)[None],  # type: ignore[attr-defined]
        0,
    )
    wanted = np.where(np.abs(files["weight"]) < 0.05 * np.abs(files["weight"]).max(), 0, 1)
    sums = files["x"] @ (weights - files["weight"].T * wanted.T)
    assert np.sqrt(np.mean(sums**2)) == pytest.approx(layer.rms_error_expected, rel=0.05)
    assert results(INFER, {"data": files["data"]}, array)[""][0].accuracy >= 0.9


def test_a_population_and_a_missing_map_are_refused(files: dict[str, Any]) -> None:
    with pytest.raises(StepError, match="put a step map_network before it"):
        results(COMPENSATE_NETWORK, {"data": files["data"]}, emulated(30, 6))
    with pytest.raises(StepError, match="run one array"):
        results(COMPENSATE_NETWORK, {"data": files["data"]}, _missed(files, "symmetric", 2))


@pytest.mark.parametrize(("zeros", "changed"), [("left_out", (8, 30)), ("split", (0, 0))])
def test_weights_without_cells_get_no_small_values(
    files: dict[str, Any], tmp_path: Path, zeros: str, changed: tuple[int, int]
) -> None:
    # Of 30 inputs 20 meet no weight: 10 × 3 weights are placed, some of which are 0.
    weight = files["weight"].copy()
    weight[:, :20] = 0.0
    np.savez(tmp_path / "sparse.npz", w=weight)
    array = emulated(30, 6)
    asked = {
        **files["map"],
        "weights": str(tmp_path / "sparse.npz"),
        "mapping": {"min_conductance_s": 1e-6, "max_conductance_s": 1e-4},
        "zeros": zeros,
    }
    target_conductance_s = results(MAP_NETWORK, asked, array)[""][0].target_conductance_s
    error_conductance_s = np.random.default_rng(9).normal(0, 3e-6, target_conductance_s.shape)
    program(array, np.maximum(target_conductance_s + error_conductance_s, 2e-7))
    found = results(COMPENSATE_NETWORK, {"data": files["data"]}, array)
    layer = found["layers"][0]
    assert layer.zeros >= 60
    assert changed[0] <= layer.changed <= changed[1]
    second = np.isfinite(found[""][0].target_conductance_s)
    assert second.sum() == 2 * layer.changed
    assert not second[np.isnan(target_conductance_s)].any()
