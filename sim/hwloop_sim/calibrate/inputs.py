"""Kinds of files that a calibration is given."""

from __future__ import annotations

from pathlib import Path

from hwloop.datasets.files import format_of
from hwloop.datasets.measurement import FORMAT as DATASET
from hwloop.errors import ConfigError
from hwloop.record.header import FORMAT as RECORD
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
