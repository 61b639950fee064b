"""Origin of the data of a calibration."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hwloop.datasets.measurement import read_measurement
from hwloop_sim.calibrate.inputs import is_dataset, is_record


def provenance(paths: Sequence[Path]) -> dict[str, Any]:
    """Return device, source, DOI and files, with their SHA-256, as a calibration states them."""
    texts: dict[str, list[str]] = {"device": [], "source": [], "doi": []}
    for path in paths:
        if is_dataset(path):
            measurement = read_measurement(path)
            for name, seen in texts.items():
                seen.append(getattr(measurement, name))
        else:
            kind = "record" if is_record(path) else "file"
            texts["source"].append(f"{kind} {path.name}")
    joined = {name: "; ".join(dict.fromkeys(filter(None, seen))) for name, seen in texts.items()}
    files = [
        {"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in paths
    ]
    return {**joined, "files": files}
