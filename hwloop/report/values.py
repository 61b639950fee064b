"""Format settings and results for a report: with SI units, and short."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwloop.settings.units import format_quantity

_POWERS = str.maketrans({"2": "²"})
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_LONGEST = 160
LARGEST_CELL = 16
"""Values up to which an array is written out in a cell of a table."""


def flat(
    data: Mapping[str, Any], units: Mapping[str, str], prefix: str = ""
) -> Iterator[tuple[str, str]]:
    """Yield nested settings as (path of the key, value with its unit), without unset ones.

    ``units``: the unit of a setting by its path; one that is not in it is shown without a unit.
    """
    for key, value in data.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from flat(value, units, f"{path}.")
        elif value is not None and value != "":
            yield path, setting(value, units.get(path, ""))


def inside(units: Mapping[str, str], path: str) -> dict[str, str]:
    """Return the units below a path, by the rest of their paths."""
    start = f"{path}."
    return {key.removeprefix(start): unit for key, unit in units.items() if key.startswith(start)}


def setting(value: object, unit: str) -> str:
    """Format a value of a procedure: ``setting(0.05, "s") == "50 ms"``."""
    if isinstance(value, list | tuple):
        return _sequence(value, unit)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if unit and isinstance(value, int | float):
        return quantity(value, unit)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def quantity(value: float, unit: str) -> str:
    """Format a number with its unit; in powers of ten where a prefix on ``1/A`` would mislead."""
    shown = unit.replace("ohm", "Ω").translate(_POWERS)
    if unit in {"", "1"}:
        return _number(value)
    if unit.startswith("1/"):
        return f"{_number(value)} {shown.removeprefix('1')}"
    if unit.startswith("m2"):
        return f"{_number(value)} {shown}"
    return format_quantity(value, shown)


def _number(value: float) -> str:
    """Format a number with four digits and a power of ten as written by hand."""
    mantissa, e, exponent = f"{value:.4g}".partition("e")
    return f"{mantissa} × 10{str(int(exponent)).translate(_RAISED)}" if e else mantissa


def _sequence(value: list[Any] | tuple[Any, ...], unit: str) -> str:
    if value and all(isinstance(row, list | tuple) and set(row) <= {0, 1} for row in value):
        text = " ".join("".join(str(int(bit)) for bit in row) for row in value)
    elif value and all(isinstance(item, int | float) for item in value):
        low, high = setting(min(value), unit), setting(max(value), unit)
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
