"""Types of arrays, by their elements."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BoolArray",
    "FlagArray",
    "FloatArray",
]

LARGEST_INTEGER = 2**63 - 1
"""Largest whole number of a setting or an option: it fits NumPy, HDF5 and every instrument."""

LARGEST_NUMBER = 1e100
"""Largest quantity, in SI units: the product of three is still finite in double precision."""

SMALLEST_NUMBER = 1e-100
"""Smallest quantity other than 0: the product of three, and its inverse, keep all digits."""


FloatArray: TypeAlias = NDArray[np.float64]


BoolArray: TypeAlias = NDArray[np.bool_]


FlagArray: TypeAlias = NDArray[np.uint8]
