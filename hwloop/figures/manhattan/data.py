"""Data of the figures of a Manhattan training, read from its record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwloop.record.reader import Record
from hwloop.steps.manhattan.rule import misclassified
from hwloop.types import BoolArray, FloatArray

IntArray = NDArray[np.int64]
BITS_SHOWN = 10


@dataclass(frozen=True)
class Predictions:
    """Held-out patterns, (held out, rows), and their predictions, (held out, ..., neurons)."""

    pattern: IntArray
    activation: FloatArray
    prediction: IntArray

    def names(self) -> list[str]:
        """Return the name of each pattern: its bits, or its number."""
        return pattern_names(self.pattern)


@dataclass(frozen=True)
class PulseTable:
    """Measured table followed by emulated cells: siemens after 0, 1, 2, … pulses."""

    conductance_s: FloatArray
    gain: float
    title: str
    source: str


@dataclass(frozen=True)
class Training:
    """Recorded training; arrays have the epochs first, then the population if there is one.

    ``activation``: (epochs, ..., patterns, neurons). ``conductance_s``: (epochs, ..., rows, cols).
    ``final_conductance_s``: after the last update where that was read, else in the last epoch.
    ``pulses``: (..., rows, cols) given in this run. ``ended``: False where the run did not get to
    the end of the step.
    """

    epoch: IntArray
    activation: FloatArray
    current_a: FloatArray
    conductance_s: FloatArray
    weight_conductance_s: FloatArray
    total_error: FloatArray
    converged: BoolArray
    final_conductance_s: FloatArray
    pulses: IntArray
    patterns: IntArray
    outputs: IntArray
    target_0: float
    target_1: float
    stop: str
    beta_per_a: float
    max_updates: int
    ended: bool
    predictions: Predictions | None
    table: PulseTable | None

    @property
    def population(self) -> int | None:
        """Return the number of arrays; None for a single one."""
        return self.converged.shape[1] if self.converged.ndim == 2 else None

    @property
    def target(self) -> FloatArray:
        """Return the target of each activation, (patterns, neurons)."""
        return np.where(self.outputs == 1, self.target_1, self.target_0)

    @property
    def shortfall(self) -> FloatArray:
        """Return how far each activation falls short of its target; 0 at or past it."""
        missing = np.where(
            self.outputs == 1, self.target - self.activation, self.activation - self.target
        )
        return np.maximum(missing, 0.0)

    @property
    def wrong(self) -> BoolArray:
        """Return where a pattern is classified wrong, (epochs, ..., patterns)."""
        return misclassified(self.current_a, self.outputs == 1)

    @property
    def convergence_epoch(self) -> FloatArray:
        """Return the epoch in which each array converged, (...); NaN where it did not."""
        first = self.epoch[self.converged.argmax(axis=0)].astype(np.float64)
        return np.where(self.converged.any(axis=0), first, np.nan)

    @property
    def neurons(self) -> int:
        """Return the number of neurons, which is the number of column pairs."""
        return int(self.outputs.shape[1])


def read_training(record: Record, label: str) -> Training | None:
    """Read the training of the step ``label``; return None if the record has no row of it.

    A population of one is returned as a single array.
    """
    if label not in record.labels:
        return None
    rows = record.results(label)
    if not rows or not len(rows["epoch"]):
        return None
    settings = record.settings(label)
    lone = len(record.shape) == 3 and record.shape[0] == 1
    final_conductance_s, pulses = _final_conductance_s(record, label, rows), record.pulses_given()
    names = (
        "activation",
        "current_a",
        "conductance_s",
        "weight_conductance_s",
        "total_error",
        "converged",
    )
    columns = {name: _lone(rows[name], 1) if lone else rows[name] for name in names}
    return Training(
        epoch=rows["epoch"],
        **columns,
        final_conductance_s=_lone(final_conductance_s, 0) if lone else final_conductance_s,
        pulses=_lone(pulses, 0) if lone else pulses,
        patterns=np.array(settings["patterns"], dtype=np.int64),
        outputs=np.array(settings["outputs"], dtype=np.int64),
        target_0=settings["target_0"],
        target_1=settings["target_1"],
        stop=settings["stop"],
        beta_per_a=settings["beta_per_a"],
        max_updates=settings["max_updates"],
        ended=record.outcome(label) is not None,
        predictions=_predictions(record, label, lone=lone),
        table=_table(record.identity),
    )


def pattern_names(patterns: IntArray) -> list[str]:
    """Return the bits of each pattern, or its number where there are too many bits to show."""
    if patterns.shape[1] > BITS_SHOWN:
        return [f"#{index}" for index in range(len(patterns))]
    return ["".join(map(str, bits)) for bits in patterns]


def column_name(col: int) -> str:
    """Return the name of a column by neuron and sign, such as ``"G⁻ of neuron 0"``."""
    return f"G{'⁻' if col % 2 else '⁺'} of neuron {col // 2}"


def _lone(values: NDArray[Any], axis: int) -> NDArray[Any]:
    first: NDArray[Any] = values.take(0, axis=axis)
    return first


def _final_conductance_s(
    record: Record, label: str, rows: dict[str, NDArray[Any]]
) -> NDArray[np.float64]:
    """Return the conductances read at the end of the run; if steps followed, in the last epoch."""
    final_conductance_s = record.array("final_conductance_s")
    last_step = record.resolved["steps"][-1]["label"]
    if final_conductance_s is None or label != last_step:
        return np.asarray(rows["conductance_s"][-1])
    return final_conductance_s


def _predictions(record: Record, label: str, *, lone: bool) -> Predictions | None:
    rows = record.results(label, "predictions")
    if not rows or not len(rows["pattern"]):
        return None
    activation, prediction = rows["activation"], rows["prediction"]
    return Predictions(
        pattern=rows["pattern"].astype(np.int64),
        activation=_lone(activation, 1) if lone else activation,
        prediction=(_lone(prediction, 1) if lone else prediction).astype(np.int64),
    )


def _table(identity: dict[str, Any]) -> PulseTable | None:
    """Return the measured table that the cells were emulated with; None where there was none.

    ``identity``: of the backend, as recorded. A device that follows a table records it whole.
    """
    device = identity.get("device")
    if not isinstance(device, dict):
        return None
    calibration = device.get("calibration")
    if not isinstance(calibration, dict) or "conductance_s" not in calibration:
        return None
    return PulseTable(
        conductance_s=np.array(calibration["conductance_s"], dtype=np.float64),
        gain=float(device["gain"]),
        title=str(calibration["title"]),
        source=str(calibration["source"]),
    )
