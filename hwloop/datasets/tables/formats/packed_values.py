"""Values of netCDF variables and HDF5 datasets as their attributes say: scaled, with gaps.

Attributes as in the netCDF Users Guide, "Attribute Conventions", and in section 8.1 of the CF
conventions: ``_Unsigned``, ``_FillValue``, ``missing_value``, ``valid_min``, ``valid_max``,
``valid_range``, ``scale_factor``, ``add_offset``. What is no value becomes NaN.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from hwloop.errors import ConfigError
from hwloop.messages import one_line
from hwloop.types import BoolArray, FloatArray

_Attributes = Mapping[str, Any]

_DEFAULT_FILLS = {  # NC_FILL_SHORT and so on of netcdf.h; bytes have none
    "i2": -32767, "i4": -2147483647, "i8": -9223372036854775806, "u2": 65535, "u4": 4294967295,
    "u8": 18446744073709551614, "f4": 9.9692099683868690e36, "f8": 9.9692099683868690e36,
}  # fmt: skip


def unpacked(
    name: str, raw: Any, attributes: _Attributes, *, is_netcdf: bool, unwritten: float | None = None
) -> tuple[FloatArray, str]:
    """Return the numbers that an array of packed ones means, and in words what was done.

    ``is_netcdf``: cells that were never written hold the default of their type. ``unwritten``: what
    an HDF5 dataset says that such cells hold. Raises :class:`ConfigError` with the attribute that
    is no number.
    """
    raw = _signed_as_meant(np.asarray(raw), attributes)
    scale, offset = (
        _one(name, attributes, "scale_factor", 1.0),
        _one(name, attributes, "add_offset", 0.0),
    )
    values = raw.astype(np.float64)
    if scale != 1.0 or offset != 0.0:
        values = values * scale + offset
    fill = _fill_values(name, raw, attributes, is_netcdf=is_netcdf, unwritten=unwritten)
    missing = _is_one_of(raw, fill)
    for one in _numbers(name, attributes, "missing_value"):
        # Of packed data, the attribute may be that of the numbers which they mean.
        missing |= _is_one_of(raw, [one])
        if raw.dtype.kind != "f" and isinstance(one, np.floating):
            missing |= values == one
    invalid = _is_invalid(name, raw, values, attributes) & ~missing & ~np.isnan(values)
    values[missing | invalid] = np.nan
    return values, ", ".join(_said(scale, offset, int(missing.sum()), int(invalid.sum())))


def _said(scale: float, offset: float, missing: int, invalid: int) -> Iterator[str]:
    if scale != 1.0:
        yield f"times {scale:g}"
    if offset != 0.0:
        yield f"plus {offset:g}"
    if missing:
        yield f"{missing} fill {'value' if missing == 1 else 'values'} missing"
    if invalid:
        yield f"{invalid} outside its valid range missing"


def _signed_as_meant(raw: Any, attributes: _Attributes) -> Any:
    """Return integers with or without a sign as ``_Unsigned`` says."""
    (said,) = {str(_text(one)).casefold() for one in np.ravel(attributes.get("_Unsigned", ""))}
    if said in ("true", "1") and raw.dtype.kind == "i":
        return raw.view(raw.dtype.str.replace("i", "u"))
    if said in ("false", "0") and raw.dtype.kind == "u":
        return raw.view(raw.dtype.str.replace("u", "i"))
    return raw


def _fill_values(
    name: str, raw: Any, attributes: _Attributes, *, is_netcdf: bool, unwritten: float | None
) -> list[Any]:
    if "_FillValue" in attributes:
        stored = np.asarray(attributes["_FillValue"])
        if stored.dtype.kind in "iu" and raw.dtype.kind in "iu":  # of the type of the data
            stored = stored.astype(raw.dtype)
        return list(_numbers(name, {"_FillValue": stored}, "_FillValue"))
    found: list[Any] = [] if unwritten is None else [unwritten]
    default = _DEFAULT_FILLS.get(raw.dtype.str[1:])
    return [*found, default] if is_netcdf and default is not None else found


def _is_one_of(raw: Any, values: list[Any]) -> BoolArray:
    found = np.zeros(raw.shape, np.bool_)
    for value in values:
        if raw.dtype.kind == "f":
            found |= raw == raw.dtype.type(value)  # 32 bits of a fill in 64 bits
        elif float(value).is_integer():
            low, high = np.iinfo(raw.dtype).min, np.iinfo(raw.dtype).max
            if low <= int(value) <= high:
                found |= raw == raw.dtype.type(int(value))
    return found


def _is_invalid(name: str, raw: Any, values: FloatArray, attributes: _Attributes) -> BoolArray:
    """Return which values lie outside the valid range.

    The range is one of packed numbers, unless its type is that of the scale (netCDF Users Guide).
    """
    found = np.zeros(raw.shape, np.bool_)
    limits = _numbers(name, attributes, "valid_range")
    if limits and len(limits) != 2:
        raise ConfigError(f"{name}: attribute valid_range has {len(limits)} values: expected two")
    lower = _numbers(name, attributes, "valid_min") or limits[:1]
    upper = _numbers(name, attributes, "valid_max") or limits[1:]
    for bounds, outside in ((lower, np.less), (upper, np.greater)):
        for bound in bounds[:1]:
            scaled = raw.dtype.kind != "f" and isinstance(bound, np.floating)
            found |= outside(values if scaled else raw, bound)
    return found


def _one(name: str, attributes: _Attributes, key: str, default: float) -> float:
    found = _numbers(name, attributes, key)
    if not found:
        return default
    if len(found) > 1 or not np.isfinite(found[0]):
        raise ConfigError(f"{name}: attribute {key} is {attributes[key]}: expected one number")
    return float(found[0])


def _numbers(name: str, attributes: _Attributes, key: str) -> list[Any]:
    """Return the numbers in an attribute, with their type; none where it is missing."""
    if key not in attributes:
        return []
    value = np.asarray(attributes[key]).ravel()
    if value.dtype.kind in "biuf":
        return list(value)
    try:
        return [np.float64(_text(one)) for one in value]
    except (TypeError, ValueError):
        shown = one_line(str(_text(attributes[key])), 40)
        raise ConfigError(f"{name}: attribute {key} is {shown!r}: expected a number") from None


def _text(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
