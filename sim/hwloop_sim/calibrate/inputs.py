"""Which kind of file a calibration is given."""

from __future__ import annotations

from pathlib import Path

from hwloop.datasets import pulse_table as dataset
from hwloop.errors import ConfigError
from hwloop.record.writer import FORMAT as RECORD


def check_format(path: Path) -> None:
    """Refuse what is neither a record nor a dataset, whole or damaged."""
    import h5py

    if not h5py.is_hdf5(path):
        raise ConfigError(
            "has nothing measured in it: neither a record nor a dataset; `hwloop import` makes one",
            file=str(path),
        )


def is_record(path: Path) -> bool:
    """Whether a file is a record of a run."""
    return dataset.format_of(path) == RECORD
