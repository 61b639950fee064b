"""Bounds of the conductances that a step may aim at: what a read can measure, and the range.

A read at ``array.read.read_v`` measures currents below the compliance, ``limits.current_a``: a cell
of more than ``current_a / read_v`` could be programmed by nobody, since no read would verify it.
"""

from __future__ import annotations

import numpy as np

from hwloop.array.conductance_range import ConductanceRange
from hwloop.array.settings import ArraySettings
from hwloop.errors import ConfigError
from hwloop.messages import first_place
from hwloop.settings.units import format_quantity
from hwloop.types import FloatArray

ROUNDING = 1e-9
"""Relative: an end of a range that was computed is that end within this."""


def refuse_unreadable(
    conductance_s: FloatArray | float | None, array: ArraySettings, *, key: str
) -> None:
    """Raise :class:`ConfigError` naming ``key`` where no read could show a conductance, siemens.

    NaN and None: nothing is aimed at.
    """
    if conductance_s is None:
        return
    found_conductance_s = np.asarray(conductance_s, dtype=np.float64)
    most_conductance_s = array.most_readable_conductance_s
    beyond = found_conductance_s > most_conductance_s * (1 + ROUNDING)
    if beyond.any():
        raise ConfigError(
            f"{_shown(found_conductance_s, beyond)} cannot be read: at read.read_v"
            f" {array.read.read_v:g} the compliance, limits.current_a {array.limits.current_a:g},"
            f" ends at {format_quantity(most_conductance_s, 'S', digits=4)}",
            key=key,
        )


def refuse_outside(
    conductance_s: FloatArray | float | None,
    array: ArraySettings,
    *,
    key: str,
    span: ConductanceRange | None = None,
) -> None:
    """Raise :class:`ConfigError` naming ``key`` where a conductance cannot be aimed at, siemens.

    It must be readable, and within ``array.range``, or ``span`` where the array has none. NaN and
    None: nothing is aimed at.
    """
    if conductance_s is None:
        return
    refuse_unreadable(conductance_s, array, key=key)
    name = "range" if array.range is None else "array.range"
    span = span if array.range is None else array.range
    if span is None:
        return
    found_conductance_s = np.asarray(conductance_s, dtype=np.float64)
    outside = (found_conductance_s < span.low_conductance_s * (1 - ROUNDING)) | (
        found_conductance_s > span.high_conductance_s * (1 + ROUNDING)
    )
    if outside.any():
        low, high = (
            format_quantity(end_conductance_s, "S", digits=4)
            for end_conductance_s in (span.low_conductance_s, span.high_conductance_s)
        )
        raise ConfigError(
            f"{_shown(found_conductance_s, outside)} is outside of {name}, {low} to {high}",
            key=key,
        )


def refuse_span(span: ConductanceRange, array: ArraySettings, *, key: str) -> None:
    """Raise :class:`ConfigError` naming ``key`` where an end of a range cannot be aimed at."""
    for name in ("low_conductance_s", "high_conductance_s"):
        refuse_outside(getattr(span, name), array, key=f"{key}.{name}")


def _shown(conductance_s: FloatArray, which: np.ndarray) -> str:
    """Return the first conductance of ``which``, with its place in a map."""
    place = first_place(which) if which.ndim else ()
    value = format_quantity(float(conductance_s[place]), "S", digits=4)
    return f"entry {tuple(place)}, {value}," if which.ndim else value
