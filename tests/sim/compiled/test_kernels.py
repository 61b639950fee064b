"""Compiled loops: counter-based random numbers, whatever the number of threads."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numba
import numpy as np
import pytest
from scipy import stats

from hwloop.array.operations import PulseMap
from hwloop_sim.cells.choice import make_cells
from hwloop_sim.cells.known_pulses import KnownPulse, _all_among
from hwloop_sim.compiled import counter_based_random, kernels
from hwloop_sim.compiled.counter_based_random import Draws, StepScatter
from hwloop_sim.devices import soft_bounds
from hwloop_sim.devices.soft_bounds import SoftBounds, SoftBoundsSettings
from hwloop_sim.emulator.backend import SimSettings
from hwloop_sim.emulator.readout import metered


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        # The known answers of the Random123 distribution, kat_vectors, philox4x32 10.
        ((0, 0), 0, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        (
            (2**64 - 1, 2**64 - 1),
            2**64 - 1,
            (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
        ),
        (
            (0x85A308D3243F6A88, 0x0370734413198A2E),
            0x299F31D0A4093822,
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_the_published_numbers(
    counter: tuple[int, int], key: int, expected: tuple[int, ...]
) -> None:
    words = counter_based_random.philox.py_func
    with np.errstate(over="ignore"):
        answer = words(np.uint64(counter[0]), np.uint64(counter[1]), np.uint64(key))
    assert tuple(int(word) for word in answer) == expected


def test_the_numbers_are_normal_to_their_tails() -> None:
    drawn = kernels.normals(2_000_000, Draws(11))
    assert stats.kstest(drawn, "norm").pvalue > 1e-3
    assert abs(stats.kurtosis(drawn)) < 5 * np.sqrt(24 / drawn.size)
    for bound in (3.0, 4.0):
        beyond = int((np.abs(drawn) > bound).sum())
        assert stats.binomtest(beyond, drawn.size, 2 * stats.norm.sf(bound)).pvalue > 1e-3


def test_the_numbers_are_those_of_the_inverse_normal_distribution() -> None:
    drawn = kernels.normals(4, Draws(0, count=-1))  # draw 0 of key 0: the known answers
    words = np.array([0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8])
    # A block keeps the four words of a counter a quarter of a block apart.
    whole = kernels.normals(1024, Draws(0, count=-1))
    np.testing.assert_allclose(whole[::256], stats.norm.ppf((words + 0.5) / 2**32), rtol=2e-6)
    assert (drawn == whole[:4]).all()


def test_noise_does_not_depend_on_the_number_of_threads() -> None:
    answers = []
    threads = numba.get_num_threads()
    try:
        for count in {1, threads}:
            numba.set_num_threads(count)
            values = np.zeros(50_001)
            kernels.add_noise(values, np.ones(50_001), Draws(3), scale=2.0)
            answers.append(values)
    finally:
        numba.set_num_threads(threads)
    assert all((answer == answers[0]).all() for answer in answers)
    assert answers[0].std() == pytest.approx(2.0, rel=0.02)


def test_draws_and_streams_differ_and_repeat() -> None:
    one, again, other = Draws(1), Draws(1), Draws(2)
    first, second = kernels.normals(1000, one), kernels.normals(1000, one)
    assert (kernels.normals(1000, again) == first).all()
    for different in (second, kernels.normals(1000, other)):
        assert abs(stats.pearsonr(first, different).statistic) < 0.15
        assert (first != different).all()


def test_the_layer_of_threads_is_the_one_that_starts_at_once() -> None:
    kernels.normals(20_000, Draws(1))
    assert numba.threading_layer() == "workqueue"


@pytest.mark.parametrize("count", [1, 7])
def test_soft_bounds_move_in_the_compiled_loop_as_they_do_without_it(count: int) -> None:
    rng = np.random.default_rng(2)
    chosen = rng.choice([3.2, -2.8, 0.0], (150, 150))
    settings = SoftBoundsSettings.parse({"spread": {"max_conductance_s": {"sigma": 0.2}}})
    large = SoftBounds(settings, (150, 150), np.random.default_rng(1))
    small = SoftBounds(settings, (150, 150), np.random.default_rng(1))
    large._conductance_s = small._conductance_s = rng.uniform(3.1e-9, 30e-9, (150, 150))
    for amplitude_v in (chosen, -2.8 * (chosen > 0), chosen):
        pulse = PulseMap(amplitude_v, 300e-6, count)
        large.pulse(pulse)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(soft_bounds, "LARGE", 10**9)
            small.pulse(pulse)
        assert (large.conductance_s == small.conductance_s).all()


@pytest.mark.parametrize("spread", [{}, {"max_conductance_s": {"sigma": 0.2}}])
@pytest.mark.parametrize("population", [(), (1,), (3,)])
def test_scattered_steps_in_one_loop_are_those_in_two(
    population: tuple[int, ...], spread: dict[str, Any]
) -> None:
    rng = np.random.default_rng(2)
    device = {"model": "soft_bounds", "spread": spread, "initial": 10e-9}
    effects = [
        {"effect": "cycle_to_cycle", "sigma": 0.9},
        {"effect": "state_bounds", "min_conductance_s": 4e-9, "max_conductance_s": 36e-9},
    ]
    settings = SimSettings.parse({"device": device, "effects": effects})
    at_once, one_by_one = (
        make_cells(
            settings.device,
            settings.effects,
            (*population, 40, 50),
            device_rng=np.random.default_rng(3),
            effects_rng=np.random.default_rng(4),
        )
        for _ in range(2)
    )
    one_by_one._pulsed_at_once = lambda _: False  # type: ignore[method-assign]
    for count in (1, 1, 5):
        pulse = PulseMap(rng.choice([3.2, -2.8, 0.0], (40, 50)), 300e-6, count)
        before_conductance_s = at_once.conductance_s
        for cells in (at_once, one_by_one):
            cells.pulse(pulse)
        assert (at_once.conductance_s == one_by_one.conductance_s).all()
        moved = at_once.conductance_s != before_conductance_s
        assert not moved[..., ~pulse.addressed].any()
        assert moved[..., pulse.addressed].mean() > 0.9


@pytest.mark.parametrize("wrong_v", [0.0, 3.3, -2.7, 2.8])
def test_a_large_map_is_judged_as_a_small_one(wrong_v: float) -> None:
    known = [KnownPulse(amplitude_v=v, width_s=300e-6) for v in (3.2, -2.8)]
    small_v = np.array([[3.2, -2.8, 3.2 * 1.009, 0.0, wrong_v]])
    large_v = np.resize([[3.2, -2.8, 0.0]], (150, 150))
    large_v[140, 3] = wrong_v
    assert _all_among(small_v, known) == _all_among(large_v, known) == (wrong_v == 0)


def test_numba_is_not_loaded_before_it_is_needed() -> None:
    code = (
        "import hwloop_sim.emulator.backend, hwloop.cli.main, sys; sys.exit('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_small_array_draws_what_it_draws_as_part_of_a_larger_one() -> None:
    # A few blocks run on the calling thread, more on all of them.
    for size in (1, 1023, 1024, 16 * 1024):
        few, many = np.zeros(size), np.zeros(20_000)
        kernels.add_noise(few, np.ones(size), Draws(3), scale=2.0)
        kernels.add_noise(many, np.ones(20_000), Draws(3), scale=2.0)
        assert (few == many[:size]).all()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.2, 0.9])
def test_cells_that_are_not_read_change_no_number_of_the_others(share: float) -> None:
    # Right values: those of a draw for every cell.
    size = 5000
    read = np.random.default_rng(5).random(size) < share
    every, some = np.zeros(size), np.zeros(size)
    kernels.add_noise(every, np.ones(size), Draws(3), scale=2.0)
    kernels.add_noise(some, read * 1.0, Draws(3), scale=2.0)
    assert (some == np.where(read, every, 0.0)).all()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.2, 0.9])
def test_cells_that_are_not_pulsed_change_no_step_of_the_others(share: float) -> None:
    rng = np.random.default_rng(6)
    state = rng.uniform(1e-5, 1e-4, 5000)
    pulsed = rng.random(5000) < share
    parts = [np.array([part]) for part in (1e-5, 1.1e-4, 0.95, 0.9)]
    up_v = rng.choice([3.2, -2.8], 5000)
    every, some = (
        kernels.towards_bounds(state, given_v, parts, scatter=StepScatter(0.3, Draws(4)))
        for given_v in (up_v, up_v * pulsed)
    )
    assert (some == np.where(pulsed, every, state)).all()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.2, 0.9])
@pytest.mark.parametrize("alike", [True, False])
def test_few_pulsed_cells_move_as_all_do_each_towards_bounds_of_its_own(
    share: float, alike: bool
) -> None:
    # Right values: bound + (state − bound) · left of each cell, in NumPy.
    rng = np.random.default_rng(7)
    state = rng.uniform(2e-5, 9e-5, 5000)
    up_v = rng.choice([3.2, -2.8], 5000) * (rng.random(5000) < share)
    size = 1 if alike else 5000
    low, high, left_up, left_down = (
        rng.uniform(first, last, size)
        for first, last in ((1e-5, 2e-5), (1e-4, 2e-4), (0.8, 0.9), (0.6, 0.7))
    )
    moved = kernels.towards_bounds(state, up_v, (low, high, left_up, left_down))
    bound, left = np.where(up_v > 0, (high, left_up), (low, left_down))
    np.testing.assert_allclose(moved, np.where(up_v != 0, bound + (state - bound) * left, state))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.2, 0.9])
def test_cells_that_did_not_move_change_no_scatter_of_the_others(share: float) -> None:
    rng = np.random.default_rng(6)
    before = rng.uniform(1e-5, 1e-4, 5000)
    after = before * np.where(rng.random(5000) < share, 1.1, 1.0)
    # Right values: the numbers of the same draw for every cell, in NumPy.
    drawn = kernels.normals(5000, Draws(4))
    found = kernels.scatter(before, after, StepScatter(0.3, Draws(4)))
    assert (found == after + (after - before) * (0.3 * drawn)).all()


@pytest.mark.parametrize("loaded", [True, False])
def test_a_meter_marks_what_is_beyond_its_bound_and_what_is_not_read(loaded: bool) -> None:
    current_a = np.array([[1e-6, -2e-3, 5e-7], [3e-3, 0.0, -1e-6]])
    addressed = np.array([[True, True, False], [False, True, True]])
    reading = metered(current_a.copy(), 1e-3, addressed, loaded=loaded)
    assert reading.flags.tolist() == [[0, 2, 4], [4, 0, 0]]
    assert (np.isnan(reading.current_a) == (reading.flags != 0)).all()
    assert (reading.current_a[reading.flags == 0] == [1e-6, 0.0, -1e-6]).all()
    every = metered(current_a.copy(), 1e-3, loaded=loaded)
    assert every.flags.tolist() == [[0, 2, 0], [2, 0, 0]]
