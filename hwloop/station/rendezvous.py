"""Where a virtual bench says its addresses."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

MEETING = "hwloop-virtual-"


def meeting_point(station_file: Path, *, private_to: int | None = None) -> Path:
    """Where a virtual bench that was started by itself says its addresses, for later runs.

    ``private_to``: the process of a bench that a run has started for itself, and which no other
    run is to use.
    """
    mark = hashlib.sha256(str(station_file.resolve()).encode()).hexdigest()[:16]
    owner = "" if private_to is None else f"-{private_to}"
    return Path(tempfile.gettempdir()) / f"{MEETING}{mark}{owner}.json"


def meeting_points() -> list[Path]:
    """Those of every virtual bench that runs here, or has ended without tidying up."""
    return sorted(Path(tempfile.gettempdir()).glob(f"{MEETING}*.json"))
