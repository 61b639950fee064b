"""A run that begins a ledger says what the ledger does not count."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwloop.backend.base import Event
from hwloop.record.life import ArrayLife, beginning_of
from tests.hwloop.spy import array_settings


def begin(folder: Path, name: str = "A1") -> Event:
    return beginning_of(folder / f"{name}.life.jsonl", name, backend="bench", origin="measured")


def test_a_ledger_that_begins_names_its_file_and_what_is_not_in_it(tmp_path: Path) -> None:
    assert begin(tmp_path) == Event(
        "info",
        f"the ledger of array A1 begins with this run ({tmp_path / 'A1.life.jsonl'}): pulses that"
        " were counted elsewhere or not at all are not in it (array.pulses_before adds them)",
    )
    assert begin(tmp_path / "not_made_yet").level == "info"


@pytest.mark.parametrize("other", ["a1", "A 1", " A1", "A1 ", "a\t1"])
@pytest.mark.parametrize("kind", ["life", "life-virtual"])
def test_a_ledger_of_nearly_the_same_name_is_a_warning(
    other: str, kind: str, tmp_path: Path
) -> None:
    file = tmp_path / f"{other}.{kind}.jsonl"
    file.touch()
    event = begin(tmp_path)
    assert event.level == "warning"
    assert event.message.endswith(f"; ledgers of nearly the same name lie beside it: {file.name}")


def test_ledgers_of_other_arrays_and_of_the_virtual_bench_are_no_warning(tmp_path: Path) -> None:
    for name in ("A10.life.jsonl", "B1.life.jsonl", "A1.life-virtual.jsonl"):
        (tmp_path / name).touch()
    assert begin(tmp_path).level == "info"


def test_a_life_begins_until_a_run_has_pulsed(tmp_path: Path) -> None:
    path, array = tmp_path / "A1.life.jsonl", array_settings(name="A1")
    for _ in range(2):
        life = ArrayLife(path, "reads", array)
        assert life.begins
        life.close()
    life = ArrayLife(path, "forms", array)
    life.add_formed(life.pulses == 0)
    life.close()
    life = ArrayLife(path, "next", array)
    assert not life.begins
    life.close()
