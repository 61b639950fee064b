"""Values that the figures of networks show, from a record of an emulated run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.figures.inference_cost import cost
from hwloop.figures.networks import _confusion, inference, mapping
from hwloop.plotting.style import NamedFigure
from hwloop.procedure.procedure import from_data
from hwloop.record.reader import Record
from tests.characterised import LIMITS

DEVICE = {"model": "soft_bounds", "min_conductance_s": 1e-6, "max_conductance_s": 1e-4}


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of two layers on three tiles, estimated and asked; its cells are not programmed."""
    folder = tmp_path_factory.mktemp("network")
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=(3, 5)), rng.normal(size=(2, 3))
    np.savez(folder / "net.npz", a=first, b=second, x=rng.random((6, 5)), y=[0, 1, 0, 1, 0, 1])
    data = {"inputs": {"file": "net.npz", "key": "x"}, "classes": {"file": "net.npz", "key": "y"}}
    steps: list[dict[str, Any]] = [
        {
            "step": "map_network",
            "settings": {
                "weights": "net.npz",
                "layers": [{"kind": "dense", "weight": "a"}, {"kind": "dense", "weight": "b"}],
                "mapping": {"min_conductance_s": 2e-6, "max_conductance_s": 9e-5},
            },
        },
        {"step": "inference_cost", "settings": {"data": data}},
        {"step": "infer", "settings": {"data": data}},
    ]
    procedure = from_data(
        {
            "name": "network",
            "seed": 1,
            "array": {"rows": 4, "cols": 6, "tiles": 4, "limits": LIMITS, "read": {"read_v": 0.1}},
            "backends": {
                "sim": {"device": DEVICE, "effects": [{"effect": "white_noise", "fraction": 0.05}]}
            },
            "steps": steps,
        },
        folder=folder,
    )
    run_procedure(procedure, RunOptions("sim", folder / "run.h5"))
    return folder / "run.h5"


def bars(figure: NamedFigure, panel: int) -> list[float]:
    """The heights of all bars of a panel, one series after the other."""
    return [patch.get_height() for patch in figure.figure.axes[panel].patches]


def test_occupation_is_the_fraction_of_the_cells_of_each_tile(record: Path) -> None:
    with Record(record) as run:
        figures = {one.name: one for one in mapping(run, "map_network")}
    # Pairs: 5 × 6 cells fill a tile of 4 × 6 and a row of the next, on which 3 × 4 follow.
    assert bars(figures["occupation"], 0) == pytest.approx([100, 100 * (6 + 12) / 24, 0, 0])
    assert figures["occupation"].caption == "42 cells on 2 of 4 tiles."


def test_bits_of_each_layer_are_those_of_its_rows(record: Path) -> None:
    with Record(record) as run:
        figures = {one.name: one for one in inference(run, "infer")}
        bits = run.results("infer", "layers")["bits"].reshape(2, -1)
    assert set(figures) == {"confusion", "bits"}
    assert bars(figures["bits"], 0) == pytest.approx(list(np.median(bits, axis=1)))


def test_energies_of_cells_and_converters_are_stacked_layer_by_layer(record: Path) -> None:
    with Record(record) as run:
        (figure,) = cost(run, "inference_cost")
        total_j = float(run.results("inference_cost")["energy_j"][0].mean())
    heights = bars(figure, 0)
    assert len(heights) == 3 * 2
    scale = 1e12 if "pJ" in figure.figure.axes[0].get_ylabel() else 1e9
    assert sum(heights) == pytest.approx(total_j * scale)
    bottoms = [patch.get_y() for patch in figure.figure.axes[0].patches]
    below = np.array(heights[:2]) + heights[2:4]
    assert bottoms == pytest.approx([0, 0, *heights[:2], *below])
    assert sum(bars(figure, 1)) == pytest.approx((15 + 6) / 1e3)


def test_a_confusion_matrix_of_many_classes_has_no_numbers_and_thin_ticks() -> None:
    few, many = (_confusion(np.eye(size)).axes[0] for size in (10, 100))
    assert (len(few.texts), len(few.get_xticks())) == (100, 10)
    assert (len(many.texts), len(many.get_xticks())) == (0, 10)
