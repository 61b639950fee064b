"""Read arrays from NPZ, NPY, HDF5, CSV, a PyTorch state dict, or an ONNX file.

The only reader of such files. By name, every column of numbers of a CSV file with a line of names
is an array, and every initialiser of an ONNX file. PyTorch and ONNX are optional
(``pip install 'hwloop[torch]'``, ``'hwloop[onnx]'``) and imported only when such a file is read. A
state dict is loaded with ``weights_only``: nothing in it is executed. Text, unpacked bytes and the
shapes that a file claims are bounded before memory is taken for them.
"""

from __future__ import annotations

import csv
import io
import math
import re
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from typing_extensions import override

from hwloop.errors import ConfigError
from hwloop.messages import one_line
from hwloop.settings.foreign_files import (
    MAX_DATA_TEXT_BYTES,
    MAX_NUMBERS,
    file_bytes,
    read_bounded,
    refuse_claims,
    refuse_many_fields,
    unpack_gzip,
)
from hwloop.settings.foreign_hdf5 import open_foreign
from hwloop.types import LARGEST_NUMBER, FloatArray

_NPY = b"\x93NUMPY"
_MAX_HEADER_BYTES = 10_000  # as numpy has it: longer ones take long to parse
_MAX_DIRECTORY_BYTES = 16 * 2**20  # of a few hundred thousand members


def read_arrays(path: Path) -> dict[str, FloatArray]:
    """Return every numeric array of a file by name; of a CSV file, every column of numbers.

    Raises :class:`ConfigError` with the file and what is wrong in it.
    """
    return {name: _as_numbers(value, name, path) for name, value in stored_arrays(path).items()}


def stored_arrays(path: Path) -> dict[str, Any]:
    """Return every numeric array of a file in its own type, truth values as such.

    Raises :class:`ConfigError` with the file and what is wrong in it.
    """
    return _read(path, None)


def read_array(path: Path, key: str | None) -> FloatArray:
    """Return the array ``key`` of a file, and read no other; of a CSV or NPY file, the only one.

    Empty fields of a CSV file are NaN. Raises :class:`ConfigError` with the file and what is
    wrong in it.
    """
    kind = path.suffix.lower()
    without_keys = {".csv": "a CSV file", ".npy": "an NPY file"}
    if kind in without_keys and key is not None:
        raise ConfigError(f"{without_keys[kind]} has no keys; leave {key!r} out", file=str(path))
    if kind == ".csv":
        return _as_numbers(_table(path), path.stem, path)
    found = _read(path, key or "")  # without a key, the names alone
    if kind == ".npy" and found:
        key = path.stem
    if key is None or found.get(key) is None:
        raise ConfigError(
            f"give one of its keys: {', '.join(found)}" if found else "holds no numbers",
            file=str(path),
        )
    return _as_numbers(found[key], key, path)


def _as_numbers(value: Any, name: str, path: Path) -> FloatArray:
    """Return an array as doubles; raises :class:`ConfigError` where one is beyond any quantity.

    What is not finite is left to whoever asks for finite numbers.
    """
    numbers = np.asarray(value, np.float64)
    if numbers.size:
        ends = np.fmin.reduce(numbers, axis=None), np.fmax.reduce(numbers, axis=None)
        worst = float(max(ends, key=abs))
        if LARGEST_NUMBER < abs(worst) < math.inf:
            raise ConfigError(
                f"{name} holds {worst:g}; magnitudes of up to {LARGEST_NUMBER:g} are read",
                file=str(path),
            )
    return numbers


def csv_lines(path: Path) -> list[tuple[int, list[str]]]:
    """Return number, counted from 1, and fields of every line of a CSV file that is not blank.

    Raises :class:`ConfigError` where it cannot be read or is not UTF-8 text.
    """
    raw = read_bounded(path, MAX_DATA_TEXT_BYTES)
    try:
        text = raw.decode("utf-8-sig")
        refuse_many_fields(text, path)
        rows = csv.reader(io.StringIO(text, newline=""))
        return [(rows.line_num, row) for row in rows if row]
    except (UnicodeDecodeError, csv.Error) as exc:
        raise ConfigError(f"not a CSV file: {exc}", file=str(path)) from None


def _read(path: Path, only: str | None) -> dict[str, Any]:
    """Return the numeric arrays by name; None in place of all but ``only``, where it is given."""
    name = path.name.removesuffix(".gz")
    found = _READERS.get(Path(name).suffix.lower() or ("idx" if _IDX.search(name) else ""))
    if found is None:
        raise ConfigError(f"expected a file ending in {', '.join(_READERS)}", file=str(path))
    kind, reader = found
    if path.exists():  # else the library says so
        file_bytes(path)  # refuses a pipe, on which every library waits
    try:
        return reader(path, only)
    except ImportError as exc:
        raise ConfigError(
            f"{exc.name} is not installed: pip install 'hwloop[{exc.name}]'", file=str(path)
        ) from None
    except ConfigError:
        raise
    # The libraries raise anything, from OverflowError to their own, depending on the damage.
    except Exception as exc:  # noqa: BLE001
        raise ConfigError(
            f"cannot be read as {kind}: {one_line(str(exc), 300)}", file=str(path)
        ) from None


def _numeric(arrays: Mapping[str, Any], only: str | None = None) -> dict[str, Any]:
    found = {name: arrays[name] for name in arrays if only in (None, name)}
    numbers = {name for name, value in found.items() if np.asarray(value).dtype.kind in "biuf"}
    return {name: found.get(name) for name in arrays if name not in found or name in numbers}


def _npz(path: Path, only: str | None) -> dict[str, Any]:
    """Read the members that hold numbers, each bounded by its header before it is unpacked.

    NumPy takes a member by its name with or without the ending .npy.
    """
    found: dict[str, Any] = {}
    claims: dict[str, tuple[int, ...]] = {}
    with _Directory(path) as raw, zipfile.ZipFile(raw) as archive:
        members = {}
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            if name in members:
                raise ValueError(f"holds two members with the name {name!r}")
            members[name] = member
            if only not in (None, name):
                found[name] = None
                continue
            with archive.open(member) as stream:
                shape = _shape_of_numbers(stream, member.file_size, name)
            if shape is not None:
                claims[name] = shape
        refuse_claims(claims)
        for name in claims:
            with archive.open(members[name]) as stream:
                found[name] = np.lib.format.read_array(stream, allow_pickle=False)
    return {name: found[name] for name in members if name in found}


class _Directory(io.FileIO):
    """File of a ZIP archive, of which no piece is read that is larger than a bound.

    The archive says how long its directory is, which is read in one piece.
    """

    @override
    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _MAX_DIRECTORY_BYTES:
            raise ValueError(f"its directory has {size} bytes; at most {_MAX_DIRECTORY_BYTES}")
        return super().read(-1 if size is None else size)


def _npy(path: Path, _only: str | None) -> dict[str, Any]:
    with path.open("rb") as stream:
        if stream.read(len(_NPY)) != _NPY:
            raise ValueError("it does not begin as an NPY file")
        stream.seek(0)
        shape = _shape_of_numbers(stream, file_bytes(path), path.stem)
        if shape is None:
            return {}
        refuse_claims({path.stem: shape})
        stream.seek(0)
        return {path.stem: np.lib.format.read_array(stream, allow_pickle=False)}


def _shape_of_numbers(stream: IO[bytes], size: int, name: str) -> tuple[int, ...] | None:
    """Return the shape in the header of an NPY file of ``size`` bytes; None if it has no numbers.

    Raises :class:`ValueError` where so many bytes cannot hold it, or it holds pickled objects.
    """
    start = stream.read(len(_NPY) + 2 + 4)
    if not start.startswith(_NPY):
        return None
    version = tuple(start[len(_NPY) : len(_NPY) + 2])
    reads = np.lib.format.read_array_header_2_0
    length = int.from_bytes(start[len(_NPY) + 2 :][: 2 if version == (1, 0) else 4], "little")
    if version == (1, 0):
        reads = np.lib.format.read_array_header_1_0
    elif version == (3, 0):  # for names of fields that are not Latin-1: of records, not numbers
        return None
    elif version != (2, 0):
        raise ValueError(f"{name} says that it is of another version than NPY files have")
    if length > _MAX_HEADER_BYTES:
        raise ValueError(
            f"the header of {name} has {length} bytes; at most {_MAX_HEADER_BYTES} are read"
        )
    header = io.BytesIO(start[len(_NPY) + 2 :] + stream.read(length))
    try:
        shape, _, dtype = reads(header)
    except Exception as exc:  # numpy parses the header as Python, which raises anything
        raise ValueError(f"the header of {name} is not that of an NPY file") from exc
    if dtype.hasobject:
        raise ValueError(f"{name} holds pickled objects, which are not read")
    needed = dtype.itemsize * math.prod(shape)
    if min(shape, default=0) < 0 or needed > size:
        raise ValueError(f"{name} claims the shape {shape}, {needed} bytes, but has {size}")
    return tuple(shape) if dtype.kind in "biuf" else None


def _hdf5(path: Path, only: str | None) -> dict[str, Any]:
    import h5py

    found: dict[str, Any] = {}

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "biuf" and item.shape is not None:
            found[name] = item if only in (None, name) else None

    with open_foreign(path, claims=False) as file:  # the wanted ones are bounded below
        file.visititems(note)
        wanted = {name: item for name, item in found.items() if item is not None}
        refuse_claims({name: item.shape for name, item in wanted.items()})
        for name, item in wanted.items():
            refuse_claims({f"a chunk of {name}": item.chunks or ()})
            found[name] = item[()]
    return found


def _csv(path: Path, _only: str | None) -> dict[str, Any]:
    lines = csv_lines(path)
    if not lines:
        raise ValueError("it is empty")
    (_, header), *rows = lines
    for number, row in rows:
        if len(row) != len(header):
            raise ValueError(f"line {number} has {len(row)} fields for {len(header)} names")
    found: dict[str, Any] = {}
    for name, *column in zip(header, *(row for _, row in rows), strict=True):
        try:
            found[name.strip()] = np.array(column, np.float64)
        except ValueError:
            continue  # a column of text
    return found


def _table(path: Path) -> FloatArray:
    """Return a CSV file, (lines, fields), without a first line of names; NaN in empty fields."""
    rows: list[list[float]] = []
    for index, (line, fields) in enumerate(csv_lines(path)):
        numbers = [_number(field) for field in fields]
        if index == 0 and all(number is None for number in numbers):
            continue
        if None in numbers:
            raise ConfigError(
                f"line {line}: {','.join(fields)!r} is not all numbers", file=str(path)
            )
        rows.append([number for number in numbers if number is not None])
    if not rows:
        raise ConfigError("holds no numbers", file=str(path))
    if len({len(row) for row in rows}) > 1:
        raise ConfigError("its lines differ in length", file=str(path))
    return np.array(rows)


def _number(field: str) -> float | None:
    """Return the number in a field, NaN for an empty field, None for text."""
    try:
        return float(field) if field.strip() else float("nan")
    except ValueError:
        return None


def _torch(path: Path, _only: str | None) -> dict[str, Any]:
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as exc:  # noqa: BLE001 - torch raises whatever its unpickler meets
        raise ValueError(f"not a state dict of tensors: {exc}") from None
    if not isinstance(state, dict):
        raise ValueError(f"holds a {type(state).__name__}, not a state dict")
    other = [key for key, value in state.items() if not isinstance(value, torch.Tensor)]
    if other:
        raise ValueError(f"not a state dict of tensors: {other[0]!r} is none")
    return _numeric({str(key): value.numpy() for key, value in state.items()})


def _onnx(path: Path, _only: str | None) -> dict[str, Any]:
    import onnx
    from google.protobuf.message import DecodeError
    from onnx import numpy_helper

    try:
        model = onnx.load(path, load_external_data=False)
    except DecodeError as exc:
        raise ValueError(str(exc)) from None
    for one in model.graph.initializer:
        if one.data_location == onnx.TensorProto.EXTERNAL:  # it may name any file
            raise ValueError(f"{one.name!r} has its data in another file")
    return _numeric({one.name: numpy_helper.to_array(one) for one in model.graph.initializer})


def _idx(path: Path, _only: str | None) -> dict[str, Any]:
    """Read the format of MNIST: two zero bytes, type, axes, their lengths, then unsigned bytes."""
    raw = read_bounded(path, MAX_NUMBERS)  # of a byte each
    if path.suffix == ".gz":
        raw = unpack_gzip(raw, MAX_NUMBERS, path)
    zero, kind, axes = struct.unpack_from(">HBB", raw)
    if zero or kind != 8:
        raise ValueError("not an idx file of unsigned bytes")
    shape = struct.unpack_from(f">{axes}I", raw, 4)
    return {path.stem: np.frombuffer(raw, np.uint8, offset=4 + 4 * axes).reshape(shape)}


_IDX = re.compile(r"-idx\d-")
"""Names such as train-images-idx3-ubyte."""

_READERS: dict[str, tuple[str, Callable[[Path, str | None], dict[str, Any]]]] = {
    ".npz": ("a NumPy file", _npz),
    ".npy": ("a NumPy file", _npy),
    ".h5": ("an HDF5 file", _hdf5),
    ".hdf5": ("an HDF5 file", _hdf5),
    ".csv": ("a CSV file", _csv),
    ".pt": ("a PyTorch file", _torch),
    ".pth": ("a PyTorch file", _torch),
    ".onnx": ("an ONNX file", _onnx),
    "idx": ("an idx file", _idx),
}
