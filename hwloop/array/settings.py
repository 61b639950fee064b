"""The array as a procedure describes it."""

from __future__ import annotations

from pydantic import Field, NonNegativeInt, model_validator

from hwloop.array.biasing import Scheme
from hwloop.array.conductance_range import ConductanceRange
from hwloop.array.geometry import Cell, Geometry
from hwloop.array.limits import Limits
from hwloop.settings.model import Settings
from hwloop.settings.units import Count, EitherVolt, PositiveVolt

MAX_CELLS = 2**24
"""Most cells of an array with its tiles: every map of them, 128 MiB of doubles, fits a memory."""


class ReadSettings(Settings):
    """Settings of a read: at ``read_v``, averaged over both polarities or not.

    ``read_v`` may be negative, for cells that are to be read at that polarity: a conductance is the
    current over it. ``gate_v``: on the gates of the 1T1R cells that are read.
    """

    read_v: EitherVolt
    both_polarities: bool = Field(default=True, strict=True)
    gate_v: PositiveVolt | None = None


def outer_shape(population: int | None, tiles: int) -> tuple[int, ...]:
    """Return the axes before (rows, cols): a population's, if any, then tiles', if several."""
    outer = () if population is None else (population,)
    return outer if tiles == 1 else (*outer, tiles)


class ArraySettings(Settings):
    """One array: its name, its size, its limits, how it is biased and read, and its history.

    ``name``: of this very array, such as that of its wafer and die; its life is kept by it.
    ``pulses_before``: pulses that every device has had and no ledger counts. ``tiles``: how many
    equal arrays of this size are the hardware together. ``range``: conductances that the cells are
    used in, for steps that map and program.
    """

    name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", max_length=60)
    rows: Count
    cols: Count
    tiles: Count = 1
    cell: Cell = "1R"
    biasing: Scheme = "V/2"
    limits: Limits
    read: ReadSettings
    pulses_before: NonNegativeInt = 0
    range: ConductanceRange | None = None

    @property
    def geometry(self) -> Geometry:
        """Return rows, columns and the kind of cell."""
        return Geometry.parse({"rows": self.rows, "cols": self.cols, "cell": self.cell})

    @property
    def most_readable_conductance_s(self) -> float:
        """Return the conductance whose current at ``read.read_v`` is ``limits.current_a``."""
        return self.limits.current_a / abs(self.read.read_v)

    def outer_shape(self, population: int | None) -> tuple[int, ...]:
        """Return the axes before (rows, cols): a population's, if any, then tiles', if several."""
        return outer_shape(population, self.tiles)

    @model_validator(mode="after")
    def _consistent(self) -> ArraySettings:
        cells = self.tiles * self.rows * self.cols
        if cells > MAX_CELLS:
            raise ValueError(
                f"{self.tiles} × {self.rows} × {self.cols} are {cells:.4g} cells; at most"
                f" {MAX_CELLS} are emulated or driven"
            )
        if (self.cell == "1T1R") != (self.biasing == "1T1R"):
            raise ValueError(
                f"biasing {self.biasing} does not fit cell {self.cell}: 1T1R goes with 1T1R"
            )
        _check_gate(self)
        if abs(self.read.read_v) > self.limits.read_v:
            raise ValueError(
                f"read.read_v {self.read.read_v:g} exceeds limits.read_v {self.limits.read_v:g}"
            )
        _check_range(self)
        return self


def _check_range(array: ArraySettings) -> None:
    most_conductance_s = array.most_readable_conductance_s
    if array.range is not None and array.range.high_conductance_s > most_conductance_s:
        raise ValueError(
            f"range.high_conductance_s {array.range.high_conductance_s:g} cannot be read: at"
            f" read.read_v {array.read.read_v:g} the compliance, limits.current_a"
            f" {array.limits.current_a:g}, ends at {most_conductance_s:g} S"
        )


def _check_gate(array: ArraySettings) -> None:
    gate_v, bound_v = array.read.gate_v, array.limits.gate_v
    if gate_v is None:
        return
    if array.cell != "1T1R":
        raise ValueError(f"read.gate_v {gate_v:g} given, but a {array.cell} cell has no gate")
    if bound_v is None or gate_v > bound_v:
        raise ValueError(f"read.gate_v {gate_v:g} exceeds limits.gate_v {bound_v or 0:g}")
