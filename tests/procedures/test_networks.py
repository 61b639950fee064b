"""The networks of the papers, from training to scatter, against their published figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwloop.config import load_procedure
from hwloop.record_reader import Record
from hwloop.runner import RunOptions, run_procedure

FOLDER = Path(__file__).parents[2] / "procedures" / "networks"


def _run(name: str, data: Path, folder: Path, *overrides: str) -> dict[str, dict[str, Any]]:
    text = (FOLDER / name).read_text(encoding="utf-8").replace("../../data", data.as_posix())
    file = folder / name
    file.write_text(text, encoding="utf-8")
    path = folder / "run.h5"
    run_procedure(load_procedure(file, overrides), RunOptions("sim", path))
    with Record(path) as record:
        return {label: record.results(label) for label in record.labels}


def test_cat_detector_of_one_layer_is_the_papers(shared_data: Path, tmp_path: Path) -> None:
    found = _run(
        "cat_one_layer.yaml",
        shared_data,
        tmp_path,
        "steps.2.settings.programming.points=3",
        "steps.2.settings.executions=40",
        "steps.3.settings.executions=40",
        "steps.4.settings.executions=40",
    )
    assert found["train_network"]["iterations"][0] == 678
    assert found["train_network"]["accuracy"][0][-1] == pytest.approx(0.9426, abs=5e-5)
    naive = found["naive"]
    np.testing.assert_allclose(naive["noiseless"], 0.74)
    np.testing.assert_allclose(naive["always"], 0.66)
    assert (np.diff(naive["deviation"]) > 0).all()
    assert naive["deviation"][-1] > 0.03
    # Of 40 executions the mean is sure to about 0.004.
    assert found["iterative"]["mean"][0] == pytest.approx(0.733, abs=0.012)


def test_cat_detector_of_two_layers_is_the_reference(shared_data: Path, tmp_path: Path) -> None:
    many = [f"steps.{n}.settings.executions=25" for n in (2, 3, 4, 5)]
    found = _run("cat_two_layers.yaml", shared_data, tmp_path, *many)
    assert found["iterative"]["noiseless"][0] == pytest.approx(0.80)
    # Reference calculation: 0.807 ± 0.015 and 0.794 ± 0.024 with scatter on all cells.
    assert found["iterative"]["mean"][0] == pytest.approx(0.807, abs=0.01)
    assert found["one_shot"]["mean"][0] == pytest.approx(0.794, abs=0.015)
