"""Conformance suite of backends: every promise of :class:`CrossbarBackend` as a check.

::

    from hwloop.testing import check_backend

    def test_my_backend_keeps_to_the_contract():
        check_backend(lambda: MyBackend(...), pulse=a_pulse_that_it_supports, read_v=0.05)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import numpy as np

from hwloop.array.operations import (
    Flag,
    Operation,
    PulseMap,
    Ramp,
    Reading,
    ReadMap,
    VectorBatch,
    Wait,
)
from hwloop.backend.base import CrossbarBackend, Event, MultiplyMode
from hwloop.errors import BackendError, HwloopError, Unsupported
from hwloop.types import FloatArray

__all__ = [
    "check_backend",
    "check_ramps",
]

Make = Callable[[], CrossbarBackend]


def check_backend(
    make: Make, *, pulse: PulseMap, read_v: float, relative_tolerance: float = 1e-9
) -> None:
    """Check every rule on fresh backends from ``make``; raise AssertionError with the broken one.

    ``pulse``: a map (rows, cols) that the backend supports. ``read_v``: a harmless read voltage.
    ``relative_tolerance``: by which repeated reads, and multiplications against reads, may differ.
    Each backend is closed before the next is made.
    """
    tolerance = relative_tolerance
    _check_description(make)
    _check_groups(make)
    _check_reads(make, read_v, tolerance)
    _check_clock(make, pulse, read_v)
    _check_questions(make, pulse, read_v, tolerance)
    _check_perform(make, pulse, read_v)
    _check_multiply(make, read_v, tolerance)
    _check_pulses(make, pulse, read_v, tolerance)
    check_ramps(make, pulse=pulse, read_v=read_v, relative_tolerance=tolerance)
    _check_events(make, pulse)
    _check_make_safe(make, pulse, read_v, tolerance)
    _check_end(make, pulse, read_v)


def _check_description(make: Make) -> None:
    with make() as backend:
        first, second = backend.description, backend.description
        assert first == second, "the description of an open backend must not change"
        assert first.multiply in get_args(MultiplyMode), (
            f"multiply must be one of {', '.join(get_args(MultiplyMode))}"
        )
        backend.make_safe()
        assert backend.description == first, "the description of an open backend must not change"


def _check_groups(make: Make) -> None:
    with make() as backend:
        shape = backend.description.geometry.shape
        covered = np.zeros(shape, dtype=int)
        groups = list(backend.groups())
        for group in groups:
            assert group.shape == shape, "a group must be a mask of (rows, cols)"
            assert group.dtype == np.bool_, "a group must be a mask of truth values"
            covered += group
        assert (covered == 1).all(), "the groups must cover every cell exactly once"
        again = list(backend.groups())
        assert np.array_equal(groups, again), "the groups must be the same whenever asked for"


def _every_kind(backend: CrossbarBackend, pulse: PulseMap, read_v: float) -> list[Operation]:
    """Return one operation of each kind, those that the backend refuses left out."""
    rows, cols = backend.description.geometry.shape
    operations: list[Operation] = [
        pulse,
        ReadMap.every_cell((rows, cols), read_v=read_v),
        _flat_ramp(pulse, read_v, 2, window_a=(-np.inf, np.inf)),
        VectorBatch(np.full((1, rows), read_v)),
        Wait(0.25),
    ]
    return [operation for operation in operations if _refusal(backend, operation) is None]


def _check_questions(make: Make, pulse: PulseMap, read_v: float, tolerance: float) -> None:
    """Check that questions about operations do nothing to the array or its clock."""
    with make() as backend:
        before, now_s = _read_all(backend, read_v), backend.now_s()
        for operation in _every_kind(backend, pulse, read_v):
            backend.check(operation)
            duration_s = backend.duration_s(operation)
            assert np.isfinite(duration_s), "an expected duration must be a finite time"
            assert duration_s >= 0, "an expected duration must be 0 s or more"
            if isinstance(operation, Wait):
                rule = "the expected duration of a wait must be its own at least"
                assert duration_s >= operation.duration_s, rule
        assert backend.now_s() == now_s, "check and duration_s must not let time pass"
        after = _read_all(backend, read_v)
        assert np.allclose(before, after, rtol=tolerance, atol=0), (
            "check and duration_s must not change a cell"
        )


def _check_perform(make: Make, pulse: PulseMap, read_v: float) -> None:
    with make() as backend:
        assert backend.now_s() >= 0, "the clock must begin at 0 s or later"
        for operation in _every_kind(backend, pulse, read_v):
            answer = backend.perform(operation)
            name = type(operation).__name__
            if isinstance(operation, PulseMap | Wait):
                assert answer is None, f"perform must answer a {name} with None"
                continue
            assert isinstance(answer, Reading), f"perform must answer a {name} with a Reading"
            silent = np.isnan(answer.current_a) & (answer.flags == 0)
            assert not silent.any(), "a current that is NaN must have a flag that says why"


def _check_reads(make: Make, read_v: float, tolerance: float) -> None:
    with make() as backend:
        shape = backend.description.shape
        addressed = np.zeros(shape[-2:], dtype=np.bool_)
        addressed[0, 0] = True
        single = backend.read(ReadMap(addressed, read_v))
        assert single.current_a.shape == shape, "a read must answer with (..., rows, cols)"
        others = np.broadcast_to(~addressed, shape)
        assert np.isnan(single.current_a[others]).all(), "a cell that was not read must be NaN"
        assert (single.flags[others] == Flag.NOT_ADDRESSED).all(), (
            "a cell that was not read must be flagged NOT_ADDRESSED"
        )
        up, again, down = (_read_all(backend, v) for v in (read_v, read_v, -read_v))
        assert (up > 0).all(), "a positive voltage must drive a positive current"
        assert (down < 0).all(), "a negative voltage must drive a negative current"
        assert np.allclose(up, again, rtol=tolerance, atol=0), "a read must not change a cell"
        full = np.ones(shape, dtype=np.bool_)
        whole = backend.read(ReadMap(full, read_v)).current_a
        assert np.allclose(up, whole, rtol=tolerance, atol=0), (
            "a map (rows, cols) must address every array of a population alike"
        )


def _check_multiply(make: Make, read_v: float, tolerance: float) -> None:
    with make() as backend:
        *population, rows, cols = backend.description.shape
        voltage_v = read_v * np.vstack([np.eye(rows), np.ones((1, rows))])
        batch = VectorBatch(voltage_v)
        if backend.description.multiply == "none":
            rule = "multiply 'none' must refuse with Unsupported"
            assert _refusal(backend, batch) is Unsupported, rule
            _expect(Unsupported, backend, batch, rule)
            return
        current_a = backend.multiply(batch).current_a
        assert current_a.shape == (*population, rows + 1, cols), (
            "a multiplication must answer with (..., batch, cols)"
        )
        cells_a = _read_all(backend, read_v)
        expected = np.concatenate([cells_a, cells_a.sum(axis=-2, keepdims=True)], axis=-2)
        assert np.allclose(current_a, expected, rtol=tolerance, atol=0), (
            "a multiplication must be the sum of the cells' currents"
        )


def _check_pulses(make: Make, pulse: PulseMap, read_v: float, tolerance: float) -> None:
    with make() as backend:
        backend.check(pulse)
        before = _read_all(backend, read_v)
        backend.pulse(PulseMap(np.zeros_like(pulse.amplitude_v), pulse.width_s))
        after_none = _read_all(backend, read_v)
        assert np.allclose(before, after_none, rtol=tolerance, atol=0), (
            "a map of zeros must change nothing"
        )
        backend.pulse(pulse)
        after = _read_all(backend, read_v)
        spared = np.broadcast_to(~pulse.addressed, after.shape)
        assert np.allclose(before[spared], after[spared], rtol=tolerance, atol=0), (
            "a cell that is not addressed must not change"
        )
    _check_refusals(make, pulse, read_v)
    _check_broadcast(make, pulse, read_v, tolerance)


def check_ramps(
    make: Make, *, pulse: PulseMap, read_v: float, relative_tolerance: float = 1e-9
) -> None:
    """Check that a ramp is the pulses and reads that it says, until a cell is in its window."""
    steps, tolerance = 3, relative_tolerance
    with make() as backend:
        one_by_one = []
        for _ in range(steps):
            backend.pulse(PulseMap(pulse.amplitude_v, pulse.width_s, gate_v=pulse.gate_v))
            one_by_one.append(backend.read(ReadMap(pulse.addressed, read_v)).current_a)
        expected = np.stack(one_by_one)
    with make() as backend:
        assert backend.description.verify_steps >= 1, "verify_steps must be 1 or more"
        ramp = _flat_ramp(pulse, read_v, steps, window_a=(np.inf, np.inf))
        backend.check(ramp)
        answer = backend.ramp(ramp)
        assert answer.current_a.shape == (steps, *backend.description.shape), (
            "a ramp must answer with (steps, ..., rows, cols)"
        )
        assert np.allclose(answer.current_a, expected, rtol=tolerance, atol=0, equal_nan=True), (
            "a ramp must do what its pulses and reads do one by one"
        )
        addressed = np.broadcast_to(pulse.addressed, answer.flags.shape)
        assert ((answer.flags == Flag.NOT_ADDRESSED) == ~addressed).all(), (
            "a ramp must go on until a cell is inside its window, and leave the others alone"
        )
    with make() as backend:
        answer = backend.ramp(_flat_ramp(pulse, read_v, steps, window_a=(-np.inf, np.inf)))
        assert np.allclose(answer.current_a[0], expected[0], rtol=tolerance, equal_nan=True), (
            "a ramp must read after its first pulse"
        )
        rule = "a ramp must leave a cell alone once it is inside its window"
        assert (answer.flags[1:] == Flag.NOT_ADDRESSED).all(), rule
        assert np.isnan(answer.current_a[1:]).all(), rule


def _flat_ramp(
    pulse: PulseMap, read_v: float, steps: int, *, window_a: tuple[float, float]
) -> Ramp:
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


def _check_refusals(make: Make, pulse: PulseMap, read_v: float) -> None:
    """Check that operations are refused as ``check`` refuses them, and done where it does not."""
    with make() as backend:
        rows, cols = backend.description.geometry.shape
        operations: tuple[Operation, ...] = (
            PulseMap(pulse.amplitude_v * 1e6, pulse.width_s),
            PulseMap(np.ones((rows + 1, cols + 1)), pulse.width_s),
            PulseMap(pulse.amplitude_v, pulse.width_s, gate_v=1e6),
            VectorBatch(np.full((1, rows), read_v)),
            ReadMap.every_cell((rows, cols), read_v=read_v),
            Wait(0.0),
        )
        for operation in operations:
            refusal = _refusal(backend, operation)
            if refusal is not None:
                _expect(refusal, backend, operation, "what check refuses must be refused when done")
            elif not isinstance(operation, PulseMap):  # an absurd pulse is never applied
                _expect_done(backend, operation, "what check lets pass must not be Unsupported")


def _refusal(backend: CrossbarBackend, operation: Operation) -> type[HwloopError] | None:
    try:
        backend.check(operation)
    except HwloopError as refusal:
        return type(refusal)
    return None


def _check_broadcast(make: Make, pulse: PulseMap, read_v: float, tolerance: float) -> None:
    """Check pulses and vectors that differ between the arrays of a population."""
    with make() as backend:
        *population, rows, cols = backend.description.shape
        if not population or pulse.amplitude_v.ndim != 2:
            return
        before = _read_all(backend, read_v)
        amplitude_v = np.zeros((*population, rows, cols))
        amplitude_v[0] = pulse.amplitude_v
        backend.pulse(PulseMap(amplitude_v, pulse.width_s, pulse.count, pulse.gate_v))
        after = _read_all(backend, read_v)
        assert np.allclose(before[1:], after[1:], rtol=tolerance, atol=0), (
            "a map (..., rows, cols) must change only the arrays that it addresses"
        )
        if backend.description.multiply == "none":
            return
        vectors_v = np.zeros((*population, 2, rows))
        vectors_v[0] = read_v
        current_a = backend.multiply(VectorBatch(vectors_v)).current_a
        assert current_a.shape == (*population, 2, cols), (
            "a multiplication must answer with (..., batch, cols)"
        )
        assert (current_a[1:] == 0).all() or np.abs(current_a[1:]).max() < current_a[0].min(), (
            "each array of a population must be multiplied with its own vectors"
        )


def _check_clock(make: Make, pulse: PulseMap, read_v: float) -> None:
    with make() as backend:
        read = ReadMap.every_cell(backend.description.geometry.shape, read_v=read_v)
        times = [backend.now_s()]
        for operation in (read, pulse, Wait(0.25), read):
            backend.perform(operation)
            times.append(backend.now_s())
        assert times == sorted(times), "the clock must never run backwards"
        assert times[3] - times[2] >= 0.25 * (1 - 1e-9), "a wait must let its duration pass"
        backend.make_safe()
        assert backend.now_s() == times[-1], "the clock must stand still between operations"


def _check_events(make: Make, pulse: PulseMap) -> None:
    with make() as backend:
        backend.pulse(pulse)
        for event in backend.take_events():
            assert isinstance(event, Event), "an event must be an Event"
        assert backend.take_events() == [], "events must be handed out once"


def _check_make_safe(make: Make, pulse: PulseMap, read_v: float, tolerance: float) -> None:
    """Check that a backend goes on after it was made safe: before, between, after a refusal."""
    with make() as backend:
        backend.make_safe()
        backend.make_safe()
        before = _read_all(backend, read_v)
        for operation in _misshapen(backend, pulse, read_v):
            _expect(HwloopError, backend, operation, "a map of another shape must be refused")
            backend.make_safe()
        after = _read_all(backend, read_v)
        assert np.allclose(before, after, rtol=tolerance, atol=0), (
            "make_safe must not change a cell"
        )
        for operation in _every_kind(backend, pulse, read_v):
            backend.make_safe()
            backend.perform(operation)


def _misshapen(backend: CrossbarBackend, pulse: PulseMap, read_v: float) -> list[Operation]:
    rows, cols = backend.description.geometry.shape
    wider = PulseMap(np.ones((rows, cols + 1)), pulse.width_s, gate_v=pulse.gate_v)
    return [
        wider,
        ReadMap.every_cell((rows, cols + 1), read_v=read_v),
        _flat_ramp(wider, read_v, 2, window_a=(-np.inf, np.inf)),
        VectorBatch(np.full((1, rows + 1), read_v)),
    ]


def _check_end(make: Make, pulse: PulseMap, read_v: float) -> None:
    backend = make()
    with backend as entered:
        assert entered is backend, "a backend must enter a with block as itself"
        kinds = _every_kind(backend, pulse, read_v)
    _expect_closed(backend, kinds)
    backend = make()
    backend.close()
    backend.close()
    backend.make_safe()
    _expect_closed(backend, kinds)


def _expect_closed(backend: CrossbarBackend, operations: list[Operation]) -> None:
    for operation in operations:
        _expect(BackendError, backend, operation, "a closed backend must refuse every operation")


def _read_all(backend: CrossbarBackend, read_v: float) -> FloatArray:
    shape = backend.description.geometry.shape
    return backend.read(ReadMap.every_cell(shape, read_v=read_v)).current_a


def _expect(
    kind: type[BaseException], backend: CrossbarBackend, operation: Operation, rule: str
) -> None:
    try:
        backend.perform(operation)
    except kind:
        return
    except HwloopError as exc:
        raise AssertionError(f"{rule}; it raised {type(exc).__name__}: {exc}") from exc
    raise AssertionError(f"{rule}; it was done")


def _expect_done(backend: CrossbarBackend, operation: Operation, rule: str) -> None:
    try:
        backend.perform(operation)
    except Unsupported as exc:
        raise AssertionError(f"{rule}: {exc}") from exc
