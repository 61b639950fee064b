"""The procedures that train a network in PyTorch, on few samples and for few epochs."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import load_procedure
from hwloop.record.reader import Record
from hwloop.settings.array_files import read_arrays

pytestmark = pytest.mark.torch

FOLDER = Path(__file__).parents[2] / "procedures" / "networks"


@pytest.fixture
def few_images(shared_data: Path, tmp_path: Path) -> Path:
    """A folder of data with 1,000 training and 200 test images of MNIST, in its format."""
    data = tmp_path / "data"
    (data / "mnist").mkdir(parents=True)
    for part, count in (("train", 1000), ("t10k", 200)):
        for name in (f"{part}-images-idx3-ubyte.gz", f"{part}-labels-idx1-ubyte.gz"):
            (values,) = read_arrays(shared_data / "mnist" / name).values()
            values = values[:count].astype(np.uint8)
            head = bytes([0, 0, 8, values.ndim])
            sizes = np.array(values.shape, ">u4").tobytes()
            (data / "mnist" / name).write_bytes(
                gzip.compress(head + sizes + values.tobytes(), compresslevel=1)
            )
    for name in ("reference_networks", "letters_4x4"):
        (data / name).symlink_to(shared_data / name)
    return data


def _run(
    name: str, data: Path, *overrides: str, only: Sequence[str] = (), **changes: Any
) -> dict[str, dict[str, Any]]:
    """Run a procedure, or ``only`` the steps of these labels, with other settings in its trainings."""
    text = (FOLDER / name).read_text(encoding="utf-8").replace("../../data", data.as_posix())
    procedure = yaml.safe_load(text)
    if only:
        procedure["steps"] = [one for one in procedure["steps"] if one.get("label") in only]
    for step in procedure["steps"]:
        if step["step"] == "train_cnn":
            step["settings"] |= changes
        step["settings"].get("data", {}).pop("first", None)  # there are fewer
    file = data.parent / name
    file.write_text(yaml.safe_dump(procedure), encoding="utf-8")
    path = data.parent / "run.h5"
    run_procedure(load_procedure(file, overrides), RunOptions("sim", path))
    with Record(path) as record:
        assert record.status == "completed"
        return {
            label: {
                k: v for one in record.tables(label) for k, v in record.results(label, one).items()
            }
            for label in record.labels
        }


def test_noise_in_the_training_costs_nothing_with_a_small_step_and_much_with_a_large_one(
    few_images: Path,
) -> None:
    """An independent calculation has the loss with momentum; the gain takes more updates."""
    pairs = ("without_08", "with_08", "momentum_without_06", "momentum_with_06")
    found = _run("noise_injection.yaml", few_images, only=pairs, batch=10, epochs=3)
    without, with_, momentum_without, momentum_with = (
        float(np.mean(found[label]["noisy_accuracy"])) for label in pairs
    )
    assert with_ > without - 0.02
    assert momentum_with < momentum_without - 0.1


def test_retraining_regains_what_pruning_has_taken(few_images: Path) -> None:
    found = _run(
        "pruning.yaml",
        few_images,
        "steps.retrained.settings.pruning.steps=2",
        only=("without_retraining", "retrained"),
        batch=50,
    )
    at_once, retrained = found["without_retraining"], found["retrained"]
    # 7,690 weights of 4 convolutions and a dense layer; a quarter of them, by hand.
    assert at_once["weights"][0] == 90 + 3 * 900 + 4900
    assert at_once["weights_left"][0] == retrained["weights_left"][0] == 1922
    assert retrained["test_accuracy"][0] > at_once["test_accuracy"][0] + 0.02
    assert retrained["multiplications_left"][0] < 0.4 * retrained["multiplications"][0]


def test_a_chip_in_the_loop_answers_better_than_one_that_is_mapped(few_images: Path) -> None:
    found = _run("chip_in_the_loop.yaml", few_images)
    assert found["in_the_loop"]["accuracy"][0] > found["plain"]["accuracy"][0] + 0.1


def test_a_network_trained_pruned_and_on_levels_answers_on_a_tile_as_in_software(
    few_images: Path,
) -> None:
    found = _run(
        "train_cnn.yaml",
        few_images,
        "steps.infer.settings.data.first=20",
        "steps.program_verify.settings.tolerance.fraction=0.05",
        epochs=1,
        pruning={"fraction": 0.5, "epochs": 1},
        quantisation={"levels": 16, "scale": "column", "epochs": 1},
    )
    trained = found["train_cnn"]
    assert trained["weights"][0] == 45 + 225 + 2450
    # Half of them, and those that are 0 on 16 levels.
    assert trained["weights_left"][0] <= 1360
    assert (found["program_verify"]["done"][-1:] > 0).all()
    infer = found["infer"]
    assert infer["software_accuracy"][0] > 0.6
    assert abs(infer["accuracy"][0] - infer["software_accuracy"][0]) <= 2 / 20


def test_a_network_whose_last_epochs_saw_the_tiles_is_set_on_them_and_answers(
    few_images: Path,
) -> None:
    """784-16-10 on converters of 3 bits and lines of 10 Ω: 200 images, one part of tiles."""
    found = _run(
        "tiles_in_training.yaml",
        few_images,
        "steps.train_without.settings.epochs=2",
        "steps.train_with.settings.epochs=1",
        "steps.train_with.settings.tiles.epochs=1",
        shapes={"0.weight": [16, 784], "2.weight": [10, 16]},
    )
    assert list(found["train_with"]["stage"]) == [0, 1]
    assert found["with"]["accuracy"][0] > 0.55
    # Converters of 3 bits are seen: the array answers other than the software.
    assert found["with"]["accuracy"][0] != found["with"]["software_accuracy"][0]
