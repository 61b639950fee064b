"""Arrays in a procedure: written out, or in a CSV, NPY, NPZ or HDF5 file that it names.

Three forms are accepted wherever a procedure wants an array::

    patterns: ["0001", "0010"]                    # bits as quoted strings
    patterns: [[0, 0, 0, 1], [0, 0, 1, 0]]
    patterns: {file: patterns.csv}                # or .npy
    patterns: {file: letters.npz, key: patterns}  # one array of an archive, or of an HDF5 file

A file name is relative to the folder of the procedure. The array is read when the procedure is,
so that a record holds the numbers and not the name of a file that may change.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, ValidationInfo

from hwloop.errors import ConfigError
from hwloop.messages import first_place
from hwloop.settings.array_files import read_array
from hwloop.settings.model import folder_of


def array_of(value: object, folder: Path, *, gaps: bool = False) -> NDArray[np.float64]:
    """Return the array given in one of the forms; raises :class:`ValueError` with the mistake.

    ``gaps``: entries may be missing, null in a procedure and NaN in a file; they are NaN.
    """
    if isinstance(value, dict):
        return _from_file(value, folder, gaps=gaps)
    if isinstance(value, list | tuple) and value and all(isinstance(row, str) for row in value):
        value = [_bits(row, index) for index, row in enumerate(value)]
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(
            "expected rows of numbers of equal length, quoted bit strings, or {file: …, key: …}"
        ) from None
    return _finite(array, gaps=gaps)


def _bits(text: str, index: int) -> list[int]:
    if not text or set(text) - {"0", "1"}:
        raise ValueError(f"entry {index} is {text!r}: a bit string has only 0 and 1")
    return [int(bit) for bit in text]


def _from_file(reference: dict[Any, Any], folder: Path, *, gaps: bool) -> NDArray[np.float64]:
    unknown = set(reference) - {"file", "key"}
    if unknown or not isinstance(reference.get("file"), str):
        raise ValueError("expected {file: NAME} or {file: NAME, key: NAME}")
    path = folder / reference["file"]
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    try:
        array = read_array(path, reference.get("key"))
    except ConfigError as exc:
        raise ValueError(str(exc)) from None
    return _finite(array, f"{path}: ", gaps=gaps)


def _finite(array: NDArray[np.float64], where: str = "", *, gaps: bool) -> NDArray[np.float64]:
    wrong = np.isinf(array) if gaps else ~np.isfinite(array)
    if wrong.any():
        place = first_place(wrong)
        raise ValueError(f"{where}entry {place} is {array[place]}: every entry must be finite")
    return array


def _nested(array: NDArray[Any]) -> Any:
    return tuple(_nested(part) for part in array) if array.ndim else array.item()


def _bit_table(value: object, info: ValidationInfo) -> object:
    array = array_of(value, folder_of(info))
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"expected rows of bits; got an array of shape {array.shape}")
    if not np.isin(array, (0, 1)).all():
        place = first_place(~np.isin(array, (0, 1)))
        raise ValueError(f"entry {place} is {array[place]:g}: a bit is 0 or 1")
    return _nested(array.astype(int))


def _number_table(value: object, info: ValidationInfo) -> object:
    return _nested(array_of(value, folder_of(info)))


def _gap_table(value: object, info: ValidationInfo) -> object:
    array = array_of(value, folder_of(info), gaps=True)
    # None, not NaN: a record keeps it as JSON, which has no NaN, and reads it back.
    return _gaps(array) if array.ndim else array.item()


def _gaps(array: NDArray[np.float64]) -> Any:
    if array.ndim > 1:
        return tuple(_gaps(part) for part in array)
    return tuple(None if np.isnan(value) else float(value) for value in array)


BitTable = Annotated[tuple[tuple[int, ...], ...], BeforeValidator(_bit_table)]
"""Rows of bits."""
NumberTable = Annotated[Any, BeforeValidator(_number_table)]
"""Numbers in an array of any shape, as nested tuples."""
GapTable = Annotated[Any, BeforeValidator(_gap_table)]
"""Numbers, some of which may be missing, as nested tuples in which these are None."""
