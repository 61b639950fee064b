from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hwloop.array.operations import Operation, PulseMap, ReadMap, VectorBatch, Wait
from hwloop.array.settings import ArraySettings
from hwloop.backend.guard import Guard
from hwloop.errors import BackendError, LimitError, Unsupported

MakeArray = Callable[..., ArraySettings]
SCHEMES = ("V/2", "V/3", "grounded", "floating", "1T1R")


def line_voltages_v(
    scheme: str, shape: tuple[int, int], row: int, col: int, v: float
) -> tuple[list[float], list[float]]:
    """What the table of biasing schemes puts on the lines; for driven schemes only."""
    selected_row, selected_col, other_row, other_col = {
        "V/2": (v / 2, -v / 2, 0.0, 0.0),
        "V/3": (2 * v / 3, -v / 3, 0.0, v / 3),
        "grounded": (v, 0.0, 0.0, 0.0),
    }[scheme]
    rows = [selected_row if i == row else other_row for i in range(shape[0])]
    cols = [selected_col if j == col else other_col for j in range(shape[1])]
    return rows, cols


def half_selected_v(scheme: str, amplitude_v: np.ndarray) -> Iterator[float]:
    """Magnitude on each unselected cell while each cell of a (rows, cols) map has its pulse."""
    rows, cols = amplitude_v.shape
    for row in range(rows):
        for col in range(cols):
            v = float(amplitude_v[row, col])
            if v == 0:
                continue
            for i in range(rows):
                for j in range(cols):
                    if (i, j) == (row, col) or scheme == "1T1R":
                        continue
                    if scheme == "floating":
                        yield abs(v)
                        continue
                    row_v, col_v = line_voltages_v(scheme, (rows, cols), row, col, v)
                    yield abs(row_v[i] - col_v[j])


def is_over(pulse: PulseMap, array: ArraySettings) -> bool:
    """By brute force: whether any limit would be exceeded."""
    limits, amplitude_v = array.limits, pulse.amplitude_v
    if pulse.width_s > limits.pulse_width_s:
        return True
    for value in amplitude_v.ravel():
        if not limits.negative_v <= value <= limits.positive_v:
            return True
        if abs(value) * limits.current_a * pulse.width_s > limits.pulse_energy_j:
            return True
        if value != 0 and array.pulses_before + pulse.count > limits.pulses_per_device:
            return True
    maps = amplitude_v.reshape(-1, *amplitude_v.shape[-2:])
    worst = max((v for one in maps for v in half_selected_v(array.biasing, one)), default=0.0)
    return worst > limits.half_select_v


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), scheme=st.sampled_from(SCHEMES))
def test_guard_refuses_a_pulse_if_and_only_if_some_cell_would_be_over_a_limit(
    data: st.DataObject, scheme: str, linear_array: type[Any], array_settings: MakeArray
) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=2, max_side=4))
    population = data.draw(st.sampled_from([(), (1,), (3,)]))
    map_shape = data.draw(st.sampled_from([shape, (*population, *shape)]))
    # Quarter volts against limits that are none of their halves or thirds: no ties by rounding.
    quarters = st.integers(-12, 12) | st.just(0)
    amplitude_v = 0.25 * data.draw(hnp.arrays(np.float64, map_shape, elements=quarters))
    array = array_settings(
        *shape,
        biasing=scheme,
        cell="1T1R" if scheme == "1T1R" else "1R",
        positive_v=data.draw(st.sampled_from([1.013, 2.013, 9.0])),
        negative_v=-data.draw(st.sampled_from([1.013, 2.013, 9.0])),
        half_select_v=data.draw(st.sampled_from([0.317, 0.717, 1.117, 2.117, 9.0])),
        pulse_energy_j=data.draw(st.sampled_from([1e-6, 1e-3])),
        pulses_per_device=10,
        pulses_before=data.draw(st.integers(0, 10)),
    )
    pulse = PulseMap(
        amplitude_v, data.draw(st.sampled_from([1e-4, 1e-3, 0.2])), data.draw(st.integers(1, 4))
    )
    backend = linear_array(np.full((*population, *shape), 1e-6))
    guard = Guard(backend, array)
    before = guard.pulses.copy()
    if is_over(pulse, array):
        for attempt in (guard.check, guard.perform, guard.pulse):
            with pytest.raises(LimitError):
                attempt(pulse)
        assert backend.done == []
        assert (guard.pulses == before).all()
    else:
        guard.check(pulse)
        assert backend.done == []
        guard.pulse(pulse)
        assert backend.done == [pulse]
        assert (guard.pulses - before == (amplitude_v != 0) * pulse.count).all()


def test_exactly_a_limit_is_allowed_under_every_scheme(
    linear_array: type[Any], array_settings: MakeArray
) -> None:
    for scheme, amplitude_v, half_select_v in (
        ("V/2", 3.0, 1.5),
        ("V/2", 0.7, 0.35),
        ("V/3", 3.0, 1.0),
        ("V/3", 0.9, 0.3),
        ("V/3", 1.8, 0.6),
        ("grounded", 1.1, 1.1),
    ):
        array = array_settings(
            2, 2, biasing=scheme, positive_v=amplitude_v, half_select_v=half_select_v
        )
        guard = Guard(linear_array(np.ones((2, 2))), array)
        guard.pulse(PulseMap(np.array([[amplitude_v, 0], [0, 0]]), 1e-3))
        assert guard.pulses.tolist() == [[1, 0], [0, 0]]


def one(amplitude_v: float, width_s: float = 1e-3, **more: Any) -> PulseMap:
    amplitudes_v = np.zeros((2, 3))
    amplitudes_v[1, 2] = amplitude_v
    return PulseMap(amplitudes_v, width_s, **more)


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (one(2.6), "cell (1, 2): amplitude_v 2.6 exceeds limits.positive_v 2.5"),
        (one(-3.1), "cell (1, 2): amplitude_v -3.1 is below limits.negative_v -3"),
        (one(1, 0.11), "width_s 0.11 exceeds limits.pulse_width_s 0.1"),
        (
            one(1.6, 0.1),
            "cell (1, 2): a pulse of 1.6 V and 0.1 s delivers up to 0.00016 J at limits.current_a"
            " 0.001; exceeds limits.pulse_energy_j 0.00015",
        ),
        (
            one(1.5),
            "cell (0, 2): 0.75 V while half-selected (scheme V/2) exceeds limits.half_select_v 0.7",
        ),
        (
            one(1, count=8),
            "cell (1, 2): this would be pulse 11 of its life; exceeds limits.pulses_per_device 10",
        ),
        (one(1, gate_v=1.0), "gate_v 1 given, but the array has no limits.gate_v"),
        (ReadMap(np.ones((2, 3)), 0.21), "read_v 0.21 exceeds limits.read_v 0.2"),
        (ReadMap(np.ones((2, 3)), -0.21), "read_v -0.21 exceeds limits.read_v 0.2"),
        (
            VectorBatch(np.array([[0.1, 0.1], [0.1, -0.3]])),
            "vector 1, row 1: voltage_v -0.3 exceeds limits.read_v 0.2",
        ),
    ],
)
def test_refusal_names_cell_value_and_bound(
    operation: Operation, message: str, linear_array: type[Any], array_settings: MakeArray
) -> None:
    array = array_settings(
        2, 3, half_select_v=0.7, pulse_energy_j=1.5e-4, pulses_per_device=10, pulses_before=3
    )
    if "delivers" in message:
        array = array_settings(2, 3, pulse_energy_j=1.5e-4)
    backend = linear_array(np.ones((2, 3)))
    with pytest.raises(LimitError) as caught:
        Guard(backend, array).perform(operation)
    assert str(caught.value) == message
    assert backend.done == []


def test_refusal_in_a_population_names_the_array(
    linear_array: type[Any], array_settings: MakeArray
) -> None:
    guard = Guard(linear_array(np.ones((3, 2, 3))), array_settings(2, 3))
    amplitude_v = np.zeros((3, 2, 3))
    amplitude_v[2, 0, 1] = 9.0
    with pytest.raises(LimitError, match=r"array 2, cell \(0, 1\): amplitude_v 9 exceeds"):
        guard.pulse(PulseMap(amplitude_v, 1e-3))


def test_gate_voltage_is_held_to_its_range(
    linear_array: type[Any], array_settings: MakeArray
) -> None:
    array = array_settings(2, 3, cell="1T1R", biasing="1T1R", gate_v=2.0)
    guard = Guard(linear_array(np.ones((2, 3))), array)
    for gate_v in (-0.1, 2.1):
        with pytest.raises(LimitError, match=f"gate_v {gate_v:g} is outside 0 to limits.gate_v 2"):
            guard.pulse(one(1, gate_v=gate_v))
    guard.pulse(one(1, gate_v=2.0))


def test_the_gate_of_each_cell_is_held_to_its_range_and_the_worst_cell_named(
    linear_array: type[Any], array_settings: MakeArray
) -> None:
    array = array_settings(2, 3, cell="1T1R", biasing="1T1R", gate_v=2.0)
    guard = Guard(linear_array(np.ones((2, 3))), array)
    amplitude_v = np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]])
    for worst_v in (-0.1, 2.1):
        gate_v = np.array([[1.0, 1.5, np.nan], [9.0, worst_v, 2.0]])
        words = rf"cell \(1, 1\): gate_v {worst_v:g} is outside 0 to limits.gate_v 2"
        with pytest.raises(LimitError, match=words):
            guard.pulse(PulseMap(amplitude_v, 1e-3, gate_v=gate_v))
    assert guard.pulses.sum() == 0
    guard.pulse(PulseMap(amplitude_v, 1e-3, gate_v=np.array([[1.0, 1.5, 9.0], [9.0, 2.0, 2.0]])))
    assert guard.pulses.sum() == 4


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    trains=st.lists(
        st.tuples(hnp.arrays(np.bool_, (2, 2)), st.integers(1, 5)), min_size=1, max_size=12
    ),
    before=st.integers(0, 8),
)
def test_life_of_every_device_is_counted_and_never_exceeded(
    trains: list[tuple[np.ndarray, int]],
    before: int,
    linear_array: type[Any],
    array_settings: MakeArray,
) -> None:
    guard = Guard(
        linear_array(np.ones((2, 2))), array_settings(pulses_per_device=8, pulses_before=before)
    )
    life = [[before, before], [before, before]]
    for addressed, count in trains:
        after = [[life[i][j] + count * int(addressed[i, j]) for j in range(2)] for i in range(2)]
        over = any(after[i][j] > 8 and addressed[i, j] for i in range(2) for j in range(2))
        pulse = PulseMap(np.where(addressed, 1.0, 0.0), 1e-3, count)
        if over:
            with pytest.raises(LimitError, match=r"exceeds limits\.pulses_per_device 8"):
                guard.pulse(pulse)
        else:
            guard.pulse(pulse)
            life = after
        assert guard.pulses.tolist() == life


def test_count_beyond_all_integers_is_refused_and_does_not_wrap_around(
    linear_array: type[Any], array_settings: MakeArray
) -> None:
    guard = Guard(linear_array(np.ones((2, 3))), array_settings(2, 3, pulses_before=1))
    for count in (2**63 - 1, 2**63, 2**64):
        with pytest.raises(LimitError, match=r"exceeds limits\.pulses_per_device 1000"):
            guard.pulse(one(1, count=count))
    assert guard.pulses.max() == 1


def test_pulse_that_failed_half_way_is_counted(
    linear_array: type[Any], array_settings: MakeArray
) -> None:
    backend = linear_array(np.ones((2, 3)))
    guard = Guard(backend, array_settings(2, 3))
    backend.close()
    with pytest.raises(BackendError, match="linear array is closed"):
        guard.pulse(one(1))
    assert guard.pulses.sum() == 1


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (PulseMap(np.zeros((3, 2)), 1.0), "amplitude_v has shape (3, 2); the array has (4, 2, 3)"),
        (PulseMap(np.zeros((5, 2, 3)), 1.0), "amplitude_v has shape (5, 2, 3); the array has"),
        (ReadMap(np.ones((1, 1)), 0.1), "addressed has shape (1, 1); the array has (4, 2, 3)"),
        (VectorBatch(np.zeros((1, 3))), "voltage_v has 3 rows; the array has 2"),
        (VectorBatch(np.zeros((5, 1, 2))), "for a population (5,); the backend holds (4,)"),
    ],
)
def test_operation_of_another_shape_is_refused(
    operation: Operation, message: str, linear_array: type[Any], array_settings: MakeArray
) -> None:
    backend = linear_array(np.ones((4, 2, 3)))
    with pytest.raises(BackendError) as caught:
        Guard(backend, array_settings(2, 3)).perform(operation)
    assert message in str(caught.value)
    assert backend.done == []


def test_reads_vectors_and_waits_within_limits_reach_the_backend(
    linear_array: type[Any], array_settings: MakeArray
) -> None:
    backend = linear_array(np.ones((2, 3)) * 1e-6)
    guard = Guard(backend, array_settings(2, 3))
    assert guard.read(ReadMap(np.ones((2, 3)), 0.2)).current_a.tolist() == [[2e-7] * 3] * 2
    assert guard.multiply(VectorBatch(np.array([[0.2, -0.1]]))).current_a[0, 0] == pytest.approx(
        1e-7
    )
    guard.multiply(VectorBatch(np.zeros((0, 2))))
    guard.wait(Wait(1.0))
    assert len(backend.done) == 4


def test_closed_guard_refuses_and_says_so(
    linear_array: type[Any], array_settings: MakeArray
) -> None:
    backend = linear_array(np.ones((2, 3)))
    guard = Guard(backend, array_settings(2, 3))
    guard.close()
    with pytest.raises(BackendError, match="the backend is closed; open it again"):
        guard.wait(Wait(0.0))
    assert backend.calls == ["close"]


def test_guard_asks_the_backend_whether_it_can(
    linear_array: type[Any], array_settings: MakeArray
) -> None:
    class NoWaits(linear_array):  # type: ignore[misc]
        def check(self, operation: Operation) -> None:
            if isinstance(operation, Wait):
                raise Unsupported("cannot wait")

    guard = Guard(NoWaits(np.ones((2, 3))), array_settings(2, 3))
    with pytest.raises(Unsupported, match="cannot wait"):
        guard.check(Wait(1.0))
