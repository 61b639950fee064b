"""Rows of an array that is programmed by least mean squares and read out by spikes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from hwloop.steps.rows import Row, column
from hwloop.types import BoolArray, FloatArray

IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LmsRow(Row):
    """Error of the arrays before an update."""

    update: int = column("1", "updates done")
    error: FloatArray = column("1", "mean of |target - read| over the cells, of the range; (...)")
    converged: BoolArray = column("1", "whether the error has been at most stop_error; (...)")

    @override
    def headline(self) -> dict[str, str | float | int]:
        return {"update": self.update, "error": float(f"{np.mean(self.error):.3g}")}


@dataclass(frozen=True, eq=False)
class ProgrammedRow(Row):
    """Result of the programming of each array."""

    table: ClassVar[str] = "summary"

    converged: BoolArray = column("1", "whether the error came down to stop_error; (...)")
    updates: IntArray = column("1", "updates until then, or all of them; (...)")
    pulses: IntArray = column("1", "pulses given to the array, without the erasing; (...)")
    final_error: FloatArray = column(
        "1", "mean of |target - mean of the final reads| over the cells; (...)"
    )
    weight: FloatArray = column("1", "mean of the final reads, of the range; (..., rows, cols)")


@dataclass(frozen=True, eq=False)
class ReadoutRow(Row):
    """Classes by the number of output pulses."""

    table: ClassVar[str] = "readout"

    samples: int = column("1", "samples")
    correct: IntArray = column("1", "samples whose class fired most; (...)")
    accuracy: FloatArray = column("1", "fraction of them; (...)")
    accuracy_low: FloatArray = column("1", "95 % Wilson interval, lower end; (...)")
    accuracy_high: FloatArray = column("1", "upper end; (...)")
    tied: IntArray = column("1", "samples of which two columns fired most; (...)")
    software_accuracy: float = column("1", "of the largest product of grey levels and targets")
    output_pulses: FloatArray = column("1", "of all columns for a sample, mean; (...)")
