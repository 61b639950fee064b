"""Calibrations as the core sees them: plain YAML by a shipped name or by path.

What the parameters mean is the emulator's business (``hwloop_sim.calibration.file``); here it is
only found, and asked for its model and for the conductances that its data covered.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hwloop.datasets.calibrations import _YAML, read_calibration
from hwloop.datasets.files import format_of
from hwloop.datasets.measurement import FORMAT as DATASET
from hwloop.errors import ConfigError

_TABLE = "pulse_table"


_HDF5 = {".h5", ".hdf5"}


_OF_FILE = ("effects", "cell_law", "read_noise")


def twin_override(data: Mapping[str, Any], reference: str) -> str:
    """``backends.sim=…`` that puts a calibration in the place of a procedure's device.

    ``data``: the procedure. A device of the same model keeps what it says besides, such as where
    its cells begin; another one gives way as a whole, and effects, cell law and read noise do where
    the file has its own. Raises :class:`ConfigError` where ``reference`` is a record.
    """
    path = Path(reference)
    if path.suffix not in _HDF5:
        found = read_calibration(reference, Path.cwd())
    elif not path.is_file():
        raise ConfigError(f"calibration {path}: there is no such file")
    elif format_of(path) == DATASET:
        found = {}
    else:
        raise ConfigError(
            f"{reference} is a recording: `hwloop calibrate {reference} -o twin.yaml` makes a"
            " calibration of it"
        )
    # The name of a shipped one may have a dot in it, as 2.8V has.
    named = path.resolve().as_posix() if path.suffix in _HDF5 | _YAML else reference
    before = (data.get("backends") or {}).get("sim") or {}
    sim = {key: value for key, value in before.items() if key not in ("calibration", "device")}
    if found.get("format") is None:  # a table
        found = {**found, "model": _TABLE}
    for key in _OF_FILE:
        if found.get(key) is not None:
            sim.pop(key, None)
    device = before.get("device")
    if found.get("model") is None:  # effects, which serve any device
        sim |= {key: before[key] for key in ("device",) if key in before}
    elif isinstance(device, Mapping) and device.get("model") == found["model"]:
        sim["device"] = {key: value for key, value in device.items() if key != "calibration"}
    return f"backends.sim={json.dumps({'calibration': named, **sim})}"
