"""Operations that the conformance suite tries on a backend, and what it expects of them."""

from __future__ import annotations

import numpy as np

from hwloop.array.operations import (
    Operation,
    PulseMap,
    PulsePair,
    Ramp,
    ReadMap,
    VectorBatch,
    Wait,
)
from hwloop.backend.base import CrossbarBackend
from hwloop.errors import BackendError, HwloopError, Unsupported
from hwloop.types import FloatArray


def flat_ramp(pulse: PulseMap, read_v: float, steps: int, *, window_a: tuple[float, float]) -> Ramp:
    """Return a ramp of equal pulses whose cells end where their current is in ``window_a``, A."""
    low_a, high_a = (np.full(pulse.amplitude_v.shape, bound_a) for bound_a in window_a)
    return Ramp(
        start_v=pulse.amplitude_v,
        step_v=np.zeros_like(pulse.amplitude_v),
        width_s=pulse.width_s,
        steps=steps,
        read_v=read_v,
        low_a=low_a,
        high_a=high_a,
        gate_v=pulse.gate_v,
    )


def train_of(pulse: PulseMap) -> PulseMap:
    """Return two pulses like ``pulse``, three widths apart."""
    return PulseMap(
        pulse.amplitude_v,
        pulse.width_s,
        count=2,
        gate_v=pulse.gate_v,
        interval_s=3 * pulse.width_s,
    )


def pair_of(pulse: PulseMap) -> PulsePair:
    """Return a pair of pulses like ``pulse``, three widths apart."""
    return PulsePair(
        pulse.amplitude_v,
        pulse.amplitude_v,
        pulse.width_s,
        pulse.width_s,
        interval_s=3 * pulse.width_s,
        gate_v=pulse.gate_v,
    )


def every_kind(backend: CrossbarBackend, pulse: PulseMap, read_v: float) -> list[Operation]:
    """Return one operation of each kind, those that the backend refuses left out."""
    rows, cols = backend.description.geometry.shape
    operations: list[Operation] = [
        pulse,
        train_of(pulse),
        pair_of(pulse),
        ReadMap.every_cell((rows, cols), read_v=read_v),
        flat_ramp(pulse, read_v, 2, window_a=(-np.inf, np.inf)),
        VectorBatch(np.full((1, rows), read_v)),
        Wait(0.25),
    ]
    return [operation for operation in operations if refusal_of(backend, operation) is None]


def misshapen(backend: CrossbarBackend, pulse: PulseMap, read_v: float) -> list[Operation]:
    """Return an operation of each kind of array with one more column, or one more row."""
    rows, cols = backend.description.geometry.shape
    wider = PulseMap(np.ones((rows, cols + 1)), pulse.width_s, gate_v=pulse.gate_v)
    return [
        wider,
        pair_of(wider),
        ReadMap.every_cell((rows, cols + 1), read_v=read_v),
        flat_ramp(wider, read_v, 2, window_a=(-np.inf, np.inf)),
        VectorBatch(np.full((1, rows + 1), read_v)),
    ]


def read_all(backend: CrossbarBackend, read_v: float) -> FloatArray:
    """Return the current of every cell, (..., rows, cols), amperes."""
    shape = backend.description.geometry.shape
    return backend.read(ReadMap.every_cell(shape, read_v=read_v)).current_a


def refusal_of(backend: CrossbarBackend, operation: Operation) -> type[HwloopError] | None:
    """Return the class of the error with which ``check`` refuses; None if it does not."""
    try:
        backend.check(operation)
    except HwloopError as refusal:
        return type(refusal)
    return None


def expect_refusal(
    kind: type[BaseException], backend: CrossbarBackend, operation: Operation, rule: str
) -> None:
    """Raise AssertionError with the rule unless performing raises an error of ``kind``."""
    try:
        backend.perform(operation)
    except kind:
        return
    except HwloopError as exc:
        raise AssertionError(f"{rule}; it raised {type(exc).__name__}: {exc}") from exc
    raise AssertionError(f"{rule}; it was done")


def expect_done(backend: CrossbarBackend, operation: Operation, rule: str) -> None:
    """Raise AssertionError with the rule where performing raises :class:`Unsupported`."""
    try:
        backend.perform(operation)
    except Unsupported as exc:
        raise AssertionError(f"{rule}: {exc}") from exc


def expect_closed(backend: CrossbarBackend, operations: list[Operation]) -> None:
    """Raise AssertionError unless every operation is refused with :class:`BackendError`."""
    for operation in operations:
        expect_refusal(
            BackendError, backend, operation, "a closed backend must refuse every operation"
        )
