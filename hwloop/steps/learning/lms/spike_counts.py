"""Grey levels as series of pulses, and columns that fire when enough charge has come."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hwloop.types import BoolArray, FloatArray


def pulse_series(greys: FloatArray, time_steps: int) -> Iterator[BoolArray]:
    """Yield where there is a pulse in each time step, of the shape of ``greys`` from 0 to 1.

    Of a grey level g there are floor(g · time_steps + 1/2) pulses, as evenly spread as they can be.
    """
    before = np.floor(np.zeros_like(greys) + 0.5)
    for step in range(1, time_steps + 1):
        after = np.floor(greys * step + 0.5)
        yield after > before
        before = after


class FiringColumns:
    """Columns that add up charge; at ``charge`` one fires and loses so much.

    ``pulses``: fired so far, ``left``: charge that is left, both of the shape of the charges.
    """

    def __init__(self, charge: float) -> None:
        self._charge = charge
        self.pulses: NDArray[np.int64] = np.zeros((), dtype=np.int64)
        self.left: FloatArray = np.zeros(())

    def take(self, charge: FloatArray) -> None:
        """Take the charge of one time step, in which a column may fire more than once."""
        held = self.left + charge
        fired = np.maximum(np.floor(held / self._charge), 0.0)
        self.pulses = self.pulses + fired.astype(np.int64)
        self.left = held - fired * self._charge
