"""Convert operations to the columns of a record, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwloop.array.operations import Operation, PulseMap, Ramp, Reading, ReadMap, VectorBatch, Wait
from hwloop.errors import RecordError
from hwloop.types import FloatArray


def columns_of(operation: Operation, reading: Reading | None) -> tuple[str, dict[str, Any]]:
    """Return the kind of an operation, and the columns of its series."""
    match operation:
        case PulseMap():
            return "pulse", {
                "amplitude_v": operation.amplitude_v,
                "width_s": np.float64(operation.width_s),
                "count": np.int64(operation.count),
                "gate_v": _stored_gate(operation.gate_v),
            }
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
            return "multiply", {"voltage_v": operation.voltage_v} | _measured(reading)
        case _:
            return "wait", {"duration_s": np.float64(operation.duration_s)}


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


def operation_of(kind: str, values: dict[str, Any]) -> Operation:
    """Return the operation in a row of the columns of its kind."""
    match kind:
        case "pulse":
            return PulseMap(
                values["amplitude_v"],
                float(values["width_s"]),
                int(values["count"]),
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
        case "wait":
            return Wait(float(values["duration_s"]))
    raise RecordError(f"the record has an operation of the unknown kind {kind!r}")


def _gate(stored: Any) -> float | FloatArray | None:
    """Return a gate voltage as requested: one, a map, or None where NaN was stored."""
    if np.ndim(stored):
        return np.asarray(stored, dtype=np.float64)
    return None if np.isnan(stored) else float(stored)
