"""The emulated array: what it answers, its noise, its clock, its compliance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwloop.array.operations import Flag, PulseMap, ReadMap, VectorBatch
from hwloop.array.settings import ArraySettings
from hwloop.backend.base import CrossbarBackend
from hwloop.backend.guard import Guard
from hwloop.backend.kind import OpenRequest
from hwloop.errors import ConfigError, Unsupported
from hwloop.testing import check_backend
from hwloop_sim.emulator.backend import SimSettings, open_sim

TABLE_CONDUCTANCE_S = (1.0e-6, 1.4e-6, 1.3e-6, 2.0e-6)
ARRAY = {
    "rows": 3,
    "cols": 4,
    "biasing": "V/2",
    "limits": {
        "positive_v": 2.5,
        "negative_v": -2.5,
        "read_v": 0.2,
        "half_select_v": 1.3,
        "current_a": 1e-3,
        "pulse_width_s": 0.1,
        "pulse_energy_j": 1.0,
        "pulses_per_device": 1000,
    },
    "read": {"read_v": 0.1, "both_polarities": False},
}


def array_settings(**limits: float) -> ArraySettings:
    return ArraySettings.parse(ARRAY | {"limits": ARRAY["limits"] | limits})  # type: ignore[operator]


def emulated(
    population: int | None = None, *, seed: int = 1, current_a: float = 1e-3, **sim: object
) -> CrossbarBackend:
    table = {
        "title": "four states",
        "source": "made for this test",
        "conditions": {"amplitude_v": 2.0, "width_s": 1e-3},
        "conductance_s": TABLE_CONDUCTANCE_S,
    }
    noise = {key: sim.pop(key) for key in ("read_noise",) if key in sim}
    device = {"model": "pulse_table", "calibration": table, **sim}
    request = OpenRequest(
        array_settings(current_a=current_a), population, np.random.default_rng(seed)
    )
    return open_sim(SimSettings.parse({"device": device, **noise}), request)


def one_pulse() -> PulseMap:
    amplitude_v = np.zeros((3, 4))
    amplitude_v[1, 2] = 2.0
    return PulseMap(amplitude_v, 1e-3)


def conductance_s(backend: CrossbarBackend) -> np.ndarray:
    return backend.read(ReadMap.every_cell((3, 4), read_v=0.1)).current_a / 0.1


@pytest.mark.parametrize("population", [None, 1, 5])
def test_the_emulator_keeps_to_the_contract_of_backends(population: int | None) -> None:
    check_backend(lambda: emulated(population), pulse=one_pulse(), read_v=0.1)


def test_a_guarded_emulator_keeps_to_the_contract_of_backends() -> None:
    check_backend(lambda: Guard(emulated(), array_settings()), pulse=one_pulse(), read_v=0.1)


def test_without_a_shift_the_cell_is_the_measured_device() -> None:
    backend = emulated()
    for expected in TABLE_CONDUCTANCE_S:
        assert conductance_s(backend)[1, 2] == pytest.approx(expected, rel=1e-12)
        backend.pulse(one_pulse())


def test_gain_and_shift_follow_the_published_formula() -> None:
    shifts = np.arange(12).reshape(3, 4) * 1e-7
    backend = emulated(
        gain=10, shift={"distribution": "given", "values_conductance_s": shifts.tolist()}
    )
    backend.pulse(PulseMap(np.full((3, 4), 2.0), 1e-3, count=2))
    np.testing.assert_allclose(conductance_s(backend), 10 * (0.3e-6 + shifts), rtol=1e-12)


def test_a_cell_saturates_at_the_end_of_the_table_and_says_so_once() -> None:
    backend = emulated()
    backend.pulse(PulseMap(one_pulse().amplitude_v, 1e-3, count=7))
    (event,) = backend.take_events()
    assert "saturated: 1 cell" in event.message
    assert "cell (1, 2)" in event.message
    backend.pulse(one_pulse())
    assert backend.take_events() == []
    assert conductance_s(backend)[1, 2] == pytest.approx(TABLE_CONDUCTANCE_S[-1])


@pytest.mark.parametrize(
    ("pulse", "words"),
    [
        (PulseMap(np.full((3, 4), 1.9), 1e-3), "1.9 V"),
        (PulseMap(np.full((3, 4), -2.0), 1e-3), "-2 V"),
        (PulseMap(np.full((3, 4), 2.0), 2e-3), "2 ms"),
        (PulseMap(np.full((3, 4), 2.0), 1e-3, gate_v=1.5), "a gate at 1.5 V"),
    ],
)
def test_a_pulse_that_was_not_measured_is_refused(pulse: PulseMap, words: str) -> None:
    backend = emulated()
    before = conductance_s(backend)
    with pytest.raises(Unsupported, match="four states") as refusal:
        backend.pulse(pulse)
    assert words in str(refusal.value)
    assert (conductance_s(backend) == before).all()


def test_a_shift_that_makes_a_conductance_negative_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"shift: cell \(0, 0\)"):
        emulated(
            shift={"distribution": "given", "values_conductance_s": np.full((3, 4), -1e-9).tolist()}
        )


def test_read_noise_has_the_standard_deviation_asked_for() -> None:
    backend = emulated(4000, read_noise=0.05)
    single = backend.read(ReadMap.every_cell((3, 4), read_v=0.1)).current_a
    both = backend.read(ReadMap.every_cell((3, 4), read_v=0.1, both_polarities=True)).current_a
    # 48,000 values: the relative standard error of a deviation is 1/sqrt(2 n) = 0.32 %.
    assert single.std() / single.mean() == pytest.approx(0.05, rel=0.02)
    assert both.std() / both.mean() == pytest.approx(0.05 / np.sqrt(2), rel=0.02)


def test_multiply_noise_is_that_of_the_cells_in_quadrature() -> None:
    backend = emulated(8000, read_noise=0.05)
    current_a = backend.multiply(VectorBatch(np.array([[0.1, -0.1, 0.05]]))).current_a
    expected = 0.05 * TABLE_CONDUCTANCE_S[0] * np.sqrt(0.1**2 + 0.1**2 + 0.05**2)
    assert current_a.std() == pytest.approx(expected, rel=0.02)
    assert current_a.mean() == pytest.approx(0.05 * TABLE_CONDUCTANCE_S[0], rel=0.02)


def test_cycle_to_cycle_scatter_keeps_the_mean_step_and_has_its_spread() -> None:
    backend = emulated(20000, cycle_to_cycle=0.3)
    backend.pulse(one_pulse())
    step_conductance_s = conductance_s(backend)[:, 1, 2] - TABLE_CONDUCTANCE_S[0]
    # A lognormal factor of mean 1: variance exp(sigma^2) - 1.
    assert step_conductance_s.mean() == pytest.approx(0.4e-6, rel=0.01)
    assert step_conductance_s.std() == pytest.approx(0.4e-6 * np.sqrt(np.exp(0.09) - 1), rel=0.03)
    assert (step_conductance_s > 0).all()


def test_scatter_that_would_go_below_zero_is_held_there_and_said() -> None:
    backend = emulated(
        5000,
        cycle_to_cycle=3.0,
        gain=1,
        shift={"distribution": "given", "values_conductance_s": np.full((3, 4), 1e-9).tolist()},
    )
    for _ in range(3):
        backend.pulse(PulseMap(np.full((3, 4), 2.0), 1e-3))
    assert conductance_s(backend).min() >= 0
    assert any("held at 0 S" in event.message for event in backend.take_events())


def test_current_beyond_the_compliance_is_nan_and_flagged() -> None:
    # A row that is read carries its four cells, each 0.1 µA; one of them gets a pulse of 0.04 µA.
    backend = emulated(current_a=4.2e-7)
    backend.pulse(one_pulse())
    reading = backend.read(ReadMap.every_cell((3, 4), read_v=0.1))
    assert np.isnan(reading.current_a[1]).all()
    assert (reading.flags[1] == Flag.COMPLIANCE).all()
    assert np.isfinite(reading.current_a).sum() == 8
    assert not reading.complete


def test_the_clock_counts_pulses_and_reads() -> None:
    backend = emulated()
    backend.pulse(PulseMap(np.full((3, 4), 2.0), 1e-3, count=2))
    assert backend.now_s() == pytest.approx(12 * 2 * 1e-3)
    backend.read(ReadMap.every_cell((3, 4), read_v=0.1, both_polarities=True))
    assert backend.now_s() == pytest.approx(0.024 + 24e-3)


def test_a_population_of_one_equals_an_array_alone_to_the_last_bit() -> None:
    options = {
        "cycle_to_cycle": 0.2,
        "read_noise": 0.01,
        "shift": {"distribution": "lognormal", "median_conductance_s": 1e-7, "sigma": 0.4},
    }
    answers = []
    for population in (None, 1):
        backend = emulated(population, **options)
        backend.pulse(one_pulse())
        answers.append(conductance_s(backend).reshape(3, 4))
    assert (answers[0] == answers[1]).all()


def test_scaled_lognormal_meets_its_bounds_on_every_array_and_is_lognormal_between() -> None:
    shift = {
        "distribution": "scaled_lognormal",
        "min_conductance_s": 1e-8,
        "max_conductance_s": 1e-7,
        "divisor": 5,
    }
    values = conductance_s(emulated(500, shift=shift))
    np.testing.assert_allclose(values.min(axis=(1, 2)), 1e-8, rtol=1e-9)
    np.testing.assert_allclose(values.max(axis=(1, 2)), 1e-7, rtol=1e-9)
    # Skewed to the low side, as a lognormal is: the median lies below the middle of the bounds.
    assert np.median(values) < 5.5e-8 * 0.9


def test_lognormal_has_its_median_and_its_spread() -> None:
    shift = {"distribution": "lognormal", "median_conductance_s": 3e-7, "sigma": 0.4}
    logs = np.log(conductance_s(emulated(3000, shift=shift)))
    assert np.exp(np.median(logs)) == pytest.approx(3e-7, rel=0.02)
    assert logs.std() == pytest.approx(0.4, rel=0.02)


@settings(max_examples=40, deadline=None)
@given(
    masks=st.lists(st.lists(st.booleans(), min_size=12, max_size=12), min_size=1, max_size=6),
    scatter=st.just(0.0) | st.floats(1e-9, 1),
)
def test_cells_that_are_not_addressed_never_change_and_none_goes_below_zero(
    masks: list[list[bool]], scatter: float
) -> None:
    backend = emulated(cycle_to_cycle=scatter)
    for mask in masks:
        addressed = np.array(mask).reshape(3, 4)
        before = conductance_s(backend)
        backend.pulse(PulseMap(2.0 * addressed, 1e-3))
        after = conductance_s(backend)
        assert (after[~addressed] == before[~addressed]).all()
        assert (after >= 0).all()
