"""Target conductances, and the window around each that counts as reached.

A target map has the shape (rows, cols) or (..., rows, cols), siemens; NaN: leave this cell alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwloop.array.conductance_bounds import refuse_outside, refuse_unreadable
from hwloop.array.conductance_range import ConductanceRange
from hwloop.array.settings import ArraySettings
from hwloop.errors import ConfigError, StepError
from hwloop.messages import nearest
from hwloop.steps.program.target_settings import (
    Absolute,
    IntArray,
    LevelTarget,
    MapTarget,
    OfRange,
    RandomTarget,
    Relative,
    StepTarget,
    Target,
    Tolerance,
    Windows,
)
from hwloop.steps.rows import Row
from hwloop.types import FloatArray


@dataclass(frozen=True, eq=False)
class TargetsAndWindows:
    """Target and window of every cell, siemens, (..., rows, cols); NaN: leave it alone.

    ``level``: which of the named levels, by its place; -1: none.
    """

    target_conductance_s: FloatArray
    low_conductance_s: FloatArray
    high_conductance_s: FloatArray
    level: IntArray


def targets_and_windows(
    target: Target,
    tolerance: Tolerance,
    span: ConductanceRange | None,
    *,
    shape: tuple[int, ...],
    rng: np.random.Generator,
    earlier: Mapping[str, Row],
) -> TargetsAndWindows:
    """Return target and window of every cell of ``shape`` (..., rows, cols).

    Raises :class:`StepError` where an earlier step has no such map.
    """
    target_conductance_s, level = target_map(target, shape=shape, rng=rng, earlier=earlier)
    low_conductance_s, high_conductance_s = _window(
        target, tolerance, span, target_conductance_s, level
    )
    return TargetsAndWindows(target_conductance_s, low_conductance_s, high_conductance_s, level)


def target_map(
    target: Target,
    *,
    shape: tuple[int, ...],
    rng: np.random.Generator,
    earlier: Mapping[str, Row],
) -> tuple[FloatArray, IntArray]:
    """Return the target of every cell of ``shape``, siemens, NaN: none; and its level, −1: none.

    Raises :class:`StepError` where an earlier step has no such map.
    """
    level = np.full(shape, -1, dtype=np.int64)
    match target:
        case MapTarget():
            given_conductance_s = np.array(target.map_conductance_s, dtype=np.float64)
            return _fitting(given_conductance_s, shape), level
        case RandomTarget():
            low_conductance_s, high_conductance_s = (
                target.low_conductance_s,
                target.high_conductance_s,
            )
            return rng.uniform(low_conductance_s, high_conductance_s, size=shape), level
        case StepTarget():
            return _fitting(_from_step(target, earlier), shape), level
    level = np.array(np.broadcast_to(target.index(shape, rng), shape))
    aims = np.array([*(one.aim_conductance_s for one in target.levels.values()), np.nan])
    return aims[level], level


def refuse_misfit(
    target: Target,
    tolerance: Tolerance | None,
    span: ConductanceRange | None,
    shape: tuple[int, int],
) -> None:
    """Raise :class:`ConfigError` where target, tolerance, range and array do not fit."""
    if isinstance(tolerance, OfRange) and span is None:
        raise ConfigError(
            "a fraction of the range needs range: {low_conductance_s, high_conductance_s}, or"
            " array.range",
            key="tolerance",
        )
    if isinstance(tolerance, Windows) and not isinstance(target, LevelTarget):
        raise ConfigError("windows belong to levels: target.kind must be levels", key="tolerance")
    if isinstance(target, MapTarget):
        given = np.shape(target.map_conductance_s)
        if given[-2:] != shape:
            raise ConfigError(
                f"has shape {given}; the array has {shape}", key="target.map_conductance_s"
            )
    if isinstance(target, LevelTarget) and not isinstance(target.pattern, str):
        given = np.shape(np.array(target.pattern, dtype=object))
        if given != shape:
            raise ConfigError(f"has shape {given}; the array has {shape}", key="target.pattern")


def refuse_unusable(
    target: Target, tolerance: Tolerance | None, span: ConductanceRange | None, array: ArraySettings
) -> None:
    """Raise :class:`ConfigError` for targets and windows that the array cannot have.

    ``span``: range of the step, for an array without one. Targets of an earlier step are known
    only when it has run: see :func:`refuse_unusable_targets`.
    """
    match target:
        case MapTarget():
            targets_conductance_s = np.array(target.map_conductance_s, dtype=np.float64)
            refuse_outside(targets_conductance_s, array, key="target.map_conductance_s", span=span)
        case LevelTarget():
            for name, level in target.levels.items():
                key = f"target.levels.{name}"
                refuse_outside(level.aim_conductance_s, array, key=key, span=span)
        case RandomTarget():
            for end in ("low_conductance_s", "high_conductance_s"):
                refuse_outside(getattr(target, end), array, key=f"target.{end}", span=span)
    if isinstance(tolerance, Absolute):
        refuse_unreadable(tolerance.by_conductance_s, array, key="tolerance.by_conductance_s")


def refuse_unusable_targets(
    target_conductance_s: FloatArray, span: ConductanceRange | None, array: ArraySettings
) -> None:
    """Raise :class:`StepError` for targets (..., rows, cols), siemens, that the array cannot have.

    NaN: the cell is left alone.
    """
    try:
        refuse_outside(target_conductance_s, array, key="target", span=span)
    except ConfigError as exc:
        raise StepError(str(exc)) from None


def planned_mask(target: Target, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the cells that may be programmed by these settings, (rows, cols)."""
    if isinstance(target, MapTarget):
        known = np.isfinite(np.array(target.map_conductance_s, dtype=np.float64))
        mask: NDArray[np.bool_] = np.logical_or.reduce(known.reshape(-1, *shape))
        return mask
    if isinstance(target, LevelTarget) and not isinstance(target.pattern, str):
        return np.array([[bool(name) for name in row] for row in target.pattern])
    return np.ones(shape, dtype=np.bool_)


def _window(
    target: Target,
    tolerance: Tolerance,
    span: ConductanceRange | None,
    target_conductance_s: FloatArray,
    level: IntArray,
) -> tuple[FloatArray, FloatArray]:
    match tolerance:
        case Absolute():
            half_conductance_s: FloatArray | float = tolerance.by_conductance_s
        case Relative():
            half_conductance_s = tolerance.fraction * target_conductance_s
        case OfRange():
            half_conductance_s = (
                tolerance.fraction * (span.high_conductance_s - span.low_conductance_s)
                if span
                else np.nan
            )
            if tolerance.open_below and span:
                at_end = target_conductance_s <= span.low_conductance_s * (1 + 1e-9)
                return np.where(
                    at_end, 0.0, target_conductance_s - half_conductance_s
                ), target_conductance_s + half_conductance_s
        case Windows():
            levels = target.levels.values() if isinstance(target, LevelTarget) else ()
            low = [
                0.0 if one.low_conductance_s is None else one.low_conductance_s for one in levels
            ]
            high = [
                np.inf if one.high_conductance_s is None else one.high_conductance_s
                for one in levels
            ]
            return np.array([*low, np.nan])[level], np.array([*high, np.nan])[level]
    return target_conductance_s - half_conductance_s, target_conductance_s + half_conductance_s


def _from_step(target: StepTarget, earlier: Mapping[str, Row]) -> FloatArray:
    name = "/".join(part for part in (target.label, target.table) if part)
    row = earlier.get(name)
    if row is None:
        raise StepError(
            f"target.label: no earlier step of this run has results {name!r}"
            f"{nearest(name, earlier)}"
        )
    values: dict[str, Any] = row.columns()
    if target.column not in values:
        raise StepError(
            f"target.column: {name} has no column {target.column!r}{nearest(target.column, values)}"
        )
    return np.array(values[target.column], dtype=np.float64)


def _fitting(target_conductance_s: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    if target_conductance_s.shape not in (shape, shape[-2:]):
        raise StepError(
            f"the target map has shape {target_conductance_s.shape}; the array has {shape}"
        )
    return np.array(np.broadcast_to(target_conductance_s, shape))
