"""Settings of target conductances, and of the window around each that counts as reached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, model_validator

from hwloop.messages import first_place, nearest
from hwloop.settings.model import Settings
from hwloop.settings.tables import GapTable
from hwloop.settings.units import Number, PositiveSiemens, Siemens, Unit

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
