"""Arrays by name from NPZ, NPY, HDF5, CSV, a PyTorch state dict, or an ONNX file.

Of a CSV file with a line of names, every column of numbers is an array; of an ONNX file, every
initialiser. PyTorch and ONNX are optional (``pip install 'hwloop[torch]'``, ``'hwloop[onnx]'``) and
imported only when such a file is read. A state dict is loaded with ``weights_only``: nothing in it
is executed.
"""

from __future__ import annotations

import csv
import gzip
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hwloop.errors import ConfigError
from hwloop.types import FloatArray


def read_arrays(path: Path) -> dict[str, FloatArray]:
    """Every numeric array of a file by name; :class:`ConfigError` says what is wrong."""
    name = path.name.removesuffix(".gz")
    reader = _READERS.get(Path(name).suffix.lower() or ("idx" if _IDX.search(name) else ""))
    if reader is None:
        raise ConfigError(f"expected a file ending in {', '.join(_READERS)}", file=str(path))
    try:
        arrays = reader(path)
    except ImportError as exc:
        raise ConfigError(
            f"{exc.name} is not installed: pip install 'hwloop[{exc.name}]'", file=str(path)
        ) from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, struct.error) as exc:
        raise ConfigError(f"cannot be read: {exc}", file=str(path)) from None
    return {key: np.asarray(value, np.float64) for key, value in arrays.items()}


def _numeric(arrays: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in arrays.items() if np.asarray(value).dtype.kind in "biuf"}


def _npz(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as archive:
        return _numeric(dict(archive))


def _npy(path: Path) -> dict[str, Any]:
    return {path.stem: np.load(path, allow_pickle=False)}


def _hdf5(path: Path) -> dict[str, Any]:
    import h5py

    found: dict[str, Any] = {}

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "biuf":
            found[name] = item[()]

    with h5py.File(path, "r") as file:
        file.visititems(note)
    return found


def _csv(path: Path) -> dict[str, Any]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        header, *lines = csv.reader(stream)
    for number, line in enumerate(lines, start=2):
        if len(line) != len(header):
            raise ValueError(f"line {number} has {len(line)} fields for {len(header)} names")
    found: dict[str, Any] = {}
    for name, *column in zip(header, *lines, strict=True):
        try:
            found[name.strip()] = np.array(column, np.float64)
        except ValueError:
            continue  # a column of words
    return found


def _torch(path: Path) -> dict[str, Any]:
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as exc:  # noqa: BLE001 - torch raises whatever its unpickler meets
        raise ValueError(f"not a state dict of tensors: {exc}") from None
    if not isinstance(state, dict):
        raise ValueError(f"holds a {type(state).__name__}, not a state dict")
    return _numeric({key: value.numpy() for key, value in state.items()})


def _onnx(path: Path) -> dict[str, Any]:
    import onnx
    from google.protobuf.message import DecodeError
    from onnx import numpy_helper

    try:
        model = onnx.load(path)
    except DecodeError as exc:
        raise ValueError(str(exc)) from None
    return _numeric({one.name: numpy_helper.to_array(one) for one in model.graph.initializer})


def _idx(path: Path) -> dict[str, Any]:
    """The format of MNIST: two zero bytes, type, axes, their lengths, then unsigned bytes."""
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    zero, kind, axes = struct.unpack_from(">HBB", raw)
    if zero or kind != 8:
        raise ValueError("not an idx file of unsigned bytes")
    shape = struct.unpack_from(f">{axes}I", raw, 4)
    return {path.stem: np.frombuffer(raw, np.uint8, offset=4 + 4 * axes).reshape(shape)}


_IDX = re.compile(r"-idx\d-")
"""Names such as train-images-idx3-ubyte."""

_READERS: dict[str, Callable[[Path], dict[str, Any]]] = {
    ".npz": _npz,
    ".npy": _npy,
    ".h5": _hdf5,
    ".hdf5": _hdf5,
    ".csv": _csv,
    ".pt": _torch,
    ".pth": _torch,
    ".onnx": _onnx,
    "idx": _idx,
}
