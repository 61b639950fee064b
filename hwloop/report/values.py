"""Format settings and results for a report: with SI units, and short."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwloop.settings.units import format_quantity

_UNITS = {"v": "V", "a": "A", "s": "s", "j": "J", "k": "K", "ohm": "Ω"}
_SIEMENS = frozenset({"conductance_s", "min_s", "max_s", "median_s", "values_s", "shift_s"})
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_LONGEST = 160
LARGEST_CELL = 16
"""Values up to which an array is written out in a cell of a table."""


def flat(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield nested settings as (path of the key, value with its unit), without unset ones."""
    for key, value in data.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        elif value is not None and value != "":
            yield f"{prefix}{key}", setting(key, value)


def setting(key: str, value: object) -> str:
    """Format a value of a procedure: ``setting("width_s", 0.05) == "50 ms"``."""
    if isinstance(value, list | tuple):
        return _sequence(key, value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    unit = unit_of(key)
    if unit and isinstance(value, int | float):
        return quantity(value, unit)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def unit_of(key: str) -> str:
    """Return the unit that a name carries; "" where it carries none."""
    if key in _SIEMENS or key.endswith("_conductance_s"):
        return "S"
    *stem, suffix = key.split("_")
    unit = _UNITS.get(suffix, "") if stem else ""
    return f"1/{unit}" if unit and stem[-1] == "per" else unit


def quantity(value: float, unit: str) -> str:
    """Format a number with its unit; in powers of ten where a prefix on ``1/A`` would mislead."""
    if unit in {"", "1"}:
        return _number(value)
    if unit.startswith("1/"):
        return f"{_number(value)} {unit.removeprefix('1')}"
    return format_quantity(value, unit)


def _number(value: float) -> str:
    """Format a number with four digits and a power of ten as written by hand."""
    mantissa, e, exponent = f"{value:.4g}".partition("e")
    return f"{mantissa} × 10{str(int(exponent)).translate(_RAISED)}" if e else mantissa


def _sequence(key: str, value: list[Any] | tuple[Any, ...]) -> str:
    if value and all(isinstance(row, list | tuple) and set(row) <= {0, 1} for row in value):
        text = " ".join("".join(str(int(bit)) for bit in row) for row in value)
    elif value and all(isinstance(item, int | float) for item in value):
        low, high = setting(key, min(value)), setting(key, max(value))
        return f"{len(value)} values from {low} to {high}"
    else:
        text = str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} … ({len(value)} entries)"


def result(value: NDArray[Any], unit: str) -> str:
    """Format a value that a step yielded; a large array by its median and its extremes."""
    value = np.asarray(value)
    if value.size == 1:
        return _one(value.reshape(-1)[0], unit)
    if value.size <= LARGEST_CELL:
        return "  ".join(_one(item, unit) for item in value.reshape(-1))
    if value.dtype == np.bool_:
        return f"{int(value.sum())} of {value.size}"
    finite = value[np.isfinite(value)]
    if not finite.size:
        return "nothing measured"
    low, middle, high = (quantity(float(q), unit) for q in np.percentile(finite, (0, 50, 100)))
    return f"median {middle} ({low} to {high})"


def without_axes(meaning: str) -> str:
    """Strip the meaning of a column of the axes that only a program needs."""
    return re.sub(r";? *\([^()]*\)$", "", meaning)


def _one(value: Any, unit: str) -> str:
    if isinstance(value, np.bool_):
        return "yes" if value else "no"
    if isinstance(value, np.integer):
        return str(value)
    return str(value) if isinstance(value, bytes | str) else quantity(float(value), unit)
