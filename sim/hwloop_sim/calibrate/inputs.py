"""Kinds of files that a calibration is given."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hwloop.datasets.files import format_of
from hwloop.datasets.measurement import FORMAT as DATASET
from hwloop.datasets.measurement import read_measurement
from hwloop.errors import ConfigError
from hwloop.record.header import FORMAT as RECORD
from hwloop.record.reader import Record
from hwloop.settings.foreign_hdf5 import has_signature


def check_format(path: Path) -> None:
    """Refuse a file that is neither a record nor a dataset, complete or damaged."""
    if not has_signature(path):
        raise ConfigError(
            "has nothing measured in it: neither a record nor a dataset; `hwloop import` makes one",
            file=str(path),
        )


def is_record(path: Path) -> bool:
    """Return whether a file is a record of a run."""
    return format_of(path) == RECORD


def is_dataset(path: Path) -> bool:
    """Return whether a file is a dataset that ``hwloop import`` wrote."""
    return format_of(path) == DATASET


def count_cells(path: Path) -> int:
    """Return the number of cells of a record or dataset; 0 for another file."""
    if is_record(path):
        with Record(path) as record:
            return int(np.prod(record.shape))
    if is_dataset(path):
        columns = read_measurement(path).columns
        return int(np.unique(columns["cell"]).size) if "cell" in columns else 0
    return 0


def largest_conductance_s(path: Path) -> float:
    """Return the largest conductance of a dataset of trains or sweeps, siemens; 0 for others.

    All but the highest percent counts, at voltages above a tenth of the largest.
    """
    if not path.is_file() or not is_dataset(path):
        return 0.0
    columns = read_measurement(path).columns
    if "conductance_s" in columns:
        every = columns["conductance_s"]
    elif {"current_a", "voltage_v"} <= set(columns):
        volts = np.abs(columns["voltage_v"])
        shown = volts > 0.1 * volts.max()
        every = np.abs(columns["current_a"][shown]) / volts[shown]
    else:
        return 0.0
    every = every[np.isfinite(every)]
    return float(np.quantile(every, 0.99)) if every.size else 0.0
