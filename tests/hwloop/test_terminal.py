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
try:
    sys.stdin.readline()
except OSError:  # a terminal that has gone already
    pass
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


_WITHOUT = """
import subprocess, sys
from hwloop.terminal import prepare_streams, say
prepare_streams()
with open(sys.argv[1], "w") as file:
    print("into nothing", file=sys.stderr, flush=True)
    say("into nothing", err=True)
    say("output")
    command = [sys.executable, "-c", "import sys; sys.stderr.write('of a child')"]
    assert subprocess.run(command).returncode == 0
    file.write("kept")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="closes streams by a POSIX shell")
@pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&-", "<&- >&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_missing_stream_is_replaced_and_no_file_gets_what_is_printed(
    closed: str, tmp_path: Path
) -> None:
    kept = tmp_path / "kept.txt"
    command = [
        "/bin/sh",
        "-c",
        f'exec "$@" {closed}',
        "sh",
        sys.executable,
        "-c",
        _WITHOUT,
        str(kept),
    ]
    done = subprocess.run(command, capture_output=True, check=False, timeout=120)
    assert done.returncode == 0
    assert kept.read_text(encoding="utf-8") == "kept"
    assert done.stdout == (b"" if ">&-" in closed.replace("2>&-", "") else b"output\n")


_SAYING = """
from hwloop.terminal import plain_console, prepare_streams, say
from rich.table import Table
prepare_streams()
say("5 \u00b5S \u00d7 3")
table = Table("\u03a9")
table.add_row("\u03bc")
plain_console(width=40).print(table)
"""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437"])
def test_letters_that_the_encoding_lacks_are_written_out(encoding: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-c", _SAYING], env=environment, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    said = done.stdout.decode(encoding)
    first = {"ascii": "5 \\xb5S \\xd7 3", "latin-1": "5 µS × 3", "cp437": "5 µS \\xd7 3"}
    assert said.splitlines()[0] == first[encoding]


_TALKING = """
from hwloop.terminal import prepare_streams, say
prepare_streams()
for number in range(20_000):
    say(f"line {number}")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs pipes of POSIX")
def test_reader_who_has_seen_enough_ends_nothing_with_an_error() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _TALKING], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"line 0\n"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_output_for_which_there_is_no_room_is_an_error() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", _TALKING], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode != 0
    assert b"No space left on device" in done.stderr
