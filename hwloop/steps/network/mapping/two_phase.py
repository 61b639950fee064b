"""Two-phase mapping: large weights first, then small values on zero cells that compensate them.

Phase one programs every cell, those of zero weights to the floor, and reads back. Phase two gives
cells of zero weights small values that minimise the error of each column for typical inputs.
Source: S. Jin, S. Pei and Y. Wang, Future Gener. Comput. Syst. 106, 270 (2020), as reviewed in "A
review of memristor neural networks". There the second values are found by training; here by least
squares on the inputs, which needs no labels.
"""

from __future__ import annotations

import numpy as np

from hwloop.types import BoolArray, FloatArray


def second_phase(
    weights: FloatArray,
    achieved: FloatArray,
    inputs: FloatArray,
    *,
    largest: float,
    may: BoolArray | None = None,
    damping: float = 1e-3,
) -> FloatArray:
    """Return small weights in place of the zero ones, (rows, outputs), 0 elsewhere.

    ``weights`` and ``achieved``: wanted and programmed, (rows, outputs). ``inputs``: (batch, rows)
    that the layer sees. ``largest``: bound of the magnitude of a new value. ``may``: which weights
    may get one, (rows, outputs); all that are 0 if left out. ``damping``: of the least squares, as
    a fraction of the mean square of the inputs.
    """
    may = weights == 0 if may is None else may
    # A cell that is programmed again loses its present error.
    missing = inputs @ np.where(may, 0.0, weights - achieved)
    found = np.zeros_like(weights)
    for output in range(weights.shape[1]):
        rows = np.flatnonzero(may[:, output])
        if not rows.size:
            continue
        part = inputs[:, rows]
        # In the space of the batch, which is smaller than that of the rows.
        gram = part @ part.T
        gram[np.diag_indices_from(gram)] += damping * (np.trace(gram) / len(gram) or 1.0)
        value = part.T @ np.linalg.solve(gram, missing[:, output])
        # Scaled as a whole, not clipped: clipped values would no longer point against the error.
        found[rows, output] = value * min(1.0, largest / max(np.abs(value).max(), 1e-300))
    return found
