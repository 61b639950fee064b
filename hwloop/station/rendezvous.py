"""Rendezvous files: where a running virtual bench leaves its addresses for runs to find."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

PREFIX = "hwloop-virtual-"


def rendezvous_file(station_file: Path, *, private_to: int | None = None) -> Path:
    """Return the path at which the virtual bench of a station leaves its addresses.

    It is in the system's temporary folder, and follows from the resolved path of the station file.
    ``private_to``: the process of a bench that a run has started for itself; no other run uses it.
    """
    mark = hashlib.sha256(str(station_file.resolve()).encode()).hexdigest()[:16]
    owner = "" if private_to is None else f"-{private_to}"
    return Path(tempfile.gettempdir()) / f"{PREFIX}{mark}{owner}.json"


def rendezvous_files() -> list[Path]:
    """Return the files of all virtual benches of this computer, sorted.

    Some may belong to a bench that was killed before it could remove its file.
    """
    return sorted(Path(tempfile.gettempdir()).glob(f"{PREFIX}*.json"))
