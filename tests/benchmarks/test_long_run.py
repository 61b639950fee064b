"""The long run: every operation is recorded, and its ratios are what they say."""

from __future__ import annotations

from pathlib import Path

from benchmarks.long_run import CYCLE, Tenth, long_run, report
from hwloop.record import Record


def test_every_operation_of_a_long_run_is_in_its_record(tmp_path: Path) -> None:
    tenths = long_run(40, tmp_path / "long.h5")
    assert [one.operations for one in tenths] == [4] * 10
    with Record(tmp_path / "long.h5") as record:
        assert len(record) == 40 + len(CYCLE)
        assert record.operation_kinds[:4] == ["pulse", "read", "pulse", "read"]
        given = record.array("pulses")
    assert given is not None
    assert given.tolist() == [[22, 22], [22, 22]]


def test_ratios_compare_the_last_tenth_with_the_first() -> None:
    tenths = [Tenth(100, 0.01, 2**20)] * 9 + [Tenth(100, 0.02, 3 * 2**19)]
    *_, size, speed, memory = report(tenths, 181_000)
    assert size == "record: 181 bytes an operation, 1000 operations"
    assert speed == "speed, last tenth to first: 0.500"
    assert memory == "memory, last tenth to first: 1.500; 582.5 bytes an operation"
