"""Damaged files of every kind end in a result or in one error, and what does not is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.fuzz import batches, report
from benchmarks.fuzzing.attempt import attempt, attempts
from benchmarks.fuzzing.cases import KINDS, Case, make_sources

_FILES = {"procedure": 40, "record": 50, "override": 60}
_SEED, _FEW = 20, 8

pytestmark = pytest.mark.filterwarnings("ignore")  # of NumPy about numbers out of all reason


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sound files."""
    folder = tmp_path_factory.mktemp("sources")
    make_sources(folder)
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_no_damaged_file_ends_in_a_traceback_a_hang_or_a_wrong_acceptance(
    sources: Path, kind: str
) -> None:
    ends = list(attempts(kind, _SEED, range(_FEW), sources))
    assert [(one.index, one.fault, one.note) for one in ends if one.fault] == []
    assert len(ends) == _FEW


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_of_many_damaged_files_some_are_refused_and_some_are_sound_enough(
    sources: Path, kind: str
) -> None:
    ends = list(attempts(kind, _SEED, range(_FILES.get(kind, 30)), sources))
    assert [(one.index, one.fault, one.note) for one in ends if one.fault] == []
    assert len({one.code for one in ends}) > 1


def test_traceback_and_an_error_without_a_reason_are_noticed(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(("show", str(sources / "training.h5")), "")
    assert attempt(0, case, tmp_path, sources).fault == ""

    def fails() -> None:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr("hwloop.cli.main.main", fails)
    assert attempt(0, case, tmp_path, sources).fault.startswith("traceback: ZeroDivisionError")

    def ends_unsaid() -> None:
        raise SystemExit(7)

    monkeypatch.setattr("hwloop.cli.main.main", ends_unsaid)
    assert attempt(0, case, tmp_path, sources).fault == "exit code 7 without a reason: "


def test_files_are_shared_out_by_weight_and_every_number_comes_once() -> None:
    work = batches(11000, list(KINDS))
    numbers = [number for kind, batch in work if kind == "record" for number in batch]
    assert numbers == list(range(2400))
    assert sum(len(batch) for _, batch in work) == 11000


def test_report_counts_the_faults_of_each_kind_and_names_the_numbers() -> None:
    ends = [
        {"index": 4, "fault": "hang: 60 s", "code": None, "note": "bits"},
        {"index": 5, "fault": "", "code": 0, "note": ""},
        {"index": 9, "fault": "hang: 60 s", "code": None, "note": "head"},
    ]
    lines = list(report({"record": ends}, 3))
    assert lines[1].split() == ["record", "3", "1", "0", "2", "0", "0", "0", "0"]
    assert lines[2:] == ["record × 2: hang: 60 s", "    seed 3, numbers [4, 9]: bits"]
