"""Effects of the cells in a reading of an instrument: noise, and the traces that it leaves."""

from __future__ import annotations

import numpy as np

from hwloop.types import BoolArray, FloatArray
from hwloop_sim.cells.composed import NonIdealDevice


class CellReads:
    """The read noise of cells, and the traces that readings leave in them, as in the emulator.

    ``fraction``: standard deviation of each cell's current as a fraction of it, beside the cells'
    own read noise. ``quiet_v``: magnitude up to which a voltage is a read.
    """

    def __init__(
        self,
        cells: NonIdealDevice,
        *,
        fraction: float,
        quiet_v: float,
        rng: np.random.Generator,
    ) -> None:
        self._cells = cells
        self._fraction = fraction
        self._quiet_v = quiet_v * (1 + 1e-9)
        self._rng = rng

    @property
    def act(self) -> bool:
        """Return whether anything acts in a reading."""
        cells = self._cells
        return bool(self._fraction or cells.read_noise or cells.changed_by_reads)

    def noise_a(self, cell_v: FloatArray, measured: BoolArray) -> float:
        """Return one draw of the noise in a current, amperes.

        ``cell_v``: volts at every cell, (rows, cols). ``measured``: the cells whose current goes
        through the meter; their noise adds in quadrature.
        """
        conductance_s = self._cells.conductance_s
        voltage_v = np.where(measured, cell_v, 0.0)
        noise_a = 0.0
        if self._fraction:
            sigma_a = self._fraction * np.linalg.norm(voltage_v * conductance_s)
            noise_a = float(self._rng.normal(0.0, sigma_a))
        current_a = np.array([noise_a])
        for noise in self._cells.read_noise:
            variance_s2 = noise.conductance_variance_s2(conductance_s)
            variance_a2 = np.sum(variance_s2 * voltage_v**2, keepdims=True).reshape(1)
            noise.add(current_a, variance_a2, unit_a2=1.0, reads=1)
        return float(current_a[0])

    def note(self, cell_v: FloatArray) -> None:
        """Let the effects of a read act on the cells; one above ``quiet_v`` is in a pulse."""
        seen_v = np.where(np.abs(cell_v) <= self._quiet_v, cell_v, 0.0)
        self._cells.note_read(lambda: seen_v[None])
