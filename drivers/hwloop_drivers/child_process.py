"""Child processes: wait for their first answer within a bound, and end those that give none."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from queue import Empty, SimpleQueue
from threading import Thread

END_S = 5.0
# -P: `python -m` would put the working folder before the libraries, and run a serial.py that lies
# there.
PYTHON = (sys.executable, "-P")
"""Beginning of the command of every Python process that is started."""


def first_line(process: subprocess.Popen[str], *, within_s: float) -> str | None:
    """Return the first line that a child writes to its standard output.

    "" if it ended without one, None if it wrote none within ``within_s`` seconds; then it still
    runs, and has to be ended.
    """
    stream = process.stdout
    if stream is None:
        raise ValueError("the child's output must be a pipe")
    lines: SimpleQueue[str] = SimpleQueue()
    # In a thread, since a pipe has no read with a timeout on Windows.
    Thread(target=lambda: lines.put(stream.readline()), daemon=True).start()
    try:
        return lines.get(timeout=within_s)
    except Empty:
        return None


def end(process: subprocess.Popen[str]) -> str:
    """Kill a child, wait for it, close its pipes; return what is left on its standard error.

    Idempotent. A grandchild that holds the pipes open is waited for :data:`END_S` at most.
    """
    process.kill()
    said = ""
    with contextlib.suppress(subprocess.TimeoutExpired, ValueError, OSError):  # no pipes, or closed
        _, said = process.communicate(timeout=END_S)
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    return (said or "").strip()
