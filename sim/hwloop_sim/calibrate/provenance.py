"""Origin of the data of a calibration."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hwloop.backend.origin import Origin
from hwloop.datasets.measurement import read_measurement
from hwloop.record.reader import Record
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
            source = (
                f"record {path.name} ({_origin(path)})" if is_record(path) else f"file {path.name}"
            )
            texts["source"].append(source)
    joined = {name: "; ".join(dict.fromkeys(filter(None, seen))) for name, seen in texts.items()}
    files = [
        {"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in paths
    ]
    return {**joined, "files": files}


def origin_of_data(paths: Sequence[Path]) -> str:
    """Return whether the data of a calibration are measured or emulated; a dataset is measured."""
    return " and ".join(dict.fromkeys(map(_origin, paths))) + " data"


def _origin(path: Path) -> Origin:
    if not is_record(path):
        return "measured"
    with Record(path) as record:
        return record.origin
