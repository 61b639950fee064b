"""The array as a procedure describes it, and as a step holds it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import Field, NonNegativeInt, model_validator

from hwloop.backend import CrossbarBackend
from hwloop.biasing import Scheme
from hwloop.clock import Clock
from hwloop.geometry import Geometry
from hwloop.limits import Limits
from hwloop.operations import FloatArray, Reading, ReadMap
from hwloop.settings import Settings
from hwloop.units import Count, PositiveVolt


class ReadSettings(Settings):
    """How a conductance is read: at ``read_v``, averaged over both polarities or not.

    ``gate_v``: on the gates of the 1T1R cells that are read.
    """

    read_v: PositiveVolt
    both_polarities: bool = Field(default=True, strict=True)
    gate_v: PositiveVolt | None = None


class ArraySettings(Settings):
    """One array: its size, its limits, how it is biased and read, and its history.

    ``pulses_before``: pulses that every device has had before this run.
    """

    rows: Count
    cols: Count
    cell: str = "1R"
    biasing: Scheme = "V/2"
    limits: Limits
    read: ReadSettings
    pulses_before: NonNegativeInt = 0

    @property
    def geometry(self) -> Geometry:
        """Rows, columns and the kind of cell."""
        return Geometry.parse({"rows": self.rows, "cols": self.cols, "cell": self.cell})

    @model_validator(mode="after")
    def _consistent(self) -> ArraySettings:
        if (self.cell == "1T1R") != (self.biasing == "1T1R"):
            raise ValueError(
                f"biasing {self.biasing} does not fit cell {self.cell}: 1T1R goes with 1T1R"
            )
        _check_gate(self)
        if self.read.read_v > self.limits.read_v:
            raise ValueError(
                f"read.read_v {self.read.read_v:g} exceeds limits.read_v {self.limits.read_v:g}"
            )
        return self


def _check_gate(array: ArraySettings) -> None:
    gate_v, bound_v = array.read.gate_v, array.limits.gate_v
    if gate_v is None:
        return
    if array.cell != "1T1R":
        raise ValueError(f"read.gate_v {gate_v:g} given, but a {array.cell} cell has no gate")
    if bound_v is None or gate_v > bound_v:
        raise ValueError(f"read.gate_v {gate_v:g} exceeds limits.gate_v {bound_v or 0:g}")


@dataclass(frozen=True)
class Array:
    """What a step gets: the guarded backend, its clock, and the run's random generator."""

    backend: CrossbarBackend
    settings: ArraySettings
    rng: np.random.Generator

    @property
    def geometry(self) -> Geometry:
        """Rows, columns and the kind of cell."""
        return self.settings.geometry

    @property
    def population(self) -> tuple[int, ...]:
        """The axes before (rows, cols): () for one array."""
        return self.backend.description.population

    @property
    def clock(self) -> Clock:
        """The array's clock: a bench sleeps, an emulator moves on at once."""
        return Clock(self.backend)

    def read_all(self) -> Reading:
        """Currents of every cell, as the array's settings say."""
        read = self.settings.read
        return self.backend.read(
            ReadMap.every_cell(
                self.geometry.shape, read_v=read.read_v, both_polarities=read.both_polarities
            )
        )

    def conductance_s(self, reading: Reading) -> FloatArray:
        """Conductance of a :meth:`read_all`, (..., rows, cols), siemens; NaN where unmeasured."""
        return reading.current_a / self.settings.read.read_v
