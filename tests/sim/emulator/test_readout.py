"""Tiles and converters around an array, on random matrices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwloop.array.operations import Flag, VectorBatch
from hwloop.errors import ConfigError, Unsupported
from hwloop.testing import check_backend
from hwloop_sim.emulator.backend import SimSettings
from tests.emulated import DEVICE, emulated, everywhere, read_all

SHIFTS = {"distribution": "lognormal", "median_conductance_s": "5 uS", "sigma": 0.8}
RANDOM = DEVICE | {"shift": SHIFTS}
FINE = {"bits": 24, "range": {"kind": "calibrated", "margin": 0.5}}


def vectors(rows: int, batch: int = 7, seed: int = 2) -> VectorBatch:
    return VectorBatch(np.random.default_rng(seed).uniform(-0.2, 0.2, (batch, rows)))


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 40), st.integers(1, 30), st.integers(1, 45), st.integers(1, 35), st.booleans()
)
def test_tiles_of_any_size_add_up_to_the_whole(
    rows: int, cols: int, tile_rows: int, tile_cols: int, converted: bool
) -> None:
    converters = {"tiles": {"rows": tile_rows, "cols": tile_cols}}
    converters |= {"adc": FINE} if converted else {}
    batch = vectors(rows)
    whole = emulated(rows, cols, device=RANDOM).multiply(batch).current_a
    tiled = emulated(rows, cols, device=RANDOM, converters=converters).multiply(batch).current_a
    np.testing.assert_allclose(tiled, whole, rtol=1e-12, atol=1e-10 if converted else 1e-18)


def test_each_tile_is_converted_by_itself() -> None:
    converters = {
        "tiles": {"rows": 4},
        "adc": {"bits": 4, "range": {"kind": "fixed", "low_a": -8e-6, "high_a": 8e-6}},
    }
    batch = vectors(10)
    backend = emulated(10, 6, device=RANDOM, converters=converters)
    conductance_s = read_all(emulated(10, 6, device=RANDOM), 0.1) / 0.1
    step_a = 16e-6 / 14
    expected = sum(
        np.rint(batch.voltage_v[:, rows] @ conductance_s[rows] / step_a) * step_a
        for rows in (slice(0, 4), slice(4, 8), slice(8, 10))
    )
    np.testing.assert_allclose(backend.multiply(batch).current_a, expected, atol=1e-18)


def test_a_partial_sum_over_range_makes_the_sum_none_and_flags_it() -> None:
    adc = {"bits": 8, "range": {"kind": "fixed", "low_a": -1e-7, "high_a": 1e-7}}
    backend = emulated(4, 3, converters={"adc": adc, "tiles": {"rows": 2}})
    voltage_v = np.array([[0.2, 0.2, -0.2, -0.2], [0.01, 0.01, 0.0, 0.0]])
    reading = backend.multiply(VectorBatch(voltage_v))
    assert np.isnan(reading.current_a[0]).all(), "the sum is 0 A, but neither part was measured"
    assert (reading.flags[0] == Flag.OVER_RANGE).all()
    assert np.isfinite(reading.current_a[1]).all()
    assert (reading.flags[1] == 0).all()
    assert not reading.complete


def test_a_current_at_compliance_is_flagged_as_such_by_the_adc_too() -> None:
    adc = {"bits": 8, "range": {"kind": "fixed", "low_a": 0, "high_a": 1}}
    backend = emulated(4, 3, converters={"adc": adc}, current_a=1e-7)
    reading = backend.multiply(VectorBatch(np.full((1, 4), 0.2)))
    assert (reading.flags == Flag.COMPLIANCE).all()
    assert np.isnan(reading.current_a).all()


@pytest.mark.parametrize("batch", [20, 5000])  # of 4 columns: 80 currents, and 20,000
def test_compliance_is_the_same_for_few_and_for_many_currents(batch: int) -> None:
    vectors_v, bound_a = vectors(60, batch=batch), 15e-6
    reading = emulated(60, 4, device=RANDOM, current_a=bound_a).multiply(vectors_v)
    conductance_s = read_all(emulated(60, 4, device=RANDOM)) / 0.1
    current_a = vectors_v.voltage_v @ conductance_s
    of_column = np.abs(current_a) > bound_a
    of_row = (np.abs(vectors_v.voltage_v) * conductance_s.sum(axis=1) > bound_a).any(axis=1)
    assert 0 < of_row.sum() < batch
    assert of_column[~of_row].any()
    beyond = of_column | of_row[:, None]
    assert (reading.flags == beyond * Flag.COMPLIANCE).all()
    np.testing.assert_allclose(reading.current_a, np.where(beyond, np.nan, current_a), rtol=1e-9)


def test_every_tile_of_every_array_has_an_adc_of_its_own() -> None:
    adc = FINE | {"gain_sigma": 0.05, "offset_sigma_a": "10 nA"}
    converters = {"adc": adc, "tiles": {"rows": 2, "cols": 3}}
    backend = emulated(4, 6, population=2, converters=converters)
    one = backend.multiply(VectorBatch(np.full((1, 4), 0.1))).current_a
    assert len(np.unique(np.round(one, 15))) == 4, "one for each column of tiles and array"
    again = backend.multiply(VectorBatch(np.full((1, 4), 0.1))).current_a
    np.testing.assert_array_equal(one, again)


def test_the_first_multiplication_calibrates_and_the_log_says_to_what() -> None:
    converters = {"adc": {"bits": 8, "range": {"kind": "calibrated"}}}
    backend = emulated(4, 3, converters=converters)
    first = backend.multiply(VectorBatch(np.full((1, 4), 0.1)))
    (event,) = backend.take_events()
    assert event.message == "ADC: 8 bits from 0 A to 400 nA, a step of 1.569 nA"
    assert first.complete
    more = backend.multiply(VectorBatch(np.full((1, 4), 0.2)))
    assert (more.flags == Flag.OVER_RANGE).all()
    assert backend.take_events() == []


def test_a_voltage_beyond_the_dac_is_refused_before_anything_happens() -> None:
    dac = {"bits": 8, "low_v": -0.1, "high_v": 0.1}
    backend = emulated(4, 3, converters={"dac": dac})
    with pytest.raises(Unsupported, match=r"vector 0, row 0: voltage_v 0\.2 is outside"):
        backend.multiply(VectorBatch(np.full((1, 4), 0.2)))
    assert backend.now_s() == 0


def test_an_emulator_with_fine_converters_and_tiles_keeps_to_the_contract() -> None:
    converters = {
        "dac": {"bits": 24, "low_v": -1, "high_v": 1},
        "adc": {"bits": 24, "range": {"kind": "fixed", "low_a": -1e-4, "high_a": 1e-4}},
        "tiles": {"rows": 3, "cols": 3},
    }
    backend = emulated(4, 4)
    pulse = everywhere(Cells(read_all(backend)), 0.0)
    amplitude_v = pulse.amplitude_v.copy()
    amplitude_v[1, 2] = 2.0
    check_backend(
        lambda: emulated(4, 4, converters=converters),
        pulse=type(pulse)(amplitude_v, 1e-3),
        read_v=0.1,
        relative_tolerance=1e-3,
    )


class Cells:
    """Just enough of a device for a map of its shape."""

    def __init__(self, conductance_s: np.ndarray) -> None:
        self.conductance_s = conductance_s


@pytest.mark.parametrize(
    ("converters", "words"),
    [
        ({"tiles": {"rows": 0}}, r"converters\.tiles\.rows"),
        ({"adc": {"bits": 8}}, r"converters\.adc\.range"),
        ({"adc": {"bits": 8, "range": {"kind": "guessed"}}}, "fixed"),
        ({"dac": {"bits": 8, "low_v": 1, "high_v": -1}}, "must be below high_v"),
    ],
)
def test_converters_outside_their_validity_are_refused(
    converters: dict[str, object], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        SimSettings.parse({"device": DEVICE, "converters": converters})
