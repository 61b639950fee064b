"""State of another process, as far as the operating system tells it."""

from __future__ import annotations

from pathlib import Path


def is_stopped(pid: int) -> bool:
    """Return whether a process is stopped, by Ctrl-Z, SIGSTOP or a debugger: it runs no further.

    False where it is not, has ended, or the operating system has no /proc to tell it (Linux has).
    """
    try:
        said = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    # After the name of the program, in brackets: it may hold brackets and spaces of its own.
    return said.rpartition(b")")[2].split()[:1] in ([b"T"], [b"t"])


def how_to_end_stopped(pid: int) -> str:
    """Return what a person can do about a stopped process."""
    return f"`kill -CONT {pid}` lets it go on, `kill -9 {pid}` ends it"
