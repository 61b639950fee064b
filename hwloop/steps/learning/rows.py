"""Rows that a training in the array yields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from typing_extensions import override

from hwloop.steps.learning.pulses import IntArray
from hwloop.steps.rows import Row, column
from hwloop.types import BoolArray, FloatArray


@dataclass(frozen=True, eq=False)
class LearningRow(Row):
    """Judgement of the arrays after so many epochs of updates."""

    epoch: int = column("1", "epochs of updates done")
    loss: FloatArray = column("1", "mean loss of a sample; (...)")
    accuracy: FloatArray = column("1", "fraction of the judged samples in their class; (...)")
    furthest: FloatArray = column("1", "largest |answer - target| of any sample; (...)")
    pulses: IntArray = column("1", "pulses given to the array; (...)")
    cut: IntArray = column("1", "updates of a weight that most_pulses has cut so far; (...)")
    converged: BoolArray = column("1", "the stop criterion has been met; (...)")

    @override
    def headline(self) -> dict[str, str | float | int]:
        figures: dict[str, str | float | int] = {
            "epoch": self.epoch,
            "loss": float(f"{np.mean(self.loss):.3g}"),
            "accuracy": float(f"{np.mean(self.accuracy):.4g}"),
        }
        if self.converged.size > 1:
            figures["converged"] = f"{int(self.converged.sum())}/{self.converged.size}"
        return figures


@dataclass(frozen=True, eq=False)
class LearntRow(Row):
    """Result of the training of each array."""

    table: ClassVar[str] = "summary"

    converged: BoolArray = column("1", "whether the stop criterion was met; (...)")
    epoch: IntArray = column("1", "epochs of updates until then, or all of them; (...)")
    loss: FloatArray = column("1", "mean loss of a sample at the end; (...)")
    accuracy: FloatArray = column(
        "1", "fraction of the judged samples in their class, after the last update; (...)"
    )
    pulses: IntArray = column("1", "pulses given to the array; (...)")
    cut: IntArray = column("1", "updates of a weight that most_pulses has cut; (...)")
