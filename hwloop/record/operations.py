"""Convert operations to the columns of a record, and read them back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from hwloop.array.blocks import BlockBatch, DrivenLines
from hwloop.array.operations import (
    Answer,
    Flag,
    Hold,
    Operation,
    PulseMap,
    PulsePair,
    Ramp,
    Reading,
    ReadMap,
    VectorBatch,
    Wait,
    any_limited,
    unlimited,
)
from hwloop.errors import RecordError
from hwloop.record.blocks import KeptBatch, block_columns, recorded_batch, recorded_reading
from hwloop.types import FlagArray, FloatArray


@dataclass(frozen=True)
class RecordedOperation:
    """One recorded operation, with its measured values and the time of its end.

    ``limited_flags``: of a pulse map that compliance kept from a cell, (..., rows, cols), or None.
    ``reading``: None where none was made, or where the record has not kept it.
    """

    index: int
    kind: str
    operation: Operation | KeptBatch
    reading: Reading | None
    failed: bool
    array_time_s: float
    limited_flags: FlagArray | None = None

    @property
    def pulses(self) -> NDArray[np.int64]:
        """Pulses of each cell, (..., rows, cols); for a ramp that failed, their upper bound."""
        match self.operation:
            case PulseMap() as pulse:
                return np.asarray(pulse.addressed * pulse.count, dtype=np.int64)
            case PulsePair() as pair:
                return np.asarray(pair.addressed * 2, dtype=np.int64)
            case Ramp() as ramp if self.reading is None:
                return np.asarray(ramp.addressed * ramp.steps, dtype=np.int64)
            case Ramp() if self.reading is not None:
                applied = self.reading.flags & Flag.NOT_ADDRESSED == 0
                return np.asarray(applied.sum(axis=0), dtype=np.int64)
        return np.zeros((1, 1), dtype=np.int64)

    def answer(self, shape: tuple[int, ...]) -> Answer:
        """Return what the backend answered, for an array of ``shape`` (..., rows, cols)."""
        if not isinstance(self.operation, PulseMap | PulsePair):
            return self.reading
        given = self.limited_flags
        return unlimited(self.operation, shape) if given is None else given


def columns_of(operation: Operation, answer: Answer) -> tuple[str, dict[str, Any]]:
    """Return the kind of an operation, and the columns of its series.

    Flags of pulses are among them only where a limit kept one from its cell, and an interval of a
    train only where one was asked for.
    """
    reading = answer if isinstance(answer, Reading) else None
    match operation:
        case PulseMap():
            pulsed: dict[str, Any] = {
                "amplitude_v": operation.amplitude_v,
                "width_s": np.float64(operation.width_s),
                "count": np.int64(operation.count),
                "gate_v": _stored_gate(operation.gate_v),
            }
            if operation.interval_s is not None:
                pulsed["interval_s"] = np.float64(operation.interval_s)
            return "pulse", pulsed | _limited_flags(answer)
        case PulsePair():
            return "pair", _pair_columns(operation) | _limited_flags(answer)
        case ReadMap():
            columns = {
                "addressed": operation.addressed,
                "read_v": np.float64(operation.read_v),
                "both_polarities": np.bool_(operation.both_polarities),
            }
            return "read", columns | _measured(reading)
        case Ramp():
            return "ramp", _ramp_columns(operation) | _measured(reading)
        case VectorBatch():
            kind = _MULTIPLICATIONS[operation.driven]
            return kind, {"voltage_v": operation.voltage_v} | _measured(reading)
        case BlockBatch():
            return "blocks", block_columns(operation, reading)
        case Hold():
            held = {"conductance_s": operation.conductance_s, "addressed": operation.addressed}
            return "hold", held
        case _:
            return "wait", {"duration_s": np.float64(operation.duration_s)}


def _limited_flags(answer: Answer) -> dict[str, Any]:
    """Return the column of a pulse's flags; none where no limit kept one from its cell."""
    cut = isinstance(answer, np.ndarray) and any_limited(answer)
    return {"flags": answer} if cut else {}


def _pair_columns(pair: PulsePair) -> dict[str, Any]:
    return {
        "first_v": pair.first_v,
        "second_v": pair.second_v,
        "first_width_s": np.float64(pair.first_width_s),
        "second_width_s": np.float64(pair.second_width_s),
        "interval_s": np.float64(pair.interval_s),
        "gate_v": _stored_gate(pair.gate_v),
    }


_MULTIPLICATIONS: dict[DrivenLines, str] = {"rows": "multiply", "cols": "backward"}


def _ramp_columns(ramp: Ramp) -> dict[str, Any]:
    return {
        "start_v": ramp.start_v,
        "step_v": ramp.step_v,
        "width_s": np.float64(ramp.width_s),
        "steps": np.int64(ramp.steps),
        "gate_v": _stored_gate(ramp.gate_v),
        "gate_step_v": _stored_gate(ramp.gate_step_v),
        "read_v": np.float64(ramp.read_v),
        "both_polarities": np.bool_(ramp.both_polarities),
        "low_a": ramp.low_a,
        "high_a": ramp.high_a,
    }


def _stored_gate(gate_v: float | FloatArray | None) -> FloatArray:
    """Return a gate voltage or a map of them; NaN for none."""
    return np.asarray(np.nan if gate_v is None else gate_v, dtype=np.float64)


def _measured(reading: Reading | None) -> dict[str, Any]:
    """Return the measured columns; none for a read that failed."""
    return {} if reading is None else {"current_a": reading.current_a, "flags": reading.flags}


def operation_of(kind: str, values: dict[str, Any]) -> Operation | KeptBatch:
    """Return the operation in a row of the columns of its kind."""
    match kind:
        case "pulse":
            return PulseMap(
                values["amplitude_v"],
                float(values["width_s"]),
                int(values["count"]),
                _gate(values["gate_v"]),
                float(values["interval_s"]) if "interval_s" in values else None,
            )
        case "pair":
            return PulsePair(
                values["first_v"],
                values["second_v"],
                float(values["first_width_s"]),
                float(values["second_width_s"]),
                float(values["interval_s"]),
                _gate(values["gate_v"]),
            )
        case "read":
            return ReadMap(
                values["addressed"], float(values["read_v"]), bool(values["both_polarities"])
            )
        case "ramp":
            gate_step_v = _gate(values["gate_step_v"])
            return Ramp(
                start_v=values["start_v"],
                step_v=values["step_v"],
                width_s=float(values["width_s"]),
                steps=int(values["steps"]),
                read_v=float(values["read_v"]),
                low_a=values["low_a"],
                high_a=values["high_a"],
                both_polarities=bool(values["both_polarities"]),
                gate_v=_gate(values["gate_v"]),
                gate_step_v=0.0 if gate_step_v is None else gate_step_v,
            )
        case "multiply":
            return VectorBatch(values["voltage_v"])
        case "backward":
            return VectorBatch(values["voltage_v"], "cols")
        case "blocks":
            return recorded_batch(values)
        case "hold":
            return Hold(values["conductance_s"], values["addressed"])
        case "wait":
            return Wait(float(values["duration_s"]))
    raise RecordError(f"the record has an operation of the unknown kind {kind!r}")


def reading_of(kind: str, values: dict[str, Any]) -> Reading | None:
    """Return the measured values in a row of the columns of a kind; None without any."""
    if kind == "blocks":
        return recorded_reading(values)
    if "current_a" not in values:
        return None
    return Reading(np.array(values["current_a"]), np.array(values["flags"]))


def _gate(stored: Any) -> float | FloatArray | None:
    """Return a gate voltage as requested: one, a map, or None where NaN was stored."""
    if np.ndim(stored):
        return np.asarray(stored, dtype=np.float64)
    return None if np.isnan(stored) else float(stored)


class Blocks:
    """Rows of the series of operations, read several at a time: HDF5 takes as long for one."""

    def __init__(self, file: h5py.File) -> None:
        self._file = file
        self._blocks: dict[str, tuple[int, int, dict[str, NDArray[Any]]]] = {}

    def row(self, series: str, item: int) -> dict[str, Any]:
        """Return row ``item`` of every column of a series.

        Raises :class:`RecordError` where there is no such row.
        """
        first, end, columns = self._blocks.get(series, (0, 0, {}))
        if not first <= item < end:
            first, end, columns = self._blocks[series] = self._block(series, item)
        return {name: column[item - first] for name, column in columns.items()}

    def _block(self, series: str, item: int) -> tuple[int, int, dict[str, NDArray[Any]]]:
        """Return the first row, the end and the columns of a block that begins at ``item``."""
        group = self._file.get(f"operations/{series}")
        counter = self._file.get(f"recorder/operations.{series}")
        rows = 0 if counter is None else int(counter[0])
        if not isinstance(group, h5py.Group) or not 0 <= item < rows:
            raise RecordError(f"row {item} of operations/{series} is missing; it has {rows}")
        row_bytes = sum(one.dtype.itemsize * one.size // len(one) for one in group.values())
        end = min(item + max(_BLOCK_BYTES // max(row_bytes, 1), 1), rows)
        return item, end, {name: column[item:end] for name, column in group.items()}


_BLOCK_BYTES = 2**20
