"""A plan of an inference knows the network that an earlier step will leave, or says that it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwloop.array.blocks import BlockBatch
from hwloop.backend.registered import backend_kind
from hwloop.cli.printing import print_preview
from hwloop.errors import ConfigError
from hwloop.execution.execute import request_for
from hwloop.execution.preview import Preview, preview
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import Procedure
from hwloop.record.reader import Record
from tests.hwloop.steps.network.inference.small_network import CONV, SAMPLES, procedure

TRAINED: list[dict[str, Any]] = [
    {
        "step": "train_network",
        "settings": {"data": {"inputs": "flat.npz", "classes": "y.npz"}, "hidden": 3, "rate": 0.1},
    },
    {"step": "map_network", "label": "second"},
]


def previewed(loaded: Procedure) -> Preview:
    """Return the preview on the emulator."""
    kind = backend_kind("sim")
    request, _ = request_for(loaded, seed=1)
    with kind.open_dry(loaded.backend_settings(kind), request) as opened:
        return preview(loaded, opened)


@pytest.mark.parametrize(("record", "kind"), [(None, "all"), ("answers", "answers")])
def test_a_preview_counts_what_the_run_multiplies_and_names_what_the_run_keeps(
    tmp_path: Path, record: str | None, kind: str
) -> None:
    loaded = procedure(tmp_path, CONV, {"step": "hold_conductances"}, record=record, over_range=1.0)
    seen = previewed(loaded)
    run_procedure(loaded, RunOptions("sim", tmp_path / "run.h5"))
    with Record(tmp_path / "run.h5") as written:
        outcome = written.outcome("infer")
        vectors = [
            one.operation.vectors
            for one in written.operations()
            if isinstance(one.operation, BlockBatch)
        ]
    assert outcome is not None
    assert seen.remarks[0].startswith(f"infer: {SAMPLES} samples; record: {kind} (")
    kept = outcome[1].rsplit("; ", 1)[-1]
    assert kept in seen.remarks[0]
    convolution, dense = loaded.steps[-1].plan.operations[1:]
    # By hand: 36 places of a 3 × 3 window on 6 × 6 with a border of 1; 27 rows are 16 + 11.
    assert isinstance(convolution.operation, BlockBatch)
    assert isinstance(dense.operation, BlockBatch)
    assert (convolution.operation.vectors, convolution.at_most) == (36, SAMPLES)
    assert (dense.operation.vectors, dense.at_most) == (1, SAMPLES)
    assert [len(block.rows) for block in dense.operation.blocks] == [16, 11]
    assert sum(vectors) == (SAMPLES * 37 if kind == "all" else 0)


def test_a_plan_drives_inputs_at_the_limit_at_which_they_are_held(tmp_path: Path) -> None:
    loaded = procedure(tmp_path, CONV)
    assert previewed(loaded).read_v == loaded.array.limits.read_v


def test_samples_of_another_size_are_refused_before_the_run(tmp_path: Path) -> None:
    words = r"steps\.1\.settings\.data: layer dense: takes 27 inputs, but gets 36"
    with pytest.raises(ConfigError, match=words):
        procedure(tmp_path, CONV, x="large.npz")


def test_of_a_network_trained_in_the_run_the_sizes_are_known(tmp_path: Path) -> None:
    """4 inputs, 3 hidden neurons, a sigmoid: 5 × 3 and 3 × 1 weights, by hand."""
    loaded = procedure(tmp_path, *TRAINED, x="flat.npz")
    first, second = loaded.steps[-1].plan.operations[1:]
    for planned, rows, columns in ((first, 5, 6), (second, 3, 2)):
        assert isinstance(planned.operation, BlockBatch)
        (block,) = planned.operation.blocks
        assert (len(block.rows), block.width, planned.at_most) == (rows, columns, SAMPLES)


def test_a_network_that_is_trained_in_the_run_and_too_large_is_refused_before(
    tmp_path: Path,
) -> None:
    large = [{**TRAINED[0], "settings": {**TRAINED[0]["settings"], "hidden": 300}}, TRAINED[1]]
    with pytest.raises(ConfigError, match=r"layers of 5 × 300, 300 × 1 weights.* needs"):
        procedure(tmp_path, *large, x="flat.npz")


def test_where_trained_zeros_have_no_cells_a_check_says_that_the_network_is_not_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = [TRAINED[0], {**TRAINED[1], "settings": {"zeros": "left_out"}}]
    print_preview(procedure(tmp_path, CONV, *trained, x="flat.npz"), "sim")
    assert "infer: the network is trained in the run" in capsys.readouterr().out


def test_a_tuning_is_planned_with_the_vectors_of_each_layer_that_the_run_multiplies(
    tmp_path: Path,
) -> None:
    tuned = {"step": "tune_network", "settings": {"vectors": 7}}
    loaded = procedure(tmp_path, CONV, {"step": "hold_conductances"}, tuned, over_range=1.0)
    planned = loaded.steps[2].plan
    # A convolution of 9 rows and a bias on one tile, 27 rows of the dense layer on 16 + 11.
    sizes = [
        ([len(block.rows) for block in one.operation.blocks], one.at_most)
        for one in planned.operations
        if isinstance(one.operation, BlockBatch)
    ]
    assert sizes == [([10], 7), ([16, 11], 7)]
    assert planned.rows == 2
    run_procedure(loaded, RunOptions("sim", tmp_path / "run.h5"))
    with Record(tmp_path / "run.h5") as written:
        driven = [
            one.operation for one in written.operations() if isinstance(one.operation, BlockBatch)
        ][:2]
    assert [one.vectors for one in driven] == [7, 7]
    assert [[len(block.rows) for block in one.blocks] for one in driven] == [[10], [16, 11]]
    worst_v = [np.abs(one.operation.voltage_v).max() for one in planned.operations]
    assert worst_v == [pytest.approx(np.abs(one.voltage_v).max()) for one in driven] == [0.1, 0.1]


def test_without_a_known_network_a_tuning_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = [TRAINED[0], {**TRAINED[1], "settings": {"zeros": "left_out"}}]
    print_preview(procedure(tmp_path, *trained, {"step": "tune_network"}, x="flat.npz"), "sim")
    assert "tune_network: the network is trained in the run" in capsys.readouterr().out


def test_a_procedure_keeps_no_planned_network(tmp_path: Path) -> None:
    assert not any(step.plan.leaves for step in procedure(tmp_path, CONV).steps)
