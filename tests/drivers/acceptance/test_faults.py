"""One fault of each family is found on a bench, and the instrument or line named.

The whole table is ``python -m benchmarks.acceptance_faults``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.acceptance_faults import tried
from benchmarks.broken_boxes.kinds import kinds
from hwloop.station.station import load_station
from tests.drivers.acceptance.accepting import accepted
from tests.drivers.running_bench import ROOT

STATION = ROOT / "stations" / "virtual_4x4.yaml"
KINDS = {broken.name: broken for broken in kinds(load_station(STATION))}


def test_there_are_at_least_thirty_kinds_of_faults() -> None:
    assert len(KINDS) >= 30
    assert all(broken.named and broken.checks for broken in KINDS.values())


@pytest.mark.parametrize(
    "name",
    [
        "pulses 0.36 ms too long",
        "columns clamped at 105 % of the range of the last read",
        "rows never report their limit",
        "limit of the rows 20 % high",
        "rows open when they are off",
        "output relay of the columns stuck closed",
        "readings 1 uA high",
        "readings settle in 0.4 s",
        "relay from row2 to gnd stuck closed",
        "relay of row1 closes 0.3 s late",
        "relays break before they make",
        "rows answer a question late",
        "nothing watches over a run",
    ],
)
def test_fault_is_found_and_named(name: str) -> None:
    broken = KINDS[name]
    found, named = tried(STATION, broken, broken.checks)
    assert named, found


@pytest.mark.parametrize(
    "name", ["columns open when they are off", "rows hold 0 V when they are off"]
)
def test_off_state_is_judged_where_the_rows_have_no_meter(name: str) -> None:
    station = ROOT / "stations" / "virtual_2450_33500b_3706a.yaml"
    (broken,) = (broken for broken in kinds(load_station(station)) if broken.name == name)
    found, named = tried(station, broken, broken.checks)
    assert named, found


@pytest.mark.parametrize(
    "checks",
    [("lines", "resistors"), ("settling", "compliance"), ("relays", "off states"), ("time-outs",)],
)
def test_unbroken_bench_passes_each_test(tmp_path: Path, checks: tuple[str, ...]) -> None:
    record = accepted(tmp_path, *checks)
    assert record.passed, record.failed
    assert {finding.verdict for finding in record.findings} == {"passed"}


def test_killed_process_leaves_a_bench_that_is_off_and_grounded(tmp_path: Path) -> None:
    record = accepted(tmp_path, "watchdog")
    assert record.passed, record.failed
    places = {finding.place for finding in record.findings}
    assert {"row_smu", "col_smu", "matrix"} <= places
