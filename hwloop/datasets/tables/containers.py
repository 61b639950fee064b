"""Tables in files that are not text: workbooks, MATLAB, NumPy, HDF5, netCDF, QCoDeS databases."""

from __future__ import annotations

import sqlite3
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from hwloop.datasets.tables.arrays import tables_of_arrays, text_of
from hwloop.datasets.tables.options import TableOptions
from hwloop.datasets.tables.table import DataTable
from hwloop.datasets.tables.text_tables import tables_of_lines
from hwloop.errors import ConfigError
from hwloop.messages import nearest, one_line
from hwloop.settings.array_files import read_arrays
from hwloop.settings.foreign_files import MAX_NUMBERS, file_bytes, first_bytes, refuse_claims
from hwloop.settings.foreign_hdf5 import has_signature, open_foreign

_BEGIN = 512
_OLD_OFFICE = b"\xd0\xcf\x11\xe0"
_MAX_WORKBOOK_BYTES = 2**28
_UNIT_KEYS = ("units", "unit", "Units", "Unit", "UNITS")
_MOST_METADATA = 500

_OTHERS: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG", "a picture (PNG); export the numbers that it shows"),
    (b"\xff\xd8\xff", "a picture (JPEG); export the numbers that it shows"),
    (b"GIF8", "a picture (GIF); export the numbers that it shows"),
    (b"II*\0", "a picture (TIFF); export the numbers that it shows"),
    (b"MM\0*", "a picture (TIFF); export the numbers that it shows"),
    (b"%PDF", "a PDF document; export its table as CSV"),
    (b"%!PS", "a PostScript document; export its table as CSV"),
    (b"7z\xbc\xaf", "an archive (7z); unpack it"),
    (b"Rar!", "an archive (RAR); unpack it"),
    (b"BZh", "packed with bzip2; unpack it"),
    (b"\xfd7zXZ", "packed with xz; unpack it"),
    (b"\x28\xb5\x2f\xfd", "packed with zstd; unpack it"),
    (b"PAR1", "a Parquet file; save it as CSV"),
    (b"ARROW1", "an Arrow file; save it as CSV"),
    (b"TDSm", "a LabVIEW TDMS file; save it as text (.lvm) or CSV"),
    (b"\x80\x04\x95", "a Python pickle, which can hold a program and is not read; save it as CSV"),
    (b"\x80\x05\x95", "a Python pickle, which can hold a program and is not read; save it as CSV"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
)


def tables_of_container(path: Path, options: TableOptions) -> list[DataTable] | None:
    """Return the tables of a file that is no text; None if it is text by its begin.

    Raises :class:`ConfigError` with file and what to do where it is of a kind that holds no table,
    is damaged, or needs a library that is not installed.
    """
    begin = first_bytes(path, _BEGIN)
    for mark, what in _OTHERS:
        if begin.startswith(mark):
            raise ConfigError(f"is {what}", file=str(path))
    if begin[257:262] == b"ustar":
        raise ConfigError("is an archive (tar); unpack it", file=str(path))
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
    if begin.startswith(b"PK\x03\x04"):
        return _of_zip
    if begin.startswith(_OLD_OFFICE):
        return _of_old_workbook
    if begin.startswith(b"\x93NUMPY"):
        return _of_numpy
    if begin.startswith(b"MATLAB 5.0") and not has_signature(path):
        return _of_matlab
    if begin.startswith((b"CDF\x01", b"CDF\x02", b"CDF\x05")):
        return _of_netcdf
    if begin.startswith(b"SQLite format 3\0"):
        return _of_qcodes
    return _of_hdf5 if has_signature(path) else None


def _of_zip(path: Path, options: TableOptions) -> list[DataTable]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError) as exc:
        raise ConfigError(f"damaged: {exc}", file=str(path)) from None
    names = {member.filename for member in members}
    if "xl/workbook.xml" in names or "xl/workbook.bin" in names:
        size = sum(member.file_size for member in members)
        if size > _MAX_WORKBOOK_BYTES:
            raise ConfigError(
                f"unpacks to {size} bytes; at most {_MAX_WORKBOOK_BYTES} are read of a workbook:"
                " save the sheet as CSV",
                file=str(path),
            )
        return _of_workbook(path, options)
    if names and all(name.endswith(".npy") for name in names):
        return _of_numpy(path, options)
    if "mimetype" in names and "content.xml" in names:
        return _of_workbook(path, options)
    raise ConfigError("is an archive (ZIP); unpack it, and name a file in it", file=str(path))


def _of_old_workbook(path: Path, options: TableOptions) -> list[DataTable]:
    """Return the tables of a workbook of Excel 97, as a Keithley 4200 writes it; not unpacked."""
    if file_bytes(path) > _MAX_WORKBOOK_BYTES:
        raise ConfigError(f"has {file_bytes(path)} bytes; at most {_MAX_WORKBOOK_BYTES} are read")
    try:
        return _of_workbook(path, options)
    except ConfigError:
        raise
    except Exception as exc:  # noqa: BLE001 - the library's own, and more
        raise ConfigError(
            "is no Excel workbook (.xls) that can be read, but a damaged or locked one, or a"
            f" document: save it as .xlsx or CSV ({one_line(str(exc), 100)})"
        ) from None


def _of_workbook(path: Path, options: TableOptions) -> list[DataTable]:
    try:
        from python_calamine import CalamineWorkbook
    except ImportError:
        raise ConfigError(
            "a workbook needs the library python-calamine: pip install 'hwloop[excel]', or save"
            " the sheet as CSV",
            file=str(path),
        ) from None
    found: list[DataTable] = []
    with CalamineWorkbook.from_path(str(path)) as book:
        for name in _chosen_sheets(list(book.sheet_names), options.sheet, path):
            rows = book.get_sheet_by_name(name).to_python(skip_empty_area=False)
            lines = ["\t".join(map(_cell_text, row)).rstrip("\t") for row in rows]
            found += _of_sheet(path, name, lines, options)
    if not found:
        raise ConfigError("holds no row of numbers in any sheet", file=str(path))
    return found


def _of_sheet(
    path: Path, name: str, lines: list[str], options: TableOptions
) -> Iterator[DataTable]:
    from dataclasses import replace

    as_written = replace(options, separator="\t", decimal=".", thousands="")
    try:
        tables = tables_of_lines(path, lines, as_written, f"sheet {name!r} of a workbook")
    except ConfigError:
        if options.sheet:
            raise
        return  # a sheet of charts or remarks
    for table in tables:
        yield replace(table, name=name if len(tables) == 1 else f"{name}: {table.name}")


def _chosen_sheets(names: list[str], wanted: str, path: Path) -> list[str]:
    if not wanted:
        return names
    if wanted in names:
        return [wanted]
    if wanted.isdecimal() and 1 <= int(wanted) <= len(names):
        return [names[int(wanted) - 1]]
    raise ConfigError(
        f"there is no sheet {wanted!r}{nearest(wanted, names)}",
        key="--sheet",
        file=str(path),
    )


def _cell_text(value: object) -> str:
    """Return a cell as text: a number with all its digits, another without tabs and line ends."""
    if isinstance(value, float | int) and not isinstance(value, bool):
        return repr(value)
    return " ".join(str(value).split())


def _of_numpy(path: Path, options: TableOptions) -> list[DataTable]:
    del options
    packed = first_bytes(path, 2) == b"PK"
    wanted = ".npz" if packed else ".npy"
    if path.suffix.lower() != wanted:
        raise ConfigError(f"is a NumPy file: its name must end in {wanted}", file=str(path))
    kind = "NumPy archive" if packed else "NumPy array"
    return tables_of_arrays(path, read_arrays(path), kind=kind)


def _of_matlab(path: Path, options: TableOptions) -> list[DataTable]:
    from scipy.io import loadmat, whosmat

    del options
    refuse_claims({name: tuple(shape) for name, shape, _ in whosmat(path)})
    if file_bytes(path) > 8 * MAX_NUMBERS:
        raise ConfigError(f"has {file_bytes(path)} bytes; at most {8 * MAX_NUMBERS} are read")
    found: dict[str, Any] = {}
    loaded = loadmat(path, squeeze_me=True, struct_as_record=True)
    for name, value in loaded.items():
        if not name.startswith("__"):
            _flatten(found, name, value)
    return tables_of_arrays(path, found, kind="MATLAB file")


def _flatten(found: dict[str, Any], name: str, value: Any) -> None:
    """Put the fields of a structure under their names; one structure is one folder."""
    if getattr(value, "dtype", None) is not None and value.dtype.names and value.size == 1:
        for field in value.dtype.names:
            _flatten(found, f"{name}/{field}", value[field].item())
    else:
        found[name] = value


def _of_netcdf(path: Path, options: TableOptions) -> list[DataTable]:
    import numpy as np
    from scipy.io import netcdf_file

    del options
    if first_bytes(path, 4) == b"CDF\x05":
        raise ConfigError("is netCDF of 64-bit data; save it as netCDF4", file=str(path))
    arrays, units, about = {}, {}, {}
    with netcdf_file(path, "r", mmap=False, maskandscale=False) as file:
        refuse_claims({name: tuple(one.shape) for name, one in file.variables.items()})
        for name, variable in file.variables.items():
            arrays[name] = np.array(variable[:], copy=True)
            units[name] = text_of(getattr(variable, "units", b""))
        about = {
            key: text_of(value)
            for key, value in vars(file).items()
            if isinstance(value, bytes | str | int | float) and not key.startswith("_")
        }
    return tables_of_arrays(
        path, {k: _native(v) for k, v in arrays.items()}, kind="netCDF 3 file", units=units,
        metadata=about,
    )  # fmt: skip


def _native(array: Any) -> Any:
    return array.astype(array.dtype.newbyteorder("="))


def _of_hdf5(path: Path, options: TableOptions) -> list[DataTable]:
    del options
    with open_foreign(path) as file:
        form = str(file.attrs.get("format", ""))
        if form.startswith("hwloop"):
            raise ConfigError(f"is a file of hwloop already ({form}): there is nothing to import")
        arrays, units = _datasets(file)
        about = _attributes(file)
    if first_bytes(path, 6) == b"MATLAB":
        kind = "MATLAB 7.3 file"
    else:
        kind = "netCDF 4 file" if "_NCProperties" in about else "HDF5 file"
    return tables_of_arrays(path, arrays, kind=kind, units=units, metadata=about)


def _datasets(file: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the arrays of numbers by path, each field of a compound one as one, and units."""
    import h5py

    arrays: dict[str, Any] = {}
    units: dict[str, str] = {}

    def note(name: str, item: Any) -> None:
        if not isinstance(item, h5py.Dataset) or item.shape is None:
            return
        for field in item.dtype.names or ():
            if item.dtype[field].kind in "biuf":
                arrays[f"{name}/{field}"] = item[field]
        if item.dtype.kind in "biuf":
            arrays[name] = item[()]
            unit = next((item.attrs[key] for key in _UNIT_KEYS if key in item.attrs), "")
            units[name.rpartition("/")[2]] = text_of(unit)

    file.visititems(note)
    return arrays, units


def _attributes(file: Any) -> dict[str, str]:
    about = {key: text_of(value) for key, value in file.attrs.items()}

    def note(name: str, item: Any) -> None:
        for key, value in item.attrs.items():
            if len(about) < _MOST_METADATA and not key.isupper():  # those are of the format
                about[f"{name}/{key}"] = text_of(value)

    file.visititems(note)
    return about


def _of_qcodes(path: Path, options: TableOptions) -> list[DataTable]:
    """Return a table for each run of a QCoDeS database, by its names and units in ``layouts``."""
    address = f"file:{path.absolute().as_posix().replace('?', '%3f')}?mode=ro&immutable=1"
    with closing(sqlite3.connect(address, uri=True)) as base:
        known = {name for (name,) in base.execute("SELECT name FROM sqlite_master")}
        if not {"runs", "layouts", "experiments"} <= known:
            raise ConfigError("is an SQLite database, but not of QCoDeS; export its table as CSV")
        runs = base.execute("SELECT run_id, name, result_table_name FROM runs").fetchall()
        found: list[DataTable] = []
        for number, name, table in runs:
            if table in known:
                found += _of_run(path, base, number, str(name), str(table))
    del options
    if not found:
        raise ConfigError("holds no run with numbers", file=str(path))
    return found


def _of_run(
    path: Path, base: sqlite3.Connection, number: int, name: str, table: str
) -> list[DataTable]:
    from dataclasses import replace

    import numpy as np

    layout: Mapping[str, tuple[str, str]] = {
        parameter: (str(label or ""), str(unit or ""))
        for parameter, label, unit in base.execute(
            "SELECT parameter, label, unit FROM layouts WHERE run_id = ?", (number,)
        )
    }
    quoted = '"' + table.replace('"', '""') + '"'
    cursor = base.execute(f"SELECT * FROM {quoted}")  # noqa: S608 - a name from the file, quoted
    names = [column[0] for column in cursor.description]
    rows = cursor.fetchmany(MAX_NUMBERS // max(len(names), 1))
    arrays: dict[str, Any] = {}
    for place, column in enumerate(names):
        cells = [row[place] for row in rows]
        if column in layout and all(isinstance(cell, int | float | None) for cell in cells):
            arrays[column] = np.array(cells, np.float64)
    if not arrays or not rows:
        return []  # arrays in binary form, or nothing measured
    units = {parameter: unit for parameter, (_, unit) in layout.items()}
    about = {parameter: label for parameter, (label, _) in layout.items()}
    tables = tables_of_arrays(
        path, arrays, kind=f"QCoDeS database, run {number}", units=units, metadata=about
    )
    return [replace(one, name=f"run {number} {name}".strip()) for one in tables]
