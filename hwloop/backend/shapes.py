"""Refuse operations whose maps are not of the array's shape."""

from __future__ import annotations

from hwloop.array.operations import Hold, Operation, PulseMap, Ramp, ReadMap, VectorBatch
from hwloop.errors import BackendError


def check_shape(operation: Operation, shape: tuple[int, ...]) -> None:
    """Raise :class:`BackendError` unless the operation is for an array of ``shape``.

    ``shape``: (..., rows, cols), see :attr:`hwloop.backend.base.Description.shape`. Maps are of
    that shape or of (rows, cols); vectors of (..., batch, rows) or (batch, rows).
    """
    match operation:
        case PulseMap():
            _check_map(operation.amplitude_v.shape, "amplitude_v", shape)
        case ReadMap():
            _check_map(operation.addressed.shape, "addressed", shape)
        case Ramp():
            _check_map(operation.start_v.shape, "start_v", shape)
        case Hold():
            _check_map(operation.conductance_s.shape, "conductance_s", shape)
        case VectorBatch():
            _check_vectors(operation.voltage_v.shape, shape)


def _check_map(given: tuple[int, ...], name: str, shape: tuple[int, ...]) -> None:
    if given not in (shape, shape[-2:]):
        raise BackendError(f"{name} has shape {given}; the array has {shape}")


def _check_vectors(given: tuple[int, ...], shape: tuple[int, ...]) -> None:
    *population, _, rows = given
    if rows != shape[-2]:
        raise BackendError(f"voltage_v has {rows} rows; the array has {shape[-2]}")
    if tuple(population) not in ((), shape[:-2]):
        raise BackendError(
            f"voltage_v is for a population {tuple(population)}; the backend holds {shape[:-2]}"
        )
