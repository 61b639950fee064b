"""The data of a record with names: dimensions, units and meanings for xarray and pandas."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hwloop.errors import RecordError
from hwloop.record.reader import Record

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

CELL_DIMENSIONS = ("array_row", "array_column")
_MAPS = {
    "initial_conductance_s": ("S", "conductance before the first step"),
    "final_conductance_s": ("S", "conductance after the last step"),
    "pulses": ("1", "pulses each device has had in its life"),
}


def tree(record: Record) -> xr.DataTree:
    """Return the maps and the tables of a record; see :meth:`NotebookRecord.to_xarray`."""
    xarray = _module("xarray")
    maps = {}
    for name, (unit, meaning) in _MAPS.items():
        values = record.array(name)
        if values is not None:
            names = dimensions(name, values.shape, record.shape)
            maps[name] = (names, values, {"units": unit, "long_name": meaning})
    parts = {"/": xarray.Dataset(attrs=record.attrs), "/array": xarray.Dataset(maps)}
    for label in record.labels:
        outcome = record.outcome(label)
        about = {} if outcome is None else {"reached": outcome[0], "message": outcome[1]}
        parts[f"/results/{label}"] = xarray.Dataset(attrs=about)
        for table in record.tables(label):
            own = dataset(record, label, table)
            place = f"/results/{label}/{table}" if table else f"/results/{label}"
            parts[place] = own if table else own.assign_attrs(about)
    found: xr.DataTree = xarray.DataTree.from_dict(parts)
    return found


def dataset(record: Record, label: str, table: str) -> xr.Dataset:
    """Return a table of a step, with dimensions that the tables above it do not have."""
    xarray = _module("xarray")
    units, meanings = record.units(label, table), record.meanings(label, table)
    prefix = f"{table}_" if table else ""
    columns = {}
    for name, values in record.results(label, table).items():
        own = (f"{prefix}row", *dimensions(prefix + name, values.shape[1:], record.shape))
        about = {"units": units[name], "long_name": meanings[name]}
        columns[name] = (own, _texts(values), about)
    found: xr.Dataset = xarray.Dataset(columns)
    return found


def dimensions(name: str, shape: tuple[int, ...], array_shape: tuple[int, ...]) -> tuple[str, ...]:
    """Return names for the axes of values: those of the array where they are its cells.

    Others are named after the column, as their lengths say nothing of what they count.
    """
    if len(shape) >= 2 and shape == array_shape[-len(shape) :]:
        outer = [f"array_{index}" for index in range(len(array_shape) - 2)]
        return (*outer, *CELL_DIMENSIONS)[-len(shape) :]
    return tuple(f"{name}_{index}" for index in range(len(shape)))


def frame(record: Record, label: str, table: str) -> pd.DataFrame:
    """Return the rows of a table; see :meth:`NotebookRecord.to_pandas`."""
    pandas = _module("pandas")
    columns: dict[str, Any] = {
        name: list(values) if values.ndim > 1 else _texts(values)
        for name, values in record.results(label, table).items()
    }
    found: pd.DataFrame = pandas.DataFrame(columns)
    found.attrs["units"] = record.units(label, table)
    return found


def _texts(values: NDArray[Any]) -> NDArray[Any]:
    """Return bytes in UTF-8 as texts, and everything else as it is."""
    return np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values


def _module(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise RecordError(
            f"{name} is not installed: pip install 'hwloop[notebook]', or {name} by itself"
        ) from None
