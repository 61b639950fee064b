"""Records of an inference that keep answers or a summary: shown, reported, compared, replayed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwloop.cli.printing import print_record
from hwloop.errors import RecordError
from hwloop.record.comparison import compare_records, differences
from hwloop.record.reader import Record
from hwloop.report.page import page
from hwloop.run.reproduce import reproduce
from hwloop.run.runner import RunOptions, run_procedure
from tests.hwloop.steps.network.inference.small_network import CONV, SAMPLES, procedure

HOLD = {"step": "hold_conductances"}


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
