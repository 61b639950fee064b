"""Operations as plain data: what they accept, and what they make of it."""

from __future__ import annotations

import numpy as np
import pytest

from hwloop.array.operations import PulseMap

AMPLITUDE_V = np.array([[1.0, 0.0], [-1.0, 2.0]])


def test_a_gate_map_counts_where_a_cell_is_addressed_and_nowhere_else() -> None:
    pulse = PulseMap(AMPLITUDE_V, 1e-3, gate_v=np.array([[1.5, np.nan], [3.0, 2.0]]))
    np.testing.assert_array_equal(pulse.gate_v, [[1.5, 0.0], [3.0, 2.0]])
    assert (pulse.highest_gate_v, pulse.gate_at((1, 0)), pulse.gate_at((0, 1))) == (3.0, 3.0, 0.0)
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(pulse.gate_v)[0, 0] = 9.0


def test_a_gate_map_of_one_array_serves_every_array_of_a_population() -> None:
    amplitude_v = np.broadcast_to(AMPLITUDE_V, (3, 2, 2))
    pulse = PulseMap(amplitude_v, 1e-3, gate_v=np.array([[1.5, 0.0], [3.0, 2.0]]))
    assert np.shape(pulse.gate_v) == (3, 2, 2)
    assert pulse.gate_at((2, 1, 1)) == 2.0


def test_one_gate_voltage_stays_one_and_none_stays_none() -> None:
    assert PulseMap(AMPLITUDE_V, 1e-3, gate_v=2).gate_v == 2.0
    assert PulseMap(AMPLITUDE_V, 1e-3, gate_v=2).gate_at((0, 1)) == 2.0
    assert PulseMap(AMPLITUDE_V, 1e-3).highest_gate_v is None
    assert PulseMap(0 * AMPLITUDE_V, 1e-3, gate_v=AMPLITUDE_V).highest_gate_v == 0.0


@pytest.mark.parametrize(
    ("gate_v", "words"),
    [
        (np.inf, "gate_v inf is not finite"),
        (np.full((2, 2), np.nan), r"gate_v at \(0, 0\) is nan: every entry must be finite"),
        (np.ones((3, 2)), r"gate_v has shape \(3, 2\), amplitude_v \(2, 2\)"),
        (np.ones((4, 2, 2)), r"gate_v has shape \(4, 2, 2\), amplitude_v \(2, 2\)"),
    ],
)
def test_a_gate_that_is_no_voltage_or_of_another_array_is_refused(
    gate_v: np.ndarray, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        PulseMap(AMPLITUDE_V, 1e-3, gate_v=gate_v)
