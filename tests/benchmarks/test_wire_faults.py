"""Disturbed wires: how they are judged, and the most telling ones."""

import dataclasses
import sys
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.campaigns.mischief import KINDS
from benchmarks.campaigns.records import Judged
from benchmarks.wire_faults import STATIONS, Fault, Seen, campaign, fault_of

CUT_OFF = next(kind for kind in KINDS if kind.cuts_off)
CALM = Seen(
    exit_code=4,
    duration_s=1.0,
    judged=Judged("failed", 3),
    errors="hwloop: NOT EVERYTHING IS SAFE: smu may still be ON",
    alarms=(),
    lost_pulses=0,
    instrument="smu",
    struck=(b"+1.5E-06,0", b"+1.7E-06,0\n"),
    messages={"smu": Counter()},
)


def test_every_kind_strikes_every_station_and_a_number_is_always_the_same_fault() -> None:
    faults = [fault_of(number, 1) for number in range(len(KINDS) * len(STATIONS))]
    assert len({(fault.station, fault.kind.name) for fault in faults}) == len(faults)
    assert faults[17] == fault_of(17, 1)
    assert faults[17] != fault_of(17, 2)


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({}, ""),
        ({"exit_code": None}, "still running"),
        ({"exit_code": 2}, "ended with 2"),
        ({"exit_code": -11}, "ended with -11"),
        ({"exit_code": 5}, ""),
        ({"errors": "Traceback (most recent call last)"}, "traceback"),
        ({"alarms": ("smu on",), "errors": ""}, "left smu on"),
        ({"alarms": ("smu on",)}, ""),  # said, and out of reach
        ({"alarms": ("smu on",), "instrument": "matrix"}, "left smu on"),
        ({"judged": Judged("unreadable", unreadable="it is cut")}, "cannot be read: it is cut"),
        ({"judged": Judged("completed", departs="operation 3")}, ""),  # a digit became another
        (
            {
                "judged": Judged("completed", departs="operation 3"),
                "struck": (b"6.44e-08\tfalse", b"-6.44e-08\tfalse\n"),
            },
            "",  # a sign likewise
        ),
        (
            {
                "judged": Judged("completed", departs="operation 3"),
                "struck": (b"6.44e-08\tfalse", b"6.44e+08\tfalse\n"),
            },
            "departs at operation 3",
        ),
        ({"lost_pulses": 1}, ""),
        ({"lost_pulses": 2, "struck": (b"1", b"11\n")}, "2 pulses more than recorded"),
        (
            {"judged": Judged("completed", departs="operation 3"), "struck": (b"1.5", b"1.\n")},
            "departs at operation 3",
        ),
    ],
)
def test_everything_that_must_not_be_is_a_finding(change: dict[str, object], finding: str) -> None:
    fault = Fault(0, "virtual_4x4", CUT_OFF, 0.5, 0.0)
    findings = dataclasses.replace(CALM, **change).findings(fault)  # type: ignore[arg-type]
    assert bool(findings) == bool(finding)
    assert finding in "; ".join(findings)


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX")
def test_disturbed_runs_are_judged_by_the_bench_itself(tmp_path: Path) -> None:
    names = "the answer before instead", "link closed, and no new one", "answer late, in time"
    kinds = [next(kind for kind in KINDS if kind.name == name) for name in names]
    faults = [Fault(n, "virtual_4x4", kind, 0.62, 0.9) for n, kind in enumerate(kinds)]
    # One undisturbed run for all of them.
    judged = list(campaign(faults, tmp_path, seed=1, at_once=1))
    assert [fault for fault, _ in judged] == faults
    for fault, seen in judged:
        assert seen.findings(fault) == []
        assert seen.instrument == "row_smu"
        assert seen.struck is not None
        # Of the instrument, or of the step, where the source seems to be at its limit; 6: not
        # trained, where nothing was changed: an answer came late, or that before it was the same.
        right, instead = seen.struck
        assert seen.exit_code in ({6} if instead.rstrip() == right else {4, 5}), fault.kind.name
        if fault.kind.cuts_off:
            assert seen.said
            assert "row_smu on" in seen.alarms
        else:
            assert seen.alarms == ()
