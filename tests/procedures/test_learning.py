"""The procedures of trainings in the array, against independent calculations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwloop.execution.reproduce import reproduce
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import load_procedure
from hwloop.record.reader import Record

FOLDER = Path(__file__).parents[2] / "procedures" / "learning"


def _run(
    name: str,
    folder: Path,
    *overrides: str,
    data: Path | None = None,
    population: int | None = None,
) -> dict[str, Any]:
    text = (FOLDER / name).read_text(encoding="utf-8")
    file = folder / name
    file.write_text(text.replace("../../data", str(data)), encoding="utf-8")
    path = folder / "run.h5"
    path.unlink(missing_ok=True)
    run_procedure(load_procedure(file, overrides), RunOptions("sim", path, population=population))
    assert reproduce(path).complete
    with Record(path) as record:
        return record.results("train_in_situ")


@pytest.mark.parametrize("name", ["xor_2_4_1.yaml", "parity_3_8_1.yaml"])
def test_a_population_learns_and_replays_to_the_last_bit(name: str, tmp_path: Path) -> None:
    found = _run(name, tmp_path, population=30)
    assert found["converged"][-1].sum() >= 28  # of 200: 199 and 200, in plain NumPy 200 and 200


@pytest.mark.parametrize("rule", ["accumulate", "gate_voltage", "manhattan", "mixed_precision"])
def test_two_layers_learn_xor_by_each_rule(rule: str, tmp_path: Path) -> None:
    found = _run(f"xor_{rule}.yaml", tmp_path, "steps.0.settings.max_epochs=70", population=12)
    assert found["converged"][-1].sum() >= 9  # within 100 epochs 193 to 200 of 200


@pytest.mark.parametrize(
    ("rule", "low", "high"),
    [
        ("{name: accumulate, rate: 0.1, step_weight: 0.03125}", 0.78, 0.92),
        ("{name: delta_pulses, rate: 0.1, step_weight: 0.03125}", 0.0, 0.15),
    ],
    ids=["accumulated", "plain"],
)
def test_accumulated_gradients_learn_mnist_where_plain_ones_are_all_rounded_away(
    shared_data: Path, tmp_path: Path, rule: str, low: float, high: float
) -> None:
    """Independent calculation, 65 states, rate 0.1, 600 updates of 1,000: 89.3 and 9.8 %."""
    found = _run(
        "accumulate_mnist.yaml",
        tmp_path,
        "steps.0.settings.data.first=6000",
        "steps.0.settings.test.first=1000",
        "steps.0.settings.batch=200",
        "steps.0.settings.max_epochs=1",
        "steps.0.settings.record=answers",
        f"steps.0.settings.rule={rule}",
        data=shared_data,
    )
    assert low <= found["accuracy"][-1] <= high
    assert np.isfinite(found["loss"]).all()
