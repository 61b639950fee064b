"""Variables of netCDF files of the classic format, as scipy reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import netcdf_file

from hwloop.datasets.tables.arrays import StoredArray, tables_of_arrays, text_of
from hwloop.datasets.tables.formats.packed_values import unpacked
from hwloop.datasets.tables.options import TableOptions
from hwloop.datasets.tables.table import DataTable
from hwloop.errors import ConfigError
from hwloop.settings.foreign_files import first_bytes, refuse_claims


def tables_of_netcdf(path: Path, options: TableOptions) -> list[DataTable]:
    """Return tables of the variables of one length.

    Raises :class:`ConfigError` with the file where it is of 64-bit data, or holds none.
    """
    del options
    if first_bytes(path, 4) == b"CDF\x05":
        raise ConfigError("is netCDF of 64-bit data; save it as netCDF4", file=str(path))
    with netcdf_file(path, "r", mmap=False, maskandscale=False) as file:
        refuse_claims({name: tuple(one.shape) for name, one in file.variables.items()})
        arrays = {name: _stored(name, one) for name, one in file.variables.items()}
        about = {
            key: text_of(value)
            for key, value in vars(file).items()
            if isinstance(value, bytes | str | int | float) and not key.startswith("_")
        }
    return tables_of_arrays(path, arrays, kind="netCDF 3 file", metadata=about)


def _stored(name: str, variable: Any) -> StoredArray:
    attributes = variable._attributes  # noqa: SLF001 - no other way to those named like a method
    raw = np.array(variable[:], copy=True)
    raw = raw.astype(raw.dtype.newbyteorder("="))
    if raw.dtype.kind not in "iuf":
        return StoredArray(raw)
    is_truth = text_of(attributes.get("dtype")) == "bool"  # as xarray writes it
    if is_truth or "flag_meanings" in attributes:
        return StoredArray(np.empty(0), reason="truth values" if is_truth else "codes")
    values, said = unpacked(name, raw, attributes, is_netcdf=True)
    meaning = attributes.get("long_name", attributes.get("standard_name", b""))
    unit = text_of(attributes.get("units", b""))
    return StoredArray(values, unit, meaning=text_of(meaning), said=said)
