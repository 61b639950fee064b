"""Free memory of the machine, and a refusal of arrays that need more."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

from hwloop.errors import ConfigError

_CGROUP = Path("/sys/fs/cgroup")


def available_bytes() -> int | None:
    """Return the memory that this process can still allocate; None where it is unknown."""
    if sys.platform == "win32":
        return _windows_bytes()
    found = [size for size in (_meminfo_bytes(), _cgroup_bytes()) if size is not None]
    return min(found) if found else _physical_bytes()


def refuse_too_large(cells: int, *, bytes_per_cell: float, what: str, key: str = "") -> None:
    """Raise :class:`ConfigError` if ``cells`` cells need more memory than is free.

    ``what``: name of the array in the message. ``key``: place in the procedure.
    """
    needed = cells * bytes_per_cell
    there = available_bytes()
    if there is not None and needed > there:
        raise ConfigError(
            f"{what}: the emulator needs about {_gigabytes(needed)} of memory for it,"
            f" {_gigabytes(there)} are free",
            key=key,
        )


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.3g} GB"


def _meminfo_bytes() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    available = fields.get("MemAvailable", "").split()  # such as "1024 kB"
    return int(available[0]) * 1024 if available else None


def _cgroup_bytes() -> int | None:
    """Return what the memory limit of a container leaves; None without a limit."""
    try:
        limit = (_CGROUP / "memory.max").read_text(encoding="ascii").strip()
        used = (_CGROUP / "memory.current").read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(limit) - int(used) if limit.isdigit() and used.isdigit() else None


def _physical_bytes() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _windows_bytes() -> int | None:
    """Return free memory by GlobalMemoryStatusEx: the second 64-bit field of its status."""
    status = (ctypes.c_ulonglong * 8)()
    status[0] = ctypes.sizeof(status)
    done = ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))  # type: ignore[attr-defined,unused-ignore]
    return int(status[2]) if done else None
