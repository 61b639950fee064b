"""Limits against a brute-force look at every line and every cell."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwloop.array.biasing import Scheme, line_fractions, worst_half_select_v
from hwloop.array.limits import Limits, check_operation
from hwloop.array.operations import PulseMap, Ramp, ReadMap, VectorBatch
from hwloop.errors import LimitError

SCHEMES: tuple[Scheme, ...] = ("V/2", "V/3", "grounded")
LIMITS = {
    "positive_v": 2.0,
    "negative_v": -1.5,
    "read_v": 0.2,
    "half_select_v": 10.0,
    "current_a": 1e-3,
    "pulse_width_s": 0.1,
    "pulse_energy_j": 1.0,
    "pulses_per_device": 10,
}


def limits(**changes: float) -> Limits:
    return Limits.parse(LIMITS | changes)


def lines_v(scheme: Scheme, rows: int, cols: int, row: int, col: int, v: float) -> np.ndarray:
    """ΔV of every cell, written out line by line from the literature, not from the package.

    V/2: selected lines at ±v/2, the others at 0. V/3: selected row v, selected column 0, other
    rows v/3, other columns 2v/3. Grounded: the selected row alone is driven.
    """
    row_v, col_v = np.zeros(rows), np.zeros(cols)
    if scheme == "V/2":
        row_v[row], col_v[col] = v / 2, -v / 2
    elif scheme == "V/3":
        row_v[:], col_v[:] = v / 3, 2 * v / 3
        row_v[row], col_v[col] = v, 0.0
    else:
        row_v[row] = v
    return row_v[:, None] - col_v[None, :]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("amplitude_v", [1.2, -0.9])
def test_the_whole_matrix_of_cell_voltages_is_that_of_the_lines(
    scheme: Scheme, amplitude_v: float
) -> None:
    for row, col in itertools.product(range(3), range(4)):
        rows, cols = line_fractions(scheme, (3, 4), row=np.array([row]), col=np.array([col]))
        seen_v = amplitude_v * (rows[0][:, None] - cols[0])
        np.testing.assert_allclose(
            seen_v, lines_v(scheme, 3, 4, row, col, amplitude_v), rtol=1e-14, atol=1e-15
        )


def test_v_third_leaves_a_third_and_never_two_thirds() -> None:
    amplitude_v = np.zeros((4, 4))
    amplitude_v[1, 2] = 3.0
    seen_v = worst_half_select_v("V/3", amplitude_v)
    seen_v[1, 2] = 1.0
    np.testing.assert_array_equal(seen_v, np.ones((4, 4)))


maps = st.tuples(st.integers(1, 4), st.integers(1, 4)).flatmap(
    lambda shape: st.lists(
        st.sampled_from([0.0, 0.0, 0.6, -0.6, 1.4, -1.4, 1.9]),
        min_size=shape[0] * shape[1],
        max_size=shape[0] * shape[1],
    ).map(lambda values: np.array(values).reshape(shape))
)


def brute_force_worst_v(scheme: Scheme, amplitude_v: np.ndarray) -> np.ndarray:
    worst_v = np.zeros_like(amplitude_v)
    for row, col in np.argwhere(amplitude_v):
        seen_v = np.abs(lines_v(scheme, *amplitude_v.shape, row, col, amplitude_v[row, col]))
        seen_v[row, col] = 0
        worst_v = np.maximum(worst_v, seen_v)
    return worst_v


@given(amplitude_v=maps, scheme=st.sampled_from(SCHEMES))
def test_worst_half_select_voltage_equals_brute_force(
    amplitude_v: np.ndarray, scheme: Scheme
) -> None:
    np.testing.assert_allclose(
        worst_half_select_v(scheme, amplitude_v),
        brute_force_worst_v(scheme, amplitude_v),
        rtol=1e-12,
        atol=1e-12,
    )


@settings(max_examples=200)
@given(
    amplitude_v=maps,
    scheme=st.sampled_from(SCHEMES),
    half_select_v=st.sampled_from([0.25, 0.5, 0.65, 0.72, 1.0, 1.5]),
)
def test_a_pulse_map_is_refused_if_and_only_if_some_cell_would_see_too_much(
    amplitude_v: np.ndarray, scheme: Scheme, half_select_v: float
) -> None:
    bounds = limits(half_select_v=half_select_v)
    harmful = bool(
        (amplitude_v > 2.0).any()
        or (amplitude_v < -1.5).any()
        or (brute_force_worst_v(scheme, amplitude_v) > half_select_v + 1e-12).any()
    )
    try:
        check_operation(PulseMap(amplitude_v, 1e-3), bounds, scheme)
    except LimitError:
        assert harmful
    else:
        assert not harmful


@pytest.mark.parametrize(
    ("pulse", "changes", "words"),
    [
        (
            PulseMap([[0, 2.1], [0, 0]], 1e-3),
            {},
            r"cell \(0, 1\): amplitude_v 2.1 exceeds limits.positive_v 2",
        ),
        (
            PulseMap([[0, 0], [-1.6, 0]], 1e-3),
            {},
            r"cell \(1, 0\): amplitude_v -1.6 is below limits.negative_v -1.5",
        ),
        (PulseMap([[1, 0], [0, 0]], 0.2), {}, "width_s 0.2 exceeds limits.pulse_width_s 0.1"),
        (
            PulseMap([[1, 0], [0, 0]], 0.1),
            {"pulse_energy_j": 9e-5},
            r"cell \(0, 0\).*0.0001 J.*pulse_energy_j 9e-05",
        ),
        (
            PulseMap([[1, 0], [0, 0]], 0.1),
            {"half_select_v": 0.4},
            r"cell \(0, 1\): 0.5 V while half-selected \(scheme V/2\) exceeds limits.half_select_v 0.4",
        ),
        (PulseMap([[[0, 0]], [[0, 2.5]]], 1e-3), {}, r"array 1, cell \(0, 1\): amplitude_v 2.5"),
        (PulseMap([[1, 0], [0, 0]], 0.1, gate_v=1.0), {}, "gate_v 1 given"),
        (
            PulseMap([[1, 0], [0, 0]], 0.1, gate_v=3.0),
            {"gate_v": 2.0},
            "gate_v 3 is outside 0 to limits.gate_v 2",
        ),
        (ReadMap(np.ones((2, 2), dtype=bool), -0.3), {}, "read_v -0.3 exceeds limits.read_v 0.2"),
        (
            VectorBatch([[0.1, 0.1], [0.1, -0.21]]),
            {},
            "vector 1, row 1: voltage_v -0.21 exceeds limits.read_v 0.2",
        ),
    ],
)
def test_a_refusal_names_place_value_and_bound(
    pulse: PulseMap, changes: dict[str, float], words: str
) -> None:
    with pytest.raises(LimitError, match=words):
        check_operation(pulse, limits(**changes), "V/2")


def test_a_one_transistor_cell_spares_its_neighbours() -> None:
    check_operation(PulseMap([[1.9, 0], [0, 0]], 1e-3), limits(half_select_v=1e-9), "1T1R")
    with pytest.raises(LimitError, match="half-selected"):
        check_operation(PulseMap([[1.9, 0], [0, 0]], 1e-3), limits(half_select_v=1.8), "floating")


def _ramp(*, step_v: float = 0.1, read_v: float = 0.1) -> Ramp:
    """Ten pulses of cell (0, 1) from 0.5 V."""
    start_v = np.array([[0.0, 0.5], [0.0, 0.0]])
    bounds = {"low_a": np.array(0.0), "high_a": np.array(1.0)}
    return Ramp(start_v, np.array(step_v), 1e-3, 10, read_v, **bounds)


@pytest.mark.parametrize(
    ("ramp", "changes", "words"),
    [
        (_ramp(step_v=0.2), {}, r"cell \(0, 1\): amplitude_v 2.3 exceeds limits.positive_v 2"),
        (_ramp(), {"half_select_v": 0.69}, r"0.7 V while half-selected \(scheme V/2\) exceeds"),
        (_ramp(), {"pulse_energy_j": 1.39e-6}, r"1.4 V and 0.001 s delivers up to 1.4e-06 J"),
        (_ramp(read_v=0.21), {}, "read_v 0.21 exceeds limits.read_v 0.2"),
    ],
)
def test_a_ramp_is_held_to_its_limits_by_its_strongest_pulse_and_its_reads(
    ramp: Ramp, changes: dict[str, float], words: str
) -> None:
    with pytest.raises(LimitError, match=words):
        check_operation(ramp, limits(**changes), "V/2")


def test_a_ramp_exactly_at_its_limits_is_allowed_under_the_scheme_in_use() -> None:
    exact = limits(positive_v=1.4, half_select_v=1.4 / 3 * (1 + 1e-12), pulse_energy_j=1.41e-6)
    check_operation(_ramp(step_v=0.1 * (1 - 1e-12)), exact, "V/3")
    with pytest.raises(LimitError, match="half-selected"):
        check_operation(_ramp(step_v=0.1 * (1 - 1e-12)), exact, "V/2")


def test_a_gate_at_0_v_or_at_its_limit_is_allowed() -> None:
    for gate_v in (0.0, 2.0):
        pulse = PulseMap([[1, 0], [0, 0]], 0.1, gate_v=gate_v)
        check_operation(pulse, limits(gate_v=2.0), "1T1R")
