"""Target conductances, and the window around each that counts as reached.

A target map has the shape (rows, cols) or (..., rows, cols), siemens; NaN: leave this cell alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, model_validator

from hwloop.array.conductance_bounds import refuse_outside, refuse_unreadable
from hwloop.array.conductance_range import ConductanceRange
from hwloop.array.settings import ArraySettings
from hwloop.errors import ConfigError, StepError
from hwloop.messages import first_place, nearest
from hwloop.settings.model import Settings
from hwloop.settings.tables import GapTable
from hwloop.settings.units import Number, PositiveSiemens, Siemens, Unit
from hwloop.steps.rows import Row
from hwloop.types import FloatArray

IntArray = NDArray[np.int64]
LevelName = Annotated[str, BeforeValidator(lambda v: str(v) if isinstance(v, int) else v)]


class MapTarget(Settings):
    """Map of target conductances, one for each cell.

    ``map_conductance_s``: written out (null: leave alone), or ``{file: …}`` of CSV, NPY, NPZ or
    HDF5.
    """

    kind: Literal["map"]
    map_conductance_s: Annotated[GapTable, Unit("S")]

    @model_validator(mode="after")
    def _of_cells(self) -> MapTarget:
        target_conductance_s = np.array(self.map_conductance_s, dtype=np.float64)
        below = target_conductance_s < 0
        if below.any():
            place = first_place(below)
            raise ValueError(
                f"entry {place} is {target_conductance_s[place]:g} S: a conductance is not below 0"
            )
        return self


class Level(Settings):
    """Named level: its target, by default the middle of the window, and the window's ends."""

    target_conductance_s: PositiveSiemens | None = None
    low_conductance_s: Annotated[Siemens, Field(ge=0)] | None = None
    high_conductance_s: PositiveSiemens | None = None

    @model_validator(mode="after")
    def _some(self) -> Level:
        if self.target_conductance_s is None and (
            self.low_conductance_s is None or self.high_conductance_s is None
        ):
            raise ValueError(
                "a level needs target_conductance_s, or both low_conductance_s and"
                " high_conductance_s"
            )
        if (
            self.low_conductance_s is not None
            and self.high_conductance_s is not None
            and self.low_conductance_s >= self.high_conductance_s
        ):
            raise ValueError(
                f"low_conductance_s {self.low_conductance_s:g} must be below high_conductance_s"
                f" {self.high_conductance_s:g}"
            )
        if (
            not (self.low_conductance_s or 0.0)
            <= self.aim_conductance_s
            <= (self.high_conductance_s or np.inf)
        ):
            raise ValueError(
                f"target_conductance_s {self.aim_conductance_s:g} is not within its window"
            )
        return self

    @property
    def aim_conductance_s(self) -> float:
        """Target conductance, or the middle of the window, siemens."""
        if self.target_conductance_s is not None:
            return self.target_conductance_s
        return ((self.low_conductance_s or 0.0) + (self.high_conductance_s or 0.0)) / 2


Pattern = Literal["rows", "columns", "cycle", "random"]


class LevelTarget(Settings):
    """Targets from named ``levels``, and the pattern of cells that get them.

    ``pattern``: rows of names ("" or null: leave alone), or: ``rows``, one level a row in turn;
    ``columns``; ``cycle``, cell after cell; ``random``, drawn from the run's seed.
    """

    kind: Literal["levels"]
    levels: Mapping[LevelName, Level] = Field(min_length=1)
    pattern: Pattern | tuple[tuple[LevelName | None, ...], ...] = "cycle"

    @model_validator(mode="after")
    def _known(self) -> LevelTarget:
        if isinstance(self.pattern, str):
            return self
        for name in {name for row in self.pattern for name in row if name}:
            if name not in self.levels:
                raise ValueError(f"pattern: {name!r} is no level{nearest(name, self.levels)}")
        if len({len(row) for row in self.pattern}) > 1:
            raise ValueError("the rows of pattern differ in length")
        return self

    def index(self, shape: tuple[int, ...], rng: np.random.Generator) -> IntArray:
        """Return the index of each cell's level; -1: none."""
        count = len(self.levels)
        rows, cols = shape[-2:]
        if self.pattern == "random":
            return rng.integers(0, count, size=shape)
        if self.pattern == "cycle":
            return np.arange(rows * cols).reshape(rows, cols) % count
        if self.pattern in ("rows", "columns"):
            row, col = np.indices((rows, cols))
            return np.asarray((row if self.pattern == "rows" else col) % count)
        names = list(self.levels)
        return np.array(
            [[names.index(name) if name else -1 for name in row] for row in self.pattern],
            dtype=np.int64,
        )


class RandomTarget(Settings):
    """Random target for each cell between two conductances, drawn from the run's seed."""

    kind: Literal["random"]
    low_conductance_s: PositiveSiemens
    high_conductance_s: PositiveSiemens

    @model_validator(mode="after")
    def _ordered(self) -> RandomTarget:
        if self.low_conductance_s > self.high_conductance_s:
            raise ValueError(
                f"low_conductance_s {self.low_conductance_s:g} is above high_conductance_s"
                f" {self.high_conductance_s:g}"
            )
        return self


class StepTarget(Settings):
    """Targets from an earlier step of the same run: a map in the latest row of a table.

    ``label``: of that step; ``table``: "" for its main one; ``column``: siemens, NaN: leave alone.
    """

    kind: Literal["step"]
    label: str = "map_network"
    table: str = ""
    column: str = "target_conductance_s"


Target = Annotated[MapTarget | LevelTarget | RandomTarget | StepTarget, Field(discriminator="kind")]


class Absolute(Settings):
    """Window of ± ``by_conductance_s`` around the target."""

    kind: Literal["absolute"]
    by_conductance_s: PositiveSiemens


class Relative(Settings):
    """Window of ± ``fraction`` of the target around it."""

    kind: Literal["relative"]
    fraction: Annotated[Number, Field(gt=0, lt=1)]


class OfRange(Settings):
    """Window of ± ``fraction`` of the width of ``range`` around the target.

    ``open_below``: a cell whose target is the low end of the range may also be below it.
    """

    kind: Literal["range"]
    fraction: Annotated[Number, Field(gt=0, lt=1)]
    open_below: bool = Field(default=False, strict=True)


class Windows(Settings):
    """Window that each level states by its two ends; a missing end is open."""

    kind: Literal["windows"]


Tolerance = Annotated[Absolute | Relative | OfRange | Windows, Field(discriminator="kind")]


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
    level = np.full(shape, -1, dtype=np.int64)
    match target:
        case MapTarget():
            target_conductance_s = _fitting(
                np.array(target.map_conductance_s, dtype=np.float64), shape
            )
        case RandomTarget():
            target_conductance_s = rng.uniform(
                target.low_conductance_s, target.high_conductance_s, size=shape
            )
        case StepTarget():
            target_conductance_s = _fitting(_from_step(target, earlier), shape)
        case LevelTarget():
            level = np.array(np.broadcast_to(target.index(shape, rng), shape))
            aims = np.array([*(one.aim_conductance_s for one in target.levels.values()), np.nan])
            target_conductance_s = aims[level]
    low_conductance_s, high_conductance_s = _window(
        target, tolerance, span, target_conductance_s, level
    )
    return TargetsAndWindows(target_conductance_s, low_conductance_s, high_conductance_s, level)


def refuse_misfit(
    target: Target, tolerance: Tolerance, span: ConductanceRange | None, shape: tuple[int, int]
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
    target: Target, tolerance: Tolerance, span: ConductanceRange | None, array: ArraySettings
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
