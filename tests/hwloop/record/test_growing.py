"""Records that are read while another process runs the procedure."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hwloop.errors import RecordError
from hwloop.file_lock import is_held
from hwloop.record.growing import read_growing
from hwloop.record.reader import Record
from tests.command_line import hwloop

PROCEDURE = Path(__file__).parents[3] / "procedures/endurance_8x8.yaml"


@contextmanager
def run_of(path: Path, cycles: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a procedure in another process, from when its record is there."""
    command = [sys.executable, "-m", "hwloop.cli", "run", str(PROCEDURE), "--out", str(path)]
    command += ["--set", f"steps.0.settings.cycles={cycles}"]
    command += ["--set", "array.limits.pulses_per_device=10000000"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        try:
            give_up = time.monotonic() + 60
            while not path.exists() and time.monotonic() < give_up:
                time.sleep(0.005)
            yield run
        finally:
            run.kill()


def of_rows(record: Record) -> tuple[str, int, set[int]]:
    """Return the status, the operations read, and how many rows the columns of results have."""
    done = sum(1 for _ in record.operations())
    lengths = {len(column) for column in record.results("endurance").values()}
    return record.status, done, lengths


def test_every_reading_of_a_growing_record_is_whole_until_its_run_has_ended(
    tmp_path: Path,
) -> None:
    path, seen = tmp_path / "run.h5", []
    with run_of(path, 300):
        while not seen or seen[-1][0] == "running":
            seen.append(read_growing(path, of_rows))
    statuses, counts, lengths = zip(*seen, strict=True)
    assert set(statuses[:-1]) == {"running"}
    assert statuses[-1] == "completed"
    assert list(counts) == sorted(counts)
    assert counts[0] < counts[-1]
    assert all(len(one) <= 1 for one in lengths)


def test_show_and_report_say_that_a_run_is_still_in_progress_and_replay_refuses(
    tmp_path: Path,
) -> None:
    path = tmp_path / "run.h5"
    with run_of(path, 1_000_000) as run:
        shown, again = hwloop("show", path), hwloop("show", path)
        report = hwloop("report", path)
        settings = hwloop("show", "--instruments", path)
        replay = hwloop("replay", path)
        run.kill()
        run.wait()
    assert (shown.returncode, report.returncode, settings.returncode) == (0, 0, 0)
    so_far = [
        one.stdout.split("still running, ")[1].split(" operations so far") for one in (shown, again)
    ]
    assert 0 <= int(so_far[0][0]) < int(so_far[1][0])
    page = (tmp_path / "run-report.html").read_text("utf-8")
    assert "<b>running</b>: still running, " in page
    assert "not in order" not in page
    assert replay.returncode == RecordError.exit_code
    assert replay.stderr == f"hwloop: {path}: the run is still in progress; wait for its end\n"
    assert "status       interrupted (the process was killed" in hwloop("show", path).stdout


@pytest.mark.skipif(os.name == "nt", reason="POSIX: a process that is stopped goes on")
def test_run_that_stands_still_is_running_until_it_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with run_of(path, 1_000_000) as run:
        run.send_signal(signal.SIGSTOP)
        assert is_held(path)
        assert read_growing(path, lambda record: record.status) == "running"
        run.kill()
        run.wait()
        assert not is_held(path)
        assert read_growing(path, lambda record: record.status) == "interrupted"


def test_record_that_ends_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, calls = tmp_path / "run.h5", []
    with run_of(path, 100) as run:

        def read(record: Record) -> str:
            calls.append(record.status)
            run.wait()
            return record.status

        assert read_growing(path, read) == "completed"
    assert calls in (["running", "completed"], ["completed"])


def test_damage_of_a_record_that_does_not_change_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    calls: list[Callable[..., object]] = []
    with pytest.raises(RecordError, match=r"run\.h5"):
        read_growing(path, calls.append)
    assert calls == []
