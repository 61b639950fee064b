"""Killed runs: how they are judged, and one of each sort."""

import dataclasses
import signal
import sys
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("the signals are POSIX", allow_module_level=True)

from benchmarks.campaigns.records import Judged
from benchmarks.kills import EMULATED, STATIONS, WAYS, Attempt, Left, attempt_of, campaign

WAY = {way.name: way for way in WAYS}


def test_moments_and_places_cover_start_and_end_and_every_station() -> None:
    attempts = [attempt_of(number, 1) for number in range(300)]
    assert {one.place for one in attempts} == {*STATIONS, *EMULATED}
    assert {one.way.name for one in attempts} == set(WAY)
    assert min(one.at for one in attempts) < 0
    assert max(one.at for one in attempts) > 1
    assert all(one.on_bench for one in attempts if one.way.watchdog)
    assert attempts[7] == attempt_of(7, 1) != attempt_of(7, 2)


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({}, ""),
        ({"judged": Judged("none")}, ""),
        ({"judged": Judged("completed", 16)}, ""),
        ({"judged": Judged("failed", 3)}, "record is failed"),
        ({"judged": Judged("unreadable", unreadable="no HDF5")}, "cannot be read: no HDF5"),
        ({"judged": Judged("interrupted", 3, departs="operation 2")}, "departs at operation 2"),
        ({"exit_code": None}, "still running"),
        ({"alarms": ["smu on"]}, "left smu on"),
        ({"errors": "Traceback (most recent call last)"}, "traceback"),
    ],
)
def test_everything_that_must_not_be_is_a_finding(change: dict[str, object], finding: str) -> None:
    left = Left(-signal.SIGKILL, Judged("interrupted", 3), "")
    findings = dataclasses.replace(left, **change).findings(  # type: ignore[arg-type]
        Attempt(0, "virtual_4x4", WAY["SIGKILL"], 0.5)
    )
    assert bool(findings) == bool(finding)
    assert finding in "; ".join(findings)


def test_killed_and_stopped_runs_leave_prefixes_and_a_safe_bench(tmp_path: Path) -> None:
    attempts = [
        Attempt(0, "manhattan_4x4", WAY["SIGTERM"], 0.4),
        Attempt(1, "virtual_4x4", WAY["SIGKILL"], 0.05),
    ]
    (_, emulated), (_, killed) = campaign(attempts, tmp_path, at_once=1)
    assert emulated.findings(attempts[0]) == []
    assert killed.findings(attempts[1]) == []
    assert emulated.exit_code in {130, 0, -signal.SIGTERM}  # one that is over may still be ended
    assert killed.exit_code == -signal.SIGKILL
    assert killed.judged.status == "interrupted"


def test_no_run_is_begun_after_the_time_is_over(tmp_path: Path) -> None:
    attempts = [Attempt(n, "manhattan_4x4", WAY["SIGKILL"], 0.5) for n in range(50)]
    assert list(campaign(attempts, tmp_path, at_once=1, most_s=0.0)) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["usual-manhattan_4x4"]
