"""The array that a step works on, with backend, clock and randomness."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from hwloop.array.geometry import Geometry
from hwloop.array.operations import Reading, ReadMap
from hwloop.array.settings import ArraySettings
from hwloop.backend.base import CrossbarBackend
from hwloop.steps.clock import Clock
from hwloop.steps.rows import Row
from hwloop.types import FloatArray

T = TypeVar("T")


@dataclass(frozen=True)
class Array:
    """The array of a step: the guarded backend, its clock, and the run's random generator.

    ``earlier``: the latest row of each table of the steps before, by ``label`` or ``label/table``.
    ``products``: objects that steps leave for later ones of the same run, by their class.
    ``record``: the file of the run's record; None where nothing is recorded, as in a replay or a
    forecast. ``label``: of the step.
    """

    backend: CrossbarBackend
    settings: ArraySettings
    rng: np.random.Generator
    earlier: dict[str, Row] = field(default_factory=dict)
    products: dict[type, object] = field(default_factory=dict)
    record: Path | None = None
    label: str = ""

    def beside_record(self, ending: str) -> Path | None:
        """Return the file for a result of this step beside the record; None without a record."""
        if self.record is None:
            return None
        return self.record.with_name(f"{self.record.stem}-{self.label}{ending}")

    def remember(self, label: str, row: Row) -> None:
        """Keep a row of the step ``label`` for later steps."""
        self.earlier["/".join(part for part in (label, row.table) if part)] = row

    def leave(self, product: object) -> None:
        """Leave an object for later steps, in place of an earlier one of the same class."""
        self.products[type(product)] = product

    def left(self, kind: type[T]) -> T | None:
        """Return the latest object of this class that a step has left; None if there is none."""
        found = self.products.get(kind)
        return found if isinstance(found, kind) else None

    @property
    def geometry(self) -> Geometry:
        """Number of rows and columns, and the kind of cell."""
        return self.settings.geometry

    @property
    def population(self) -> tuple[int, ...]:
        """Lengths of the axes before (rows, cols): () for one array."""
        return self.backend.description.population

    @property
    def clock(self) -> Clock:
        """The array's clock, on which only operations and sleeping take time."""
        return Clock(self.backend)

    def read_all(self) -> Reading:
        """Read the current of every cell, (..., rows, cols), amperes, at the array's ``read_v``."""
        read = self.settings.read
        return self.backend.read(
            ReadMap.every_cell(
                self.geometry.shape, read_v=read.read_v, both_polarities=read.both_polarities
            )
        )

    def conductance_s(self, reading: Reading, read_v: float | None = None) -> FloatArray:
        """Convert a reading to (..., rows, cols), siemens; NaN where unmeasured.

        ``read_v``: of the read, volts; the array's if left out. Corrected for known resistors of
        the bench as far as :attr:`hwloop.array.read_path.ReadPath.correction` says.
        """
        level_v = self.settings.read.read_v if read_v is None else read_v
        path = self.backend.description.read_path
        if path is None:
            return reading.current_a / level_v
        return path.conductance_s(reading.current_a, level_v)

    def read_current_a(self, conductance_s: FloatArray) -> FloatArray:
        """Return the current, amperes, at ``read_v``, of cells of these conductances, siemens."""
        path, read_v = self.backend.description.read_path, self.settings.read.read_v
        if path is None:
            return conductance_s * read_v
        return path.read_current_a(conductance_s, read_v)
