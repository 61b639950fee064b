"""Evidence is what a lab has sent back: never that of a virtual bench."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hwloop.errors import ConfigError
from hwloop.station.evidence import evidence_in, read_evidence, shipped_evidence

RECORD: dict[str, Any] = {
    "format": "hwloop acceptance 1",
    "station": "our_lab",
    "virtual": False,
    "began_utc": "2031-04-05 06:07:08 UTC",
    "accepted": True,
    "drivers": {"smu": "keithley_2400"},
    "instruments": {"smu": {"id": "KEITHLEY INSTRUMENTS INC.,MODEL 2400,1234567,C32"}},
    "findings": [{"verdict": "passed"}, {"verdict": "passed"}, {"verdict": "not witnessed"}],
}


def written(folder: Path, name: str, **changed: object) -> Path:
    file = folder / name
    file.write_text(json.dumps({**RECORD, **changed}), encoding="utf-8")
    return file


def test_line_has_the_box_its_firmware_the_day_and_the_verdict(tmp_path: Path) -> None:
    written(tmp_path, "a.json")
    ((driver, line),) = evidence_in([tmp_path])
    assert driver == "keithley_2400"
    assert line == (
        "KEITHLEY INSTRUMENTS INC.,MODEL 2400,1234567,C32, 2031-04-05, station our_lab: accepted"
        " (2 passed, 1 not witnessed)"
    )


@pytest.mark.parametrize("virtual", [True, None, "no", 1])
def test_whatever_does_not_say_that_it_is_not_virtual_is_not_counted(
    tmp_path: Path, virtual: object
) -> None:
    (one,) = read_evidence(written(tmp_path, "a.json", virtual=virtual))
    assert one.virtual
    assert str(one).startswith("virtual, not counted: ")


def test_boxes_come_before_virtual_ones_and_a_bench_that_failed_says_so(tmp_path: Path) -> None:
    written(tmp_path, "a.json", virtual=True)
    written(tmp_path, "b.json", accepted=False)
    first, second = (line for _, line in evidence_in([tmp_path]))
    assert "not accepted" in first
    assert second.startswith("virtual")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '"x"', "[" * 100_000, '{"format": "other"}', "\x00", '{"format": 1}']
)
def test_file_that_is_no_record_is_named_and_the_others_are_read(tmp_path: Path, text: str) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"bad\.json"):
        read_evidence(bad)
    written(tmp_path, "good.json")
    assert [name for name, _ in evidence_in([tmp_path])] == ["keithley_2400", "bad.json"]


def test_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        list(evidence_in([tmp_path / "nowhere"]))


def test_no_evidence_is_pretended() -> None:
    assert list(shipped_evidence()) == []
