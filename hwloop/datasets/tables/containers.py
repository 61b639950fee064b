"""Tables in files that are not text: workbooks, MATLAB, NumPy, HDF5, netCDF, QCoDeS databases."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

from hwloop.datasets.tables.arrays import StoredArray, tables_of_arrays
from hwloop.datasets.tables.formats.no_tables import kind_without_table
from hwloop.datasets.tables.options import TableOptions
from hwloop.datasets.tables.table import DataTable
from hwloop.errors import ConfigError
from hwloop.messages import one_line
from hwloop.settings.array_files import stored_arrays
from hwloop.settings.foreign_files import first_bytes
from hwloop.settings.foreign_hdf5 import has_signature

_BEGIN = 2048
_OLD_OFFICE = b"\xd0\xcf\x11\xe0"


def tables_of_container(path: Path, options: TableOptions) -> list[DataTable] | None:
    """Return the tables of a file that is no text; None if it is text by its begin.

    Raises :class:`ConfigError` with file and what to do where it is of a kind that holds no table,
    is damaged, or needs a library that is not installed.
    """
    begin = first_bytes(path, _BEGIN)
    what = kind_without_table(begin)
    if what:
        raise ConfigError(f"is {what}", file=str(path))
    reader = _reader(path, begin)
    if reader is None:
        return None
    try:
        return reader(path, options)
    except ConfigError as exc:
        raise exc if exc.file else exc.below(file=str(path)) from None
    # The libraries raise anything, from OverflowError to their own, depending on the damage.
    except Exception as exc:  # noqa: BLE001
        raise ConfigError(
            f"damaged, or not of its kind: {one_line(str(exc), 200) or type(exc).__name__}",
            file=str(path),
        ) from None


_Read = Callable[[Path, TableOptions], list[DataTable]]


def _reader(path: Path, begin: bytes) -> _Read | None:
    """Return what reads a file of this begin, with the libraries that it needs; None for text."""
    if begin.startswith(b"PK\x03\x04"):
        return _of_zip
    if begin.startswith(_OLD_OFFICE):
        from hwloop.datasets.tables.formats.workbook import tables_of_old_workbook

        return tables_of_old_workbook
    if begin.startswith(b"\x93NUMPY"):
        return _of_numpy
    if begin.startswith(b"MATLAB 5.0") and not has_signature(path):
        from hwloop.datasets.tables.formats.matlab_arrays import tables_of_matlab

        return tables_of_matlab
    if begin.startswith((b"CDF\x01", b"CDF\x02", b"CDF\x05")):
        from hwloop.datasets.tables.formats.classic_netcdf import tables_of_netcdf

        return tables_of_netcdf
    if begin.startswith(b"SQLite format 3\0"):
        from hwloop.datasets.tables.formats.qcodes_runs import tables_of_qcodes

        return tables_of_qcodes
    if has_signature(path):
        from hwloop.datasets.tables.formats.hdf5_arrays import tables_of_hdf5

        return tables_of_hdf5
    return None


def _of_zip(path: Path, options: TableOptions) -> list[DataTable]:
    from hwloop.datasets.tables.formats.workbook import MAX_WORKBOOK_BYTES, tables_of_workbook

    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError) as exc:
        raise ConfigError(f"damaged: {exc}", file=str(path)) from None
    names = {member.filename for member in members}
    if "xl/workbook.xml" in names or "xl/workbook.bin" in names:
        size = sum(member.file_size for member in members)
        if size > MAX_WORKBOOK_BYTES:
            raise ConfigError(
                f"unpacks to {size} bytes; at most {MAX_WORKBOOK_BYTES} are read of a workbook:"
                " save the sheet as CSV",
                file=str(path),
            )
        return tables_of_workbook(path, options)
    if names and all(name.endswith(".npy") for name in names):
        return _of_numpy(path, options)
    if "mimetype" in names and "content.xml" in names:
        return tables_of_workbook(path, options)
    raise ConfigError("is an archive (ZIP); unpack it, and name a file in it", file=str(path))


def _of_numpy(path: Path, options: TableOptions) -> list[DataTable]:
    del options
    packed = first_bytes(path, 2) == b"PK"
    wanted = ".npz" if packed else ".npy"
    if path.suffix.lower() != wanted:
        raise ConfigError(f"is a NumPy file: its name must end in {wanted}", file=str(path))
    kind = "NumPy archive" if packed else "NumPy array"
    arrays = {name: StoredArray(value) for name, value in stored_arrays(path).items()}
    return tables_of_arrays(path, arrays, kind=kind)
