"""The command line without a Python of its own: what it prints, and its exit code.

A command in a process of its own takes a second to import what it needs. What only a process shows
(its streams, its signals, its working folder, a traceback) is tried with :func:`hwloop_process`.
"""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest

from hwloop.cli import main as cli


@dataclass(frozen=True)
class Done:
    """What a command ended with."""

    returncode: int
    stdout: str
    stderr: str


def hwloop(*arguments: object, cwd: Path | None = None) -> Done:
    """Run a command in this process; an error that the command line does not know is raised."""
    with (
        pytest.MonkeyPatch.context() as patch,
        chdir(cwd) if cwd else nullcontext(),
        _stream(patch, "stdout") as out,
        _stream(patch, "stderr") as err,
    ):
        patch.setattr(sys, "argv", ["hwloop", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        code = ended.value.code
        assert code is None or isinstance(code, int), code
        return Done(code or 0, _text(out), _text(err))


def hwloop_process(*arguments: object, cwd: Path | None = None) -> Done:
    """Run a command in a process of its own."""
    command = [sys.executable, "-m", "hwloop.cli", *map(str, arguments)]
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, encoding="utf-8", check=False
    )
    return Done(done.returncode, done.stdout, done.stderr)


@contextmanager
def _stream(patch: pytest.MonkeyPatch, name: str) -> Iterator[io.BytesIO]:
    """Stand in for a stream that goes to a pipe, which every letter can be written to."""
    raw = io.BytesIO()
    patch.setattr(sys, name, io.TextIOWrapper(raw, encoding="utf-8", line_buffering=True))
    yield raw


def _text(raw: io.BytesIO) -> str:
    return raw.getvalue().decode("utf-8")
