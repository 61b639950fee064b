"""Loops of one's own: guarded, recorded and made safe as in any run."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

import hwloop
from hwloop.errors import ConfigError, LimitError, ReplayMismatch, Stopped
from hwloop.execution.reproduce import reproduce
from hwloop.record.reader import Record
from tests.command_line import hwloop as command

FILE = Path(__file__).parents[3] / "procedures" / "manhattan_4x4.yaml"


def test_everything_done_is_in_the_record_and_replays_bit_for_bit(tmp_path: Path) -> None:
    with hwloop.open_array(FILE, seed=4, out=tmp_path / "own.h5") as array:
        before_conductance_s = array.conductance_s()
        array.pulse({(1, 2): "2 V"}, "50 ms", count=2)
        one_conductance_s = array.conductance_s([(1, 2)])
        current_a = array.multiply([0.1, 0.05, 0.0, 0.0])
        array.wait("2 s")
        all_a = array.current_a("50 mV")
        assert array.path == tmp_path / "own.h5"
        assert "4 × 4 on sim" in repr(array)
    assert np.isfinite(one_conductance_s).sum() == 1
    assert one_conductance_s[1, 2] > before_conductance_s[1, 2]
    after_conductance_s = before_conductance_s.copy()
    after_conductance_s[1, 2] = one_conductance_s[1, 2]
    np.testing.assert_allclose(current_a, [0.1, 0.05, 0, 0] @ after_conductance_s, rtol=1e-12)
    np.testing.assert_allclose(all_a, 0.05 * after_conductance_s, rtol=1e-12)
    with Record(tmp_path / "own.h5") as record:
        assert record.status == "completed"
        assert record.operation_kinds == [
            *("read", "read", "pulse", "read", "multiply", "wait", "read", "read")
        ]
        assert record.pulses_given().tolist() == np.diag([0, 2, 0, 0])[:, [0, 2, 1, 3]].tolist()
        final = record.array("final_conductance_s")
        assert final is not None
        np.testing.assert_array_equal(final, after_conductance_s)


def loop(array: hwloop.OpenArray) -> list[bytes]:
    """Return all numbers of a loop that depends on what it reads."""
    seen = [array.conductance_s()]
    for volts in (2.0, 2.0):
        array.pulse({(int(seen[-1].argmin()) // 4, 1): volts}, "50 ms")
        seen.append(array.conductance_s())
    return [one.tobytes() for one in seen]


def test_the_same_loop_is_answered_from_its_record_to_the_last_bit(tmp_path: Path) -> None:
    own = tmp_path / "own.h5"
    with hwloop.open_array(FILE, seed=4, out=own) as array:
        first = loop(array)
    with hwloop.open_array(FILE, seed=4, recording=own, out=tmp_path / "again.h5") as array:
        assert loop(array) == first

    def another() -> None:
        with hwloop.open_array(FILE, seed=4, recording=own, out=tmp_path / "other.h5") as array:
            array.conductance_s()
            array.pulse({(3, 3): 2.0}, "50 ms")

    with pytest.raises(ReplayMismatch):
        another()
    with pytest.raises(ConfigError, match=r"has no steps: run the loop again with open_array"):
        reproduce(own)


def test_the_record_of_a_loop_is_shown_and_reported(tmp_path: Path) -> None:
    with hwloop.open_array(FILE, seed=4, out=tmp_path / "own.h5") as array:
        loop(array)
    shown = command("show", tmp_path / "own.h5")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "2 pulse" in shown.stdout
    reported = command("report", tmp_path / "own.h5")
    assert reported.returncode == 0
    assert "completed" in (tmp_path / "own-report.html").read_text(encoding="utf-8")


def test_a_pulse_beyond_a_limit_reaches_no_cell(tmp_path: Path) -> None:
    def beyond() -> None:
        with hwloop.open_array(FILE, out=tmp_path / "own.h5") as array:
            array.pulse({(0, 0): 50.0}, 1e-3)

    with pytest.raises(LimitError, match=r"exceeds limits.positive_v"):
        beyond()
    with Record(tmp_path / "own.h5") as record:
        assert record.status == "failed"
        assert record.operation_kinds == ["read"]
        assert not record.pulses_given().any()


def test_an_error_of_the_loop_itself_leaves_a_closed_record(tmp_path: Path) -> None:
    def broken() -> None:
        with hwloop.open_array(FILE, out=tmp_path / "own.h5") as array:
            array.pulse(np.full((4, 4), 2.0), "50 ms")
            raise ZeroDivisionError("of the loop")

    with pytest.raises(ZeroDivisionError):
        broken()
    with Record(tmp_path / "own.h5") as record:
        assert record.status == "failed"
        assert record.pulses_given().tolist() == np.ones((4, 4)).tolist()
        assert "ZeroDivisionError" in record.log[-1][2]


def test_a_request_to_stop_ends_the_loop_before_its_next_operation(tmp_path: Path) -> None:
    def interrupted() -> None:
        with hwloop.open_array(FILE, out=tmp_path / "own.h5") as array:
            os.kill(os.getpid(), signal.SIGINT)
            array.pulse({(0, 0): 2.0}, "50 ms")

    with pytest.raises(Stopped, match=r"what was done is in .*own.h5"):
        interrupted()
    with Record(tmp_path / "own.h5") as record:
        assert record.status == "stopped"
        assert record.operation_kinds == ["read"]


def test_a_population_is_pulsed_alike_in_every_array(tmp_path: Path) -> None:
    with hwloop.open_array(FILE, population=3, out=tmp_path / "own.h5") as array:
        assert array.shape == (3, 4, 4)
        array.pulse({(0, 3): 2.0}, "50 ms")
    with Record(tmp_path / "own.h5") as record:
        given = record.pulses_given()
        assert given.sum(axis=(-2, -1)).tolist() == [1, 1, 1]
        assert given[:, 0, 3].tolist() == [1, 1, 1]
