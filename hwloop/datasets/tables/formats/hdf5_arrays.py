"""Arrays of numbers in HDF5 files, with what their attributes say of them.

Conventions of netCDF 4 (netCDF-4 file format specification, docs.unidata.ucar.edu), of MATLAB 7.3
(``MATLAB_class``, ``MATLAB_empty``), and of tables of records, whose fields may have units of
their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hwloop.datasets.tables.arrays import StoredArray, tables_of_arrays, text_of
from hwloop.datasets.tables.formats.packed_values import unpacked
from hwloop.datasets.tables.options import TableOptions
from hwloop.datasets.tables.table import DataTable
from hwloop.errors import ConfigError
from hwloop.settings.foreign_files import first_bytes
from hwloop.settings.foreign_hdf5 import open_foreign

UNIT_KEYS = ("units", "unit", "Units", "Unit", "UNITS")
"""Attributes that hold the unit of an array."""

_MEANINGS = ("long_name", "standard_name")
_MOST_METADATA = 500
_DIMENSION_ALONE = "This is a netCDF dimension but not a netCDF variable"
_NO_NUMBERS = ("logical", "char", "cell", "struct", "function_handle", "string")
_INTERNAL = ("#refs#", "#subsystem#")


def tables_of_hdf5(path: Path, options: TableOptions) -> list[DataTable]:
    """Return tables of the arrays of each folder of an HDF5 file.

    Raises :class:`ConfigError` with the file where it holds none, or is one of hwloop.
    """
    del options
    with open_foreign(path) as file:
        form = str(file.attrs.get("format", ""))
        if form.startswith("hwloop"):
            raise ConfigError(f"is a file of hwloop already ({form}): there is nothing to import")
        is_netcdf = "_NCProperties" in file.attrs
        arrays = _arrays(file, is_netcdf=is_netcdf)
        about = _attributes(file)
    if first_bytes(path, 6) == b"MATLAB":
        kind = "MATLAB 7.3 file"
    else:
        kind = "netCDF 4 file" if is_netcdf else "HDF5 file"
    return tables_of_arrays(path, arrays, kind=kind, metadata=about)


def _arrays(file: Any, *, is_netcdf: bool) -> dict[str, StoredArray]:
    """Return the arrays of numbers by path, each field of an array of records as one."""
    arrays: dict[str, StoredArray] = {}

    def note(name: str, item: Any) -> None:
        if not isinstance(item, h5py.Dataset) or item.shape is None or _is_internal(name, item):
            return
        for place, field in enumerate(item.dtype.names or ()):
            if item.dtype[field].kind in "biuf":
                arrays[f"{name}/{field}"] = StoredArray(item[field], _unit_of_field(item, place))
        if item.dtype.kind in "biuf":
            arrays[name] = _stored(name, item, is_netcdf=is_netcdf)

    file.visititems(note)
    return arrays


def _is_internal(name: str, item: Any) -> bool:
    """Return whether a dataset is of the format itself: a dimension, or parts of a MATLAB cell."""
    return name.startswith(_INTERNAL) or text_of(item.attrs.get("NAME", b"")).startswith(
        _DIMENSION_ALONE
    )


def _stored(name: str, item: Any, *, is_netcdf: bool) -> StoredArray:
    attributes = dict(item.attrs)
    reason = _no_number(item, attributes)
    if reason:
        return StoredArray(np.empty(0), reason=reason)
    values, said = unpacked(
        name, item[()], attributes, is_netcdf=is_netcdf, unwritten=_unwritten(item)
    )
    unit = next((text_of(attributes[key]) for key in UNIT_KEYS if key in attributes), "")
    meaning = next((text_of(attributes[key]) for key in _MEANINGS if key in attributes), "")
    return StoredArray(values, unit, meaning=meaning, said=said)


def _no_number(item: Any, attributes: Mapping[str, Any]) -> str:
    """Return why a dataset of numbers holds none; "" if it does."""
    of_matlab = text_of(attributes.get("MATLAB_class", b""))
    if "MATLAB_empty" in attributes:  # its numbers are the shape of an empty array
        return "empty"
    if (
        item.dtype.kind == "b"
        or of_matlab == "logical"
        or text_of(attributes.get("dtype")) == "bool"
    ):
        return "truth values"
    if of_matlab in _NO_NUMBERS:
        return of_matlab
    if h5py.check_enum_dtype(item.dtype) is not None or "flag_meanings" in attributes:
        return "codes"
    return ""


def _unwritten(item: Any) -> float | None:
    """Return the value that a dataset says its unwritten cells hold; None where it is 0 or none."""
    plan = item.id.get_create_plist()
    if plan.fill_value_defined() != h5py.h5d.FILL_VALUE_USER_DEFINED:
        return None
    value = float(item.fillvalue)
    return value if value != 0 and not np.isnan(value) else None


def _unit_of_field(item: Any, place: int) -> str:
    """Return the unit of a field of records: of its own attribute, or at its place in a list."""
    field, attributes = item.dtype.names[place], item.attrs
    for key in UNIT_KEYS:
        for own in (f"{field}_{key}", f"{field}.{key}", f"{key}_{field}", f"FIELD_{place}_{key}"):
            if own in attributes:
                return text_of(attributes[own])
    stated = next((attributes[key] for key in UNIT_KEYS if key in attributes), None)
    if stated is None:
        return ""
    units = [text_of(one) for one in np.ravel(stated)]
    if len(units) == 1:
        units = [part.strip() for part in units[0].replace(";", ",").strip("[]()").split(",")]
    return units[place].strip("'\" ") if len(units) == len(item.dtype.names) else "?"


def _attributes(file: Any) -> dict[str, str]:
    about = {key: text_of(value) for key, value in file.attrs.items()}

    def note(name: str, item: Any) -> None:
        for key, value in _public(item):
            if len(about) < _MOST_METADATA:
                about[f"{name}/{key}"] = text_of(value)

    file.visititems(note)
    return about


def _public(item: Any) -> Iterator[tuple[str, Any]]:
    """Yield the attributes that are not of the format itself."""
    for key, value in item.attrs.items():
        if not key.isupper():
            yield key, value
