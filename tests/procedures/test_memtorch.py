"""The networks and sweeps of the MemTorch study: that they fit their tiles and name what is there."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from hwloop.procedure.procedure import load_procedure
from hwloop.steps.network.map_network import MAP_NETWORK
from hwloop.steps.network.mapping.placement import place
from hwloop.steps.network.network import build
from hwloop.sweep.grid import points
from hwloop.sweep.sweep_file import read_sweep_file

FOLDER = Path(__file__).parents[2] / "procedures" / "networks" / "memtorch"
CONVOLUTIONS = {"0": (32, 3), "3": (32, 32), "8": (64, 32), "11": (64, 64)} | {
    "16": (128, 64),
    "19": (128, 128),
}
NORMS = {"0": "1", "3": "4", "8": "9", "11": "12", "16": "17", "19": "20"}
DENSE = {"25": (256, 2048), "28": (128, 256), "31": (100, 128)}


def made_up() -> dict[str, np.ndarray]:
    """Weights of the CIFAR-100 network, drawn."""
    rng = np.random.default_rng(1)
    arrays: dict[str, np.ndarray] = {}
    for name, (out, channels) in CONVOLUTIONS.items():
        arrays[f"{name}.weight"] = rng.normal(size=(out, channels, 3, 3)) / np.sqrt(9 * channels)
        arrays[f"{name}.bias"] = np.zeros(out)
        for part, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0)):
            arrays[f"{NORMS[name]}.{part}"] = np.full(out, value)
        arrays[f"{NORMS[name]}.running_var"] = np.ones(out)
    for name, (out, features) in DENSE.items():
        arrays[f"{name}.weight"] = rng.normal(size=(out, features)) / np.sqrt(features)
        arrays[f"{name}.bias"] = np.zeros(out)
    return arrays


def test_the_cifar_100_network_answers_made_up_images_and_fits_its_tiles() -> None:
    content = yaml.safe_load((FOLDER / "cifar100.yaml").read_text(encoding="utf-8"))
    settings: dict[str, Any] = content["steps"][0]["settings"]
    layers = MAP_NETWORK.settings.parse({"layers": settings["layers"]}).layers
    network = build(layers, made_up())
    images = np.random.default_rng(2).normal(size=(2, 3, 32, 32))
    assert network.forward(images).shape == (2, 100)
    array = content["array"]
    shape = (array["rows"], array["cols"])
    placed = place(network.sizes, "differential", tiles=array["tiles"], shape=shape)
    assert {block.layer for block in placed.blocks} == set(range(9))


SWEEPS = [path for path in sorted(FOLDER.glob("*_*.yaml")) if "over:" in path.read_text("utf-8")]


@pytest.fixture(scope="module")
def beside_data(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the folder to where the networks and images are at hand."""
    root = tmp_path_factory.mktemp("study")
    (root / "data").symlink_to(shared_data)
    return Path(shutil.copytree(FOLDER, root / "procedures" / "networks" / "memtorch"))


@pytest.mark.parametrize("name", [path.name for path in SWEEPS if "cifar100" not in path.name])
def test_the_last_point_of_a_sweep_sets_what_its_procedure_has(
    name: str, beside_data: Path
) -> None:
    sweep = read_sweep_file(beside_data / name)
    assert sweep is not None
    last = points(sweep.axes, sweep.overrides)[-1]
    resolved = load_procedure(sweep.procedure, last.overrides).resolved
    assert [step["step"] for step in resolved["steps"]][-1] == "infer"
    assert resolved["steps"][0]["settings"]["input_scale"] == "largest"
    assert resolved["backends"]["sim"]["converters"]["adc"]["range"]["kind"] == "calibrated"


@pytest.mark.parametrize("file", SWEEPS)
def test_a_sweep_names_a_procedure_and_axes_that_are_there(file: Path) -> None:
    sweep = read_sweep_file(file)
    assert sweep is not None
    assert sweep.procedure.parent == FOLDER
    assert sweep.figure is not None
