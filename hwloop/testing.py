"""The conformance suite of backends: what every one of them must keep to.

::

    from hwloop.testing import check_backend

    def test_my_backend_keeps_to_the_contract():
        check_backend(lambda: MyBackend(...), pulse=a_pulse_that_it_supports, read_v=0.05)
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hwloop.backend import CrossbarBackend
from hwloop.errors import BackendError, Unsupported
from hwloop.operations import Flag, FloatArray, Operation, PulseMap, ReadMap, VectorBatch, Wait

Make = Callable[[], CrossbarBackend]


def check_backend(
    make: Make, *, pulse: PulseMap, read_v: float, relative_tolerance: float = 1e-9
) -> None:
    """Check every rule on fresh backends from ``make``; AssertionError says which is broken.

    ``pulse``: a map that the backend supports. ``read_v``: a harmless read voltage.
    ``relative_tolerance``: by which repeated reads, and multiplications against reads, may differ.
    """
    _check_description(make)
    _check_groups(make)
    _check_reads(make, read_v, relative_tolerance)
    _check_multiply(make, read_v, relative_tolerance)
    _check_pulses(make, pulse, read_v, relative_tolerance)
    _check_clock(make, pulse, read_v)
    _check_events(make, pulse)
    _check_end(make, pulse, read_v)


def _check_description(make: Make) -> None:
    with make() as backend:
        first, second = backend.description, backend.description
        assert first == second, "the description of an open backend must not change"
        assert first.shape[-2:] == first.geometry.shape, "the shape must end in (rows, cols)"


def _check_groups(make: Make) -> None:
    with make() as backend:
        covered = np.zeros(backend.description.geometry.shape, dtype=int)
        for group in backend.groups():
            covered += group
        assert (covered == 1).all(), "the groups must cover every cell exactly once"


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
            _expect(Unsupported, backend, batch, "multiply 'none' must refuse with Unsupported")
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
        absurd = PulseMap(pulse.amplitude_v * 1e6, pulse.width_s)
        try:
            backend.check(absurd)
        except Exception as refusal:  # noqa: BLE001 - any refusal, but the same one
            _expect(type(refusal), backend, absurd, "what check refuses must be refused when done")


def _check_clock(make: Make, pulse: PulseMap, read_v: float) -> None:
    with make() as backend:
        read = ReadMap.every_cell(backend.description.geometry.shape, read_v=read_v)
        times = [backend.now_s()]
        for operation in (read, pulse, Wait(0.25), read):
            backend.perform(operation)
            times.append(backend.now_s())
        assert times == sorted(times), "the clock must never run backwards"
        assert times[3] - times[2] >= 0.25 * (1 - 1e-9), "a wait must let its duration pass"
        assert backend.now_s() == times[-1], "the clock must stand still between operations"


def _check_events(make: Make, pulse: PulseMap) -> None:
    with make() as backend:
        backend.pulse(pulse)
        backend.take_events()
        assert backend.take_events() == [], "events must be handed out once"


def _check_end(make: Make, pulse: PulseMap, read_v: float) -> None:
    backend = make()
    backend.make_safe()
    backend.make_safe()
    _read_all(backend, read_v)
    backend.close()
    backend.close()
    backend.make_safe()
    read = ReadMap.every_cell(backend.description.geometry.shape, read_v=read_v)
    operations: tuple[Operation, ...] = (read, pulse, Wait(0.0))
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
    raise AssertionError(rule)
