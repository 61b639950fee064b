"""The two sides that an emulated array can be driven from in a multiplication."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwloop.array.biasing import Scheme
from hwloop_sim.cells.composed import NonIdealDevice
from hwloop_sim.cells.device import ConductingCells
from hwloop_sim.circuit import Wires
from hwloop_sim.emulator.lines import ArrayLines
from hwloop_sim.emulator.products import Products
from hwloop_sim.emulator.readout import ConverterSettings, Readout
from hwloop_sim.emulator.transposed import (
    TransposedCells,
    TransposedNoise,
    transposed_converters,
    transposed_wires,
)


@dataclass(frozen=True)
class Side:
    """Cells, lines and converters as seen from the lines that are driven, which count as rows."""

    cells: ConductingCells
    lines: ArrayLines
    readout: Readout
    products: Products


@dataclass(frozen=True)
class FromColumns:
    """Parts of the side of the columns, for an array of ``shape`` (..., rows, cols)."""

    wires: Wires | None
    converters: ConverterSettings
    scheme: Scheme
    shape: tuple[int, ...]
    readout_rng: np.random.Generator

    def side(self, cells: NonIdealDevice, *, fraction: float, rng: np.random.Generator) -> Side:
        """Return the array as it is seen from its columns.

        ``fraction``: noise of each cell's current as a fraction of it, drawn from ``rng``.
        """
        *population, rows, cols = self.shape
        converters = transposed_converters(self.converters)
        wires = transposed_wires(self.wires)
        lines = ArrayLines(wires, converters.tiles, self.scheme, (cols, rows))
        noises = [TransposedNoise(noise) for noise in cells.read_noise]
        return Side(
            TransposedCells(cells),
            lines,
            Readout(converters, (*population, cols, rows), self.readout_rng),
            Products(lines, noises, fraction=fraction, rng=rng),
        )
