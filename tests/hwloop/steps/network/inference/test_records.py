"""Records of an inference that keep answers or a summary: shown, reported, compared, replayed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwloop.array.blocks import Keep
from hwloop.cli.printing import print_record
from hwloop.errors import RecordError
from hwloop.execution.reproduce import reproduce
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.record.comparison import compare_records, differences
from hwloop.record.reader import Record
from hwloop.record.storage.file import RecordFile
from hwloop.report.page import page
from hwloop.steps.network import infer
from tests.hwloop.steps.network.inference.small_network import (
    CONV,
    DEVICE,
    SAMPLES,
    procedure,
)

HOLD = {"step": "hold_conductances"}
WIDE = {"kind": "calibrated", "margin": 2.0}  # so that none is flagged over range


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Records of the same inference, of each kind."""
    folder = tmp_path_factory.mktemp("records")
    made = {}
    for kind in ("all", "answers", "summary"):
        made[kind] = folder / f"{kind}.h5"
        loaded = procedure(folder, CONV, HOLD, record=kind, over_range=1.0)
        run_procedure(loaded, RunOptions("sim", made[kind]))
    return made


@pytest.mark.parametrize("kind", ["all", "answers", "summary"])
def test_every_kind_keeps_the_answer_of_each_sample(paths: dict[str, Path], kind: str) -> None:
    classes = np.load(paths[kind].parent / "y.npz")["y"]
    with Record(paths[kind]) as record:
        columns = record.results("infer")
        (answers,), (confusion,) = columns["answers"], columns["confusion"]
        (correct,) = columns["correct"]
    assert answers.shape == (SAMPLES,)
    counted = np.zeros_like(confusion)
    np.add.at(counted, (classes.astype(int), answers), 1)
    np.testing.assert_array_equal(confusion, counted)
    assert correct == np.count_nonzero(answers == classes)


@pytest.mark.parametrize("kind", ["answers", "summary"])
def test_show_and_report_read_records_without_currents(
    paths: dict[str, Path], kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_record(paths[kind])
    shown = capsys.readouterr().out
    assert "4 blocks" in shown
    assert f"record: {kind}" in shown
    with Record(paths[kind]) as record:
        assert f"record: {kind}" in page(record, [])


def test_the_kinds_compare_alike_and_differ_in_their_operations_only(
    paths: dict[str, Path],
) -> None:
    alike = {
        one.name: one.figures()["ks"] for one in compare_records(paths["all"], paths["summary"])
    }
    assert alike["infer.confusion"] == alike["hold_conductances.conductance_s"] == 0
    places = {text.split(":")[0] for text in differences(paths["answers"], paths["summary"])}
    assert not any(place.startswith("results/infer/confusion") for place in places)
    assert any(place.startswith("operations") for place in places)


def test_answers_replay_to_the_last_bit_and_a_summary_says_what_it_lacks(
    paths: dict[str, Path],
) -> None:
    again = reproduce(paths["answers"])
    assert again.complete
    with Record(paths["answers"]) as record:
        assert again.operations == len(record)
    with pytest.raises(RecordError, match=r"keeps a summary .* not its answers"):
        reproduce(paths["summary"])


@pytest.mark.parametrize("population", [None, 2])
@pytest.mark.parametrize("bits", [None, 8, 6])
@pytest.mark.parametrize("kind", ["all", "answers", "summary"])
def test_all_that_comes_has_its_place_from_the_begin(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: Keep,
    bits: int | None,
    population: int | None,
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("the structure of the record changes")

    monkeypatch.setattr(RecordFile, "changing", refused)
    sim: dict[str, Any] = {"device": DEVICE}
    if bits is not None:
        sim["converters"] = {"adc": {"bits": bits, "range": WIDE}}
    monkeypatch.setattr(infer, "samples_at_once", lambda *_, **__: 15)
    loaded = procedure(tmp_path, CONV, HOLD, sim=sim, record=kind, over_range=1.0)
    run_procedure(loaded, RunOptions("sim", tmp_path / "a.h5", population=population))
    with Record(tmp_path / "a.h5") as record:
        calibration, whole, rest = (2, 2 * 3, 2)
        assert record.operation_kinds.count("blocks") == calibration + whole + rest
        assert record.status == "completed"
