"""Rows that a Manhattan training yields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from hwloop.steps.rows import Row, column
from hwloop.types import BoolArray, FloatArray

IntArray = NDArray[np.int64]
SignArray = NDArray[np.int8]
UNDECIDED = -1


@dataclass(frozen=True, eq=False)
class EpochRow(Row):
    """Activations and conductances of the array in one epoch, before its update."""

    epoch: int = column("1", "epoch, counted from 1")
    total_error: FloatArray = column(
        "1", "how far the activations fall short of their targets, summed; (...)"
    )
    activation: FloatArray = column("1", "tanh(beta I), Eq. 1; (..., patterns, neurons)")
    current_a: FloatArray = column("A", "differential current I+ - I-; (..., patterns, neurons)")
    conductance_s: FloatArray = column("S", "conductance of every cell; (..., rows, cols)")
    weight_conductance_s: FloatArray = column("S", "G+ - G-; (..., rows, neurons)")
    update: SignArray = column("1", "sign of the update that follows, Eq. 5; (..., rows, neurons)")
    pulses: IntArray = column("1", "pulses given to the array before this epoch; (...)")
    converged: BoolArray = column("1", "the stop criterion is met; (...)")

    @override
    def headline(self) -> dict[str, str | float | int]:
        figures: dict[str, str | float | int] = {
            "epoch": self.epoch,
            "error": float(f"{np.mean(self.total_error):.3g}"),
            "pulses": round(float(np.mean(self.pulses))),
        }
        if self.converged.size > 1:
            figures["converged"] = f"{int(self.converged.sum())}/{self.converged.size}"
        return figures


@dataclass(frozen=True, eq=False)
class PredictionRow(Row):
    """Prediction of the trained array for one held-out pattern."""

    table: ClassVar[str] = "predictions"

    pattern: SignArray = column("1", "bits of the held-out pattern; (rows,)")
    activation: FloatArray = column("1", "tanh(beta I); (..., neurons)")
    prediction: SignArray = column("1", "1, 0, or -1 for undecided; (..., neurons)")


@dataclass(frozen=True, eq=False)
class SummaryRow(Row):
    """Result of the training of each array."""

    table: ClassVar[str] = "summary"

    converged: BoolArray = column("1", "whether the stop criterion was met; (...)")
    epoch: IntArray = column("1", "epoch of convergence, or the last one; (...)")
    pulses: IntArray = column("1", "pulses given to the array; (...)")
