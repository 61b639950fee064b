"""Checks of the maps over cells that operations carry."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from hwloop.messages import first_place
from hwloop.types import BoolArray, FloatArray


def checked_map(values: ArrayLike, name: str) -> FloatArray:
    """Return a read-only map, (..., rows, cols); ValueError where an entry is not finite."""
    array = np.array(values, dtype=np.float64)
    if array.ndim < 2:
        raise ValueError(f"{name} has {array.ndim} axes; the last two must be there")
    if not np.isfinite(array).all():
        place = first_place(~np.isfinite(array))
        raise ValueError(f"{name} at {place} is {array[place]}: every entry must be finite")
    array.setflags(write=False)
    return array


def gate_map(gate_v: ArrayLike | None, amplitude_v: FloatArray) -> float | FloatArray | None:
    """Return one gate voltage, or a map of the shape of ``amplitude_v``."""
    if gate_v is None:
        return None
    if np.ndim(gate_v) == 0:
        one_v = float(np.asarray(gate_v, dtype=np.float64))
        if not np.isfinite(one_v):
            raise ValueError(f"gate_v {one_v} is not finite")
        return one_v
    given_v = np.asarray(gate_v, dtype=np.float64)
    try:
        whole_v = np.broadcast_to(given_v, amplitude_v.shape)
    except ValueError:
        raise ValueError(
            f"gate_v has shape {given_v.shape}, amplitude_v {amplitude_v.shape}"
        ) from None
    return checked_map(np.where(amplitude_v != 0, whole_v, 0.0), "gate_v")


def most_addressed(addressed: BoolArray) -> int:
    """Return the largest number of addressed cells of one array, of a mask (..., rows, cols)."""
    if addressed.ndim == 2:
        return int(np.count_nonzero(addressed))
    return int(addressed.sum(axis=(-2, -1)).max())


def refuse_not_positive(value: float, name: str) -> None:
    """Raise ValueError unless a value is finite and above 0."""
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"{name} {value} is not a finite number above 0")
