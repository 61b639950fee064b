"""Variables of MATLAB files of version 5, as scipy reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat, whosmat

from hwloop.datasets.tables.arrays import StoredArray, tables_of_arrays
from hwloop.datasets.tables.options import TableOptions
from hwloop.datasets.tables.table import DataTable
from hwloop.errors import ConfigError
from hwloop.settings.foreign_files import MAX_NUMBERS, file_bytes, refuse_claims


def tables_of_matlab(path: Path, options: TableOptions) -> list[DataTable]:
    """Return tables of the vectors and matrices, and of the fields of structures.

    Raises :class:`ConfigError` where it claims more than is read, or holds no numbers.
    """
    del options
    refuse_claims({name: tuple(shape) for name, shape, _ in whosmat(path)})
    if file_bytes(path) > 8 * MAX_NUMBERS:
        raise ConfigError(f"has {file_bytes(path)} bytes; at most {8 * MAX_NUMBERS} are read")
    found: dict[str, Any] = {}
    # mat_dtype: logical values come as such, not as bytes.
    loaded = loadmat(path, squeeze_me=True, struct_as_record=True, mat_dtype=True)
    for name, value in loaded.items():
        if not name.startswith("__"):
            _flatten(found, name, value)
    arrays = {name: StoredArray(np.asarray(value)) for name, value in found.items()}
    return tables_of_arrays(path, arrays, kind="MATLAB file")


def _flatten(found: dict[str, Any], name: str, value: Any) -> None:
    """Put the fields of a structure under their names; one structure is one folder."""
    if getattr(value, "dtype", None) is not None and value.dtype.names and value.size == 1:
        for field in value.dtype.names:
            _flatten(found, f"{name}/{field}", value[field].item())
    else:
        found[name] = value
