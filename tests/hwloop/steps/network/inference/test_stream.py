"""Samples stream through a placed network: what must not depend on how, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwloop.array.blocks import BlockBatch
from hwloop.array.operations import Answer, Operation
from hwloop.array.settings import ArraySettings
from hwloop.backend.kind import OpenRequest
from hwloop.backend.wrapper import Wrapper
from hwloop.errors import StepError
from hwloop.steps.array import Array
from hwloop.steps.network.infer import INFER
from hwloop.steps.network.map_network import MAP_NETWORK
from hwloop_sim.emulator.backend import SimSettings, open_sim
from tests.characterised import LIMITS, results

DEVICE = {"model": "soft_bounds", "min_conductance_s": 1e-9, "max_conductance_s": 1e-3}
ADC = {"adc": {"bits": 8, "range": {"kind": "calibrated", "margin": 0.3}}}
SAMPLES = 60


class Watched(Wrapper):
    """A backend that keeps every operation asked of it."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.asked: list[BlockBatch] = []

    def perform(self, operation: Operation) -> Answer:
        if isinstance(operation, BlockBatch):
            self.asked.append(operation)
        return self._inner.perform(operation)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., tuple[dict[str, list[Any]], list[BlockBatch]]]:
    """Map a network of one convolution and one dense layer, and infer with other settings."""
    rng = np.random.default_rng(5)
    np.savez(
        tmp_path / "net.npz",
        conv=rng.normal(size=(3, 1, 3, 3)),
        b=rng.normal(size=3),
        dense=rng.normal(size=(4, 27)),
        x=rng.random((SAMPLES, 1, 6, 6)),
        y=rng.integers(0, 4, SAMPLES),
    )
    layers = [
        {"kind": "conv", "weight": "conv", "bias": "b", "padding": 1},
        {"kind": "relu"},
        {"kind": "max_pool", "size": 2},
        {"kind": "flatten"},
        {"kind": "dense", "weight": "dense"},
    ]

    def go(
        sim: dict[str, Any], limits: dict[str, Any] | None = None, **settings: Any
    ) -> tuple[dict[str, list[Any]], list[BlockBatch]]:
        array = ArraySettings.parse(
            {
                "rows": 16,
                "cols": 8,
                "tiles": 4,
                "limits": LIMITS | (limits or {}),
                "read": {"read_v": 0.1},
            }
        )
        request = OpenRequest(array, None, np.random.default_rng(1))
        backend = open_sim(SimSettings.parse({"device": DEVICE, **sim}), request)
        watched = Watched(backend)
        whole = Array(watched, array, np.random.default_rng(2))
        network = {
            "weights": str(tmp_path / "net.npz"),
            "layers": layers,
            "mapping": {"min_conductance_s": 1e-6, "max_conductance_s": 1e-4},
        }
        target = results(MAP_NETWORK, network, whole)[""][0].target_conductance_s
        backend._cells.set_conductance(np.where(np.isnan(target), 1e-6, target))
        data = {
            "inputs": {"file": str(tmp_path / "net.npz"), "key": settings.pop("x", "x")},
            "classes": {"file": str(tmp_path / "net.npz"), "key": "y"},
            "flatten": False,
        }
        return results(INFER, {"data": data, **settings}, whole), watched.asked

    return go


NOISE = [{"effect": "white_noise", "fraction": 0.2}]


@pytest.mark.parametrize(
    "sim", [{"converters": ADC}, {"converters": ADC, "effects": NOISE}, {"effects": NOISE}]
)
def test_the_results_do_not_depend_on_how_many_samples_come_at_a_time(
    run: Callable[..., Any], sim: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for at_once in (1000, 7):
        monkeypatch.setattr(
            "hwloop.steps.network.infer.samples_at_once", lambda *_, _own=at_once, **__: _own
        )
        tables, asked = run(sim, calibration=10, over_range=0.05)
        found.append(tables)
        samples = [batch.samples for batch in asked]
        rest = [50, 50] if at_once == 1000 else [7, 7] * 7 + [1, 1]
        assert samples == [10, 10, *rest]
    for name in ("correct", "confusion", "accuracy"):
        assert np.array_equal(*(getattr(one[""][0], name) for one in found))
    for first, second in zip(*(one["layers"] for one in found), strict=True):
        assert first.columns() == second.columns()


def test_a_confusion_matrix_of_too_many_classes_is_left_out_and_the_answers_are_kept(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run({"converters": ADC}, over_range=0.05)[0][""]
    monkeypatch.setattr("hwloop.steps.network.infer.CONFUSION_COUNTS", 15)
    row = run({"converters": ADC}, over_range=0.05)[0][""][0]
    assert row.confusion.shape == (0, 0)
    assert whole[0].confusion.shape == (4, 4)
    assert row.correct == whole[0].correct == np.trace(whole[0].confusion)
    assert row.answers.tolist() == whole[0].answers.tolist()


def test_only_the_first_batch_of_each_layer_calibrates(run: Callable[..., Any]) -> None:
    _, asked = run({"converters": ADC}, calibration=10, over_range=0.05)
    assert [batch.calibrate for batch in asked] == [True, True, False, False]


def test_a_layer_of_two_blocks_is_one_operation_on_images(run: Callable[..., Any]) -> None:
    _, asked = run({}, calibration=SAMPLES)
    conv, dense = asked
    assert conv.voltage_v.shape == (SAMPLES, 1, 6, 6)
    assert conv.vectors == SAMPLES * 36
    assert len(dense.blocks) == 2
    assert len({block.tile for block in dense.blocks}) == 2
    assert len(dense.rounds) == 1


@pytest.mark.parametrize(
    ("record", "kind"), [(None, "all"), ("answers", "answers"), ("summary", "summary")]
)
def test_the_outcome_says_what_the_record_keeps(
    run: Callable[..., Any], record: str | None, kind: str
) -> None:
    tables, asked = run({"converters": ADC}, record=record)
    assert {batch.keep for batch in asked} == {kind}
    assert f"record: {kind}" in tables["outcome"][0].message


def test_converters_that_clip_too_much_are_refused_with_layer_tile_and_share(
    run: Callable[..., Any],
) -> None:
    narrow = {"adc": {"bits": 8, "range": {"kind": "fixed", "low_a": -1e-5, "high_a": 1e-5}}}
    with pytest.raises(StepError, match=r"layer conv, tile 0: the converters clip 0\.\d+") as info:
        run({"converters": narrow})
    assert "over_range allows 0.001" in str(info.value)


def test_what_is_clipped_within_the_share_is_counted_and_named(run: Callable[..., Any]) -> None:
    tight = {"adc": {"bits": 8, "range": {"kind": "percentile", "percent": 99.0}}}
    tables, _ = run({"converters": tight}, over_range=0.05)
    conv, _ = tables["layers"]
    # A range of 99 % of the magnitudes leaves about 1 % of them out, of each block.
    assert 0.003 < conv.over_range < 0.03
    assert "held at an end of their range" in tables["outcome"][0].message


def test_inputs_beyond_the_limit_are_refused_by_layer_beyond_the_share(
    run: Callable[..., Any],
) -> None:
    with pytest.raises(
        StepError, match=r"layer dense: more than 1e-06 of its inputs, such as"
    ) as e:
        run({}, {"read_v": 0.1}, calibration=1, input_margin=0.0, over_range=1e-6)
    assert "limits.read_v 0.1: raise calibration, input_margin or over_range" in str(e.value)
    tables, asked = run({}, {"read_v": 0.1}, calibration=1, input_margin=0.0, over_range=0.5)
    assert tables["layers"][1].held_inputs > 0
    assert max(batch.extremes_v[1] for batch in asked) <= 0.1 * (1 + 1e-12)


def test_images_of_another_size_are_refused_before_anything_is_driven(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    files = dict(np.load(tmp_path / "net.npz"))
    np.savez(tmp_path / "net.npz", **files, wide=np.zeros((SAMPLES, 1, 8, 6)))
    with pytest.raises(StepError, match="layer dense: takes 27 inputs, but gets 36"):
        run({}, x="wide")
