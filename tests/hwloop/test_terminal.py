"""Text from elsewhere is shown on a terminal, never obeyed; a run outlives its terminal."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.table import Table

from hwloop.terminal import outlive_terminal, plain_console, printable, say

FORGED = "a\x1b]0;owned\x07[/red]\x9b2J\r:smile:\u202eb"
SHOWN = "a\\x1b]0;owned\\x07[/red]\\x9b2J\\r:smile:\\u202eb"


def test_control_characters_are_written_out_and_letters_stay() -> None:
    assert printable(FORGED) == SHOWN
    assert printable("\ud800\u2028\x00\x7f\x85") == "\\ud800\\u2028\\x00\\x7f\\x85"
    plain = "5 µS ± 3 Ω, 忆阻器, نمی\u200cخواهم\n\tnext"
    assert printable(plain) == plain


def test_a_line_that_is_said_has_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    say(FORGED)
    say(FORGED, err=True)
    said = capsys.readouterr()
    assert said.out == said.err == f"{SHOWN}\n"


def test_lines_and_tables_of_a_console_show_markup_as_it_stands(
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("[/bold]\x1b[2J")
    table.add_row(FORGED)
    console = plain_console(width=200)
    console.print(FORGED, style="red")
    console.print(table)
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == [SHOWN, "[/bold]\\x1b[2J", SHOWN]


_LASTING = """
import os, sys
from hwloop.terminal import outlive_terminal, say
outlive_terminal()
print("first", flush=True)
sys.stdin.readline()
for number in range(2000):
    say(f"a line that nobody reads {number}")
    say("another", err=True)
os.write(int(sys.argv[1]), b"to its end")
"""


def _outlives(stdin: int, stdout: int, stderr: int, gone: Callable[[], None]) -> bytes:
    """What a process tells on a pipe of its own, whose terminal or reader goes away meanwhile."""
    told, telling = os.pipe()
    command = [sys.executable, "-c", _LASTING, str(telling)]
    with subprocess.Popen(
        command, stdin=stdin, stdout=stdout, stderr=stderr, pass_fds=[telling]
    ) as process:
        os.close(telling)
        gone()
        assert process.wait(60) == 0
    with os.fdopen(told, "rb") as stream:
        return stream.read()


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are of POSIX systems")
def test_process_outlives_its_terminal() -> None:
    ours, theirs = os.openpty()

    def gone() -> None:
        os.close(theirs)
        assert os.read(ours, 5) == b"first"
        os.close(ours)

    assert _outlives(theirs, theirs, theirs, gone) == b"to its end"


@pytest.mark.skipif(sys.platform == "win32", reason="passes file descriptors")
def test_process_outlives_the_reader_of_its_pipe() -> None:
    reading, writing = os.pipe()
    asked, asking = os.pipe()

    def gone() -> None:
        for one in (writing, asked):
            os.close(one)
        assert os.read(reading, 5) == b"first"
        os.close(reading)
        os.close(asking)

    assert _outlives(asked, writing, writing, gone) == b"to its end"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_process_outlives_the_disk_that_its_output_goes_to() -> None:
    command = [sys.executable, "-c", _LASTING, "2"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 0
    assert done.stderr.endswith(b"to its end")


def test_stream_that_is_no_file_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    streams = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    outlive_terminal()
    assert (sys.stdout, sys.stderr) == streams
