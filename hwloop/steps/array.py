"""The array as a step holds it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hwloop.array.geometry import Geometry
from hwloop.array.operations import Reading, ReadMap
from hwloop.backend.base import CrossbarBackend
from hwloop.steps.clock import Clock
from hwloop.types import FloatArray

if TYPE_CHECKING:
    from hwloop.steps.rows import Row
from hwloop.array.settings import ArraySettings


@dataclass(frozen=True)
class Array:
    """What a step gets: the guarded backend, its clock, and the run's random generator.

    ``earlier``: the latest row of each table of the steps before, by ``label`` or ``label/table``.
    ``left``: what a step leaves for later ones of the same run, by a name of its own.
    """

    backend: CrossbarBackend
    settings: ArraySettings
    rng: np.random.Generator
    earlier: dict[str, Row] = field(default_factory=dict)
    left: dict[str, Any] = field(default_factory=dict)

    def remember(self, label: str, row: Row) -> None:
        """Keep the row of a step for those after it."""
        self.earlier["/".join(part for part in (label, row.table) if part)] = row

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
