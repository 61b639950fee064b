"""A backend that answers from imported trains, and stops where it is asked something else.

Each cell is at one value of its trains. A pulse must be the recorded one, and leads to the next
value; a read returns the value. Once the last value of a train has been read, another read without
a pulse returns the first of the next train, as both were measured one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from typing_extensions import override

from hwloop.array.operations import Answer, Flag, Operation, PulseMap, Reading, ReadMap, Wait
from hwloop.backend.base import Description
from hwloop.backend.kind import OpenRequest
from hwloop.backend.wrapper import OneVerbBackend
from hwloop.datasets.measurement import Measurement
from hwloop.errors import ConfigError, ReplayMismatch
from hwloop.messages import cell_name
from hwloop.types import FlagArray, FloatArray

_ALIKE = 1e-9
"""Relative difference of volts and seconds that is rounding, of files written as text."""


@dataclass
class _CellTrains:
    """Values of one cell in order; ``at``: which one it is at; ``is_read``: whether it was read."""

    train: FloatArray
    amplitude_v: FloatArray
    width_s: FloatArray
    conductance_s: FloatArray
    at: int = 0
    is_read: bool = False

    def pulse(self, amplitude_v: float, width_s: float, count: int) -> str:
        """Go to the next value; return what is in the way of it, "" for nothing."""
        after = self.at + 1
        if not self.is_read:
            return "is pulsed again before a read; the import has a value after every pulse"
        if after < self.train.size and self.train[after] != self.train[self.at]:
            return "is pulsed before the first value of its next train has been read"
        if after == self.train.size:
            return f"is pulsed, but its {self.train.size} values end here"
        if count != 1:
            return f"gets {count} pulses at once; the import has a value after every pulse"
        asked, recorded = (amplitude_v, width_s), (self.amplitude_v[after], self.width_s[after])
        if not np.allclose(asked, recorded, rtol=_ALIKE, atol=0):
            return (
                f"gets a pulse of {amplitude_v:g} V, {width_s:g} s; the import has"
                f" {recorded[0]:g} V, {recorded[1]:g} s"
            )
        self.at, self.is_read = after, False
        return ""

    def read(self) -> float:
        """Return the value, siemens, or the first of the next train."""
        after = self.at + 1
        if self.is_read and after < self.train.size and self.train[after] != self.train[self.at]:
            self.at = after
        self.is_read = True
        return float(self.conductance_s[self.at])


class ImportReplay(OneVerbBackend):
    """Backend that stands for the cells whose trains were imported.

    The cells of the import, ordered by their addresses, are those of the array, row by row. The
    clock counts the pulses and waits that were asked for: an import has no times.
    """

    def __init__(
        self, measurement: Measurement, description: Description, *, read_v: float
    ) -> None:
        self._read_v = read_v
        self._now_s = 0.0
        columns = measurement.columns
        self._cells = [
            _CellTrains(
                *(
                    columns[name][columns["cell"] == cell]
                    for name in ("train", "amplitude_v", "width_s", "conductance_s")
                )
            )
            for cell in np.unique(columns["cell"])
        ]
        self._description = description

    @property
    @override
    def description(self) -> Description:
        return self._description

    @property
    def remaining(self) -> int:
        """Return how many values have not been reached yet."""
        return sum(cell.train.size - 1 - cell.at for cell in self._cells)

    @override
    def now_s(self) -> float:
        return self._now_s

    @override
    def perform(self, operation: Operation) -> Answer:
        if isinstance(operation, PulseMap):
            self._now_s += operation.width_s * operation.count
            return self._pulse(operation)
        if isinstance(operation, ReadMap):
            return self._read(operation)
        if isinstance(operation, Wait):
            self._now_s += operation.duration_s
            return None
        name = type(operation).__name__
        raise ReplayMismatch(f"{name}: an import of trains answers single pulses and reads alone")

    def _pulse(self, pulse: PulseMap) -> FlagArray:
        flags = np.full(self._description.shape, Flag.NOT_ADDRESSED, np.uint8)
        for number in np.flatnonzero(pulse.addressed):
            place = np.unravel_index(number, flags.shape)
            amplitude_v = float(pulse.amplitude_v[place])
            wrong = self._cells[number].pulse(amplitude_v, pulse.width_s, pulse.count)
            if wrong:
                raise ReplayMismatch(f"{cell_name(tuple(map(int, place)))} {wrong}")
            flags[place] = 0
        return flags

    def _read(self, read: ReadMap) -> Reading:
        if not np.isclose(read.read_v, self._read_v, rtol=_ALIKE, atol=0):
            raise ReplayMismatch(
                f"a read at {read.read_v:g} V; the import was read at {self._read_v:g} V"
            )
        shape = self._description.shape
        current_a = np.full(shape, np.nan)
        flags = np.full(shape, Flag.NOT_ADDRESSED, np.uint8)
        for number in np.flatnonzero(read.addressed):
            place = np.unravel_index(number, shape)
            current_a[place] = self._cells[number].read() * read.read_v
            flags[place] = 0
        return Reading(current_a, flags)

    @override
    def make_safe(self) -> None:
        pass

    @override
    def close(self) -> None:
        pass


def open_import(
    measurement: Measurement, request: OpenRequest, *, name: str, where: str
) -> ImportReplay:
    """Open imported trains as a backend of that ``name`` for an array of as many cells.

    Raises :class:`ConfigError` with ``where``, the file, for another kind or number of cells, and
    where the voltage of the reads is not known.
    """
    geometry = request.array.geometry
    if measurement.kind != "trains":
        raise ConfigError(
            f"holds {measurement.kind.replace('_', ' ')}: of an import, trains alone can be"
            " replayed, as every run begins with a read; `hwloop compare` takes any kind",
            file=where,
        )
    if measurement.conditions.read_v is None:
        raise ConfigError(
            "does not say at which voltage its conductances were read: import it again with"
            " --set read_v=…",
            file=where,
        )
    cells = np.unique(measurement.columns["cell"]).size
    if request.population is not None or cells != geometry.rows * geometry.cols:
        arrays = "" if request.population is None else f" and {request.population} arrays"
        raise ConfigError(
            f"has trains of {cells} cells; the procedure asks for {geometry.rows} ×"
            f" {geometry.cols} cells{arrays}",
            file=where,
        )
    identity = {"imported": measurement.title, "source": measurement.source}
    description = Description(name=name, geometry=geometry, identity=identity)
    return ImportReplay(measurement, description, read_v=measurement.conditions.read_v)
