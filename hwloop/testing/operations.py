"""Checks of what operations do: reads, multiplications, pulses and ramps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hwloop.array.operations import (
    Flag,
    Operation,
    PulseMap,
    ReadMap,
    VectorBatch,
    Wait,
    unlimited,
)
from hwloop.backend.base import CrossbarBackend
from hwloop.errors import Unsupported
from hwloop.testing.trials import (
    expect_done,
    expect_refusal,
    flat_ramp,
    read_all,
    refusal_of,
)

Make = Callable[[], CrossbarBackend]


def check_reads(make: Make, read_v: float, tolerance: float) -> None:
    """Check which entries a read fills, its signs, and that it changes no cell."""
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
        up, again, down = (read_all(backend, v) for v in (read_v, read_v, -read_v))
        assert (up > 0).all(), "a positive voltage must drive a positive current"
        assert (down < 0).all(), "a negative voltage must drive a negative current"
        assert np.allclose(up, again, rtol=tolerance, atol=0), "a read must not change a cell"
        full = np.ones(shape, dtype=np.bool_)
        whole = backend.read(ReadMap(full, read_v)).current_a
        assert np.allclose(up, whole, rtol=tolerance, atol=0), (
            "a map (rows, cols) must address every array of a population alike"
        )


def check_multiply(make: Make, read_v: float, tolerance: float) -> None:
    """Check a multiplication against the reads of the cells, or that there is none."""
    with make() as backend:
        *population, rows, cols = backend.description.shape
        voltage_v = read_v * np.vstack([np.eye(rows), np.ones((1, rows))])
        batch = VectorBatch(voltage_v)
        if backend.description.multiply == "none":
            rule = "multiply 'none' must refuse with Unsupported"
            assert refusal_of(backend, batch) is Unsupported, rule
            expect_refusal(Unsupported, backend, batch, rule)
            return
        current_a = backend.multiply(batch).current_a
        assert current_a.shape == (*population, rows + 1, cols), (
            "a multiplication must answer with (..., batch, cols)"
        )
        cells_a = read_all(backend, read_v)
        expected = np.concatenate([cells_a, cells_a.sum(axis=-2, keepdims=True)], axis=-2)
        assert np.allclose(current_a, expected, rtol=tolerance, atol=0), (
            "a multiplication must be the sum of the cells' currents"
        )
    _check_from_columns(make, read_v, tolerance)


def _check_from_columns(make: Make, read_v: float, tolerance: float) -> None:
    """Check a multiplication from the columns against the reads of the cells, or its refusal."""
    with make() as backend:
        *population, rows, cols = backend.description.shape
        voltage_v = read_v * np.vstack([np.eye(cols), np.ones((1, cols))])
        batch = VectorBatch(voltage_v, "cols")
        if (refusal := refusal_of(backend, batch)) is not None:
            assert refusal is Unsupported, "vectors on the columns: refused, but not Unsupported"
            rule = "vectors on the columns: what check refuses must be refused when done"
            expect_refusal(Unsupported, backend, batch, rule)
            return
        current_a = backend.multiply(batch).current_a
        assert current_a.shape == (*population, cols + 1, rows), (
            "a multiplication from the columns must answer with (..., batch, rows)"
        )
        # A cell has its column above its row: the opposite voltage of a read, and current.
        cells_a = np.moveaxis(-read_all(backend, -read_v), -1, -2)
        expected = np.concatenate([cells_a, cells_a.sum(axis=-2, keepdims=True)], axis=-2)
        # A meter rounds each current that is summed, however small, to the steps of its range.
        steps_a = tolerance * float(np.abs(expected).max())
        assert np.allclose(current_a, expected, rtol=tolerance, atol=steps_a), (
            "a multiplication from the columns must be the sum of the cells' currents in each row"
        )


def check_pulses(make: Make, pulse: PulseMap, read_v: float, tolerance: float) -> None:
    """Check that pulses reach the addressed cells alone, and what is refused."""
    with make() as backend:
        backend.check(pulse)
        before = read_all(backend, read_v)
        none = PulseMap(np.zeros_like(pulse.amplitude_v), pulse.width_s)
        _check_pulse_flags(backend.pulse(none), none, backend.description.shape)
        after_none = read_all(backend, read_v)
        assert np.allclose(before, after_none, rtol=tolerance, atol=0), (
            "a map of zeros must change nothing"
        )
        _check_pulse_flags(backend.pulse(pulse), pulse, backend.description.shape)
        after = read_all(backend, read_v)
        spared = np.broadcast_to(~pulse.addressed, after.shape)
        assert np.allclose(before[spared], after[spared], rtol=tolerance, atol=0), (
            "a cell that is not addressed must not change"
        )
    _check_refusals(make, pulse, read_v)
    _check_broadcast(make, pulse, read_v, tolerance)


def _check_pulse_flags(flags: object, pulse: PulseMap, shape: tuple[int, ...]) -> None:
    """Check that a pulse map within all limits is answered with the flags of what was asked."""
    assert isinstance(flags, np.ndarray), "pulse must answer with flags (..., rows, cols)"
    assert flags.shape == shape, "pulse must answer with flags (..., rows, cols)"
    assert flags.dtype == np.uint8, "the flags of pulses must be uint8"
    assert np.array_equal(flags, unlimited(pulse, shape)), (
        "a pulse within all limits must be flagged 0, and a cell without one NOT_ADDRESSED"
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
            refusal = refusal_of(backend, operation)
            if refusal is not None:
                expect_refusal(
                    refusal, backend, operation, "what check refuses must be refused when done"
                )
            elif not isinstance(operation, PulseMap):  # an absurd pulse is never applied
                expect_done(backend, operation, "what check lets pass must not be Unsupported")


def _check_broadcast(make: Make, pulse: PulseMap, read_v: float, tolerance: float) -> None:
    """Check pulses and vectors that differ between the arrays of a population."""
    with make() as backend:
        *population, rows, cols = backend.description.shape
        if not population or pulse.amplitude_v.ndim != 2:
            return
        before = read_all(backend, read_v)
        amplitude_v = np.zeros((*population, rows, cols))
        amplitude_v[0] = pulse.amplitude_v
        backend.pulse(PulseMap(amplitude_v, pulse.width_s, pulse.count, pulse.gate_v))
        after = read_all(backend, read_v)
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
        ramp = flat_ramp(pulse, read_v, steps, window_a=(np.inf, np.inf))
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
        answer = backend.ramp(flat_ramp(pulse, read_v, steps, window_a=(-np.inf, np.inf)))
        assert np.allclose(answer.current_a[0], expected[0], rtol=tolerance, equal_nan=True), (
            "a ramp must read after its first pulse"
        )
        rule = "a ramp must leave a cell alone once it is inside its window"
        assert (answer.flags[1:] == Flag.NOT_ADDRESSED).all(), rule
        assert np.isnan(answer.current_a[1:]).all(), rule
