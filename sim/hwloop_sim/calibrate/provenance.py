"""Where the data of a calibration come from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwloop.datasets import columns as measurement
from hwloop.datasets import pulse_table as dataset
from hwloop_sim.calibrate.inputs import is_record

if TYPE_CHECKING:
    pass


def provenance(paths: Sequence[Path]) -> dict[str, Any]:
    """Device, source and files, as a calibration states them."""
    texts: dict[str, list[str]] = {"device": [], "source": [], "doi": []}
    for path in paths:
        form = dataset.format_of(path)
        if form in {dataset.FORMAT, measurement.FORMAT}:
            table: Any = (
                dataset.read_dataset(path)
                if form == dataset.FORMAT
                else measurement.read_measurement(path)
            )
            for name, seen in texts.items():
                seen.append(getattr(table, name))
        else:
            kind = "record" if is_record(path) else "file"
            texts["source"].append(f"{kind} {path.name}")
    joined = {name: "; ".join(dict.fromkeys(filter(None, seen))) for name, seen in texts.items()}
    files = [
        {"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in paths
    ]
    return {**joined, "files": files}
