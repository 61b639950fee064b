"""Program-and-verify on emulated arrays: windows, budgets, and cells that refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hwloop.array.operations import Answer, Operation, Reading, ReadMap
from hwloop.backend.guard import Guard
from hwloop.backend.wrapper import Wrapper
from hwloop.errors import ConfigError
from hwloop.steps.array import Array
from hwloop.steps.program.cell_table import BUDGET, GIVEN_UP, LEFT_ALONE, REACHED, RELAXED, STUCK
from hwloop.steps.program.program_verify import PROGRAM_VERIFY
from tests.characterised import array_settings, emulated, results

UP, DOWN = {"amplitude_v": 3.2, "width_s": 3e-4}, {"amplitude_v": -2.8, "width_s": 3e-4}
DEVICE: dict[str, Any] = {
    "model": "soft_bounds",
    "min_conductance_s": 1e-5,
    "max_conductance_s": 1.1e-4,
    "up_pulses": 60,
    "down_pulses": 60,
    "initial": 2e-5,
    "up": UP,
    "down": DOWN,
}
NOISY = [
    {"effect": "cycle_to_cycle", "sigma": 0.3},
    {"effect": "white_noise", "fraction": 0.001},
]
ALIBART: dict[str, Any] = {
    "name": "alibart",
    "up": {"amplitude": 3.2, "width_s": 3e-4},
    "down": {"amplitude": -2.8, "width_s": 3e-4},
}
ONE_PERCENT: dict[str, Any] = {
    "target": {"kind": "random", "low_conductance_s": 2e-5, "high_conductance_s": 9e-5},
    "tolerance": {"kind": "range", "fraction": 0.01},
    "range": {"low_conductance_s": 1e-5, "high_conductance_s": 1.1e-4},
    "algorithm": ALIBART,
    "pulses_per_cell": 400,
}


def _map(values: Any) -> dict[str, Any]:
    return {"kind": "map", "map_conductance_s": np.asarray(values, dtype=object).tolist()}


def test_alibart_brings_99_percent_of_healthy_cells_within_1_percent_of_the_range() -> None:
    stuck = {"effect": "stuck", "low_fraction": 0.02, "low_conductance_s": 1.2e-5}
    array = emulated(
        DEVICE, shape=(16, 16), population=4, sim={"effects": [*NOISY, stuck]}, read_v=0.1
    )
    found = results(PROGRAM_VERIFY, ONE_PERCENT, array)
    cells = found["cells"][0]
    healthy = cells.status != STUCK
    assert 0 < (~healthy).sum() < 0.05 * healthy.size
    assert (cells.status[healthy] == REACHED).mean() >= 0.99
    reached = cells.status == REACHED
    error_conductance_s = np.abs(cells.verified_conductance_s - cells.target_conductance_s)[reached]
    assert error_conductance_s.max() <= 0.01 * 1e-4 * (1 + 1e-9)
    assert "do not respond" in found["outcome"][0].message
    assert not found["outcome"][0].reached


def test_number_of_pulses_is_that_of_the_model() -> None:
    # Each pulse closes 1 − e^(−1/60) of what is left to the bound: G(n) in closed form.
    target_conductance_s = [[5e-5, 8e-5], [None, 2e-5]]
    tolerance = {"kind": "absolute", "by_conductance_s": 1e-6}
    settings_ = {"target": _map(target_conductance_s), "tolerance": tolerance, "algorithm": ALIBART}
    cells = results(PROGRAM_VERIFY, settings_, emulated(DEVICE, shape=(2, 2)))["cells"][0]
    wanted = [np.ceil(-60 * np.log((1.1e-4 - (t - 1e-6)) / (1.1e-4 - 2e-5))) for t in (5e-5, 8e-5)]
    np.testing.assert_array_equal(cells.pulses_up, [[*wanted], [0, 0]])
    assert cells.pulses_down.sum() == 0
    np.testing.assert_array_equal(cells.status, [[REACHED, REACHED], [LEFT_ALONE, REACHED]])


def test_energy_is_v_squared_g_t_of_every_pulse() -> None:
    settings_ = {
        "target": _map([[4e-5]]),
        "tolerance": {"kind": "absolute", "by_conductance_s": 1e-6},
        "algorithm": ALIBART,
    }
    cells = results(PROGRAM_VERIFY, settings_, emulated(DEVICE, shape=(1, 1)))["cells"][0]
    number = np.arange(cells.pulses_up[0, 0])
    before_conductance_s = 1.1e-4 - 9e-5 * np.exp(-number / 60)
    assert cells.energy_j[0, 0] == pytest.approx(
        3.2**2 * 3e-4 * before_conductance_s.sum(), rel=1e-9
    )


class DeadRow(Wrapper):
    """Row 1 stands at 10 µS whatever is done to it."""

    def perform(self, operation: Operation) -> Answer:
        reading = self._inner.perform(operation)
        if isinstance(reading, Reading) and isinstance(operation, ReadMap):
            reading.current_a[1] = np.where(reading.flags[1] == 0, 1e-6, np.nan)
        return reading


def test_a_dead_row_is_named_and_costs_no_more_than_its_patience() -> None:
    inner = emulated(DEVICE, shape=(3, 3))
    array = Array(DeadRow(inner.backend), inner.settings, inner.rng)
    settings_ = {
        "target": _map(np.full((3, 3), 5e-5)),
        "tolerance": {"kind": "relative", "fraction": 0.03},
        "algorithm": ALIBART,
        "patience": 12,
    }
    found = results(PROGRAM_VERIFY, settings_, array)
    cells = found["cells"][0]
    assert (cells.status[1] == STUCK).all()
    assert (cells.status[[0, 2]] == REACHED).all()
    assert (cells.pulses_up[1] <= 13).all()
    assert "do not respond: 3: cell (1, 0), cell (1, 1), cell (1, 2)" in found["outcome"][0].message


def test_a_cell_that_creeps_towards_a_wide_window_is_not_called_stuck() -> None:
    # Near 16 µS twenty pulses move it by 0.6 µS, far less than half of its window of 8 µS.
    settings_ = {
        "target": _map([[1.2e-5]]),
        "tolerance": {"kind": "absolute", "by_conductance_s": 4e-6},
        "algorithm": ALIBART,
    }
    array = emulated({**DEVICE, "initial": 2.5e-5, "down_pulses": 200}, shape=(1, 1))
    cells = results(PROGRAM_VERIFY, settings_, array)["cells"][0]
    # G(n) = 10 + 15 e^(−n/200) µS is within 16 µS after 184 pulses.
    assert cells.pulses_down[0, 0] == np.ceil(200 * np.log(15 / 6))
    assert cells.status[0, 0] == REACHED


def test_a_tolerance_below_the_noise_of_a_read_is_said() -> None:
    sim = {"effects": [{"effect": "white_noise", "fraction": 0.05}]}
    settings_ = {
        "target": _map(np.full((3, 3), 5e-5)),
        "tolerance": {"kind": "relative", "fraction": 1e-4},
        "algorithm": ALIBART,
        "pulses_per_cell": 40,
    }
    found = results(PROGRAM_VERIFY, settings_, emulated(DEVICE, shape=(3, 3), sim=sim))
    words = found["outcome"][0].message
    assert (found["cells"][0].status == BUDGET).any()
    assert "a read scatters by" in words
    assert "which is more than the window of 10 nS" in words
    assert "a pulse jumps" in words


def test_cells_that_relax_are_written_again_and_at_last_named() -> None:
    sim = {"effects": [{"effect": "drift", "nu": 0.02}]}
    again = {"name": "write_wait_verify", "write": ALIBART, "wait_s": 100.0, "passes": 2}
    settings_ = {
        "target": _map(np.full((2, 2), 5e-5)),
        "tolerance": {"kind": "relative", "fraction": 0.02},
        "algorithm": again,
    }
    found = results(PROGRAM_VERIFY, settings_, emulated(DEVICE, shape=(2, 2), sim=sim))
    cells = found["cells"][0]
    assert {row.attempt for row in found[""]} == {1, 2}
    assert (cells.status == RELAXED).all()
    assert (cells.after_wait_conductance_s < cells.verified_conductance_s * 0.96).all()


def test_ispp_without_an_erase_ends_a_cell_that_it_cannot_bring_there() -> None:
    found = results(
        PROGRAM_VERIFY,
        {
            "target": _map([[5e-5, 1e-3]]),
            "tolerance": {"kind": "relative", "fraction": 0.1},
            "algorithm": {"name": "ispp", "write": ALIBART["up"]},
            "pulses_per_cell": 300,
        },
        emulated(DEVICE, shape=(1, 2)),
    )
    # 1 mS is beyond the bound of 110 µS: the cell stands still before its budget is used up.
    np.testing.assert_array_equal(found["cells"][0].status, [[REACHED, STUCK]])


def test_one_shot_gives_each_cell_the_one_pulse_that_its_curve_says() -> None:
    # A cell whose pulse of V moves it by 1 − e^(−1/60) of the way whatever V is above threshold;
    # the curve is asked for the amplitude, and the cell stays where that one pulse took it.
    found = results(
        PROGRAM_VERIFY,
        {
            "target": _map([[2.15e-5, 4e-5], [1e-3, None]]),
            "tolerance": {"kind": "relative", "fraction": 0.05},
            "algorithm": {
                "name": "one_shot",
                "curve": [[2e-5, 3.2], [5e-5, 3.2 + 1e-9]],
                "width_s": 3e-4,
            },
        },
        emulated(DEVICE, shape=(2, 2)),
    )
    cells = found["cells"][0]
    np.testing.assert_array_equal(cells.status, [[REACHED, GIVEN_UP], [GIVEN_UP, LEFT_ALONE]])
    np.testing.assert_array_equal(cells.pulses_up, [[1, 1], [0, 0]])
    one_pulse_conductance_s = 1.1e-4 - 9e-5 * np.exp(-1 / 60)
    np.testing.assert_allclose(cells.verified_conductance_s[0], one_pulse_conductance_s, rtol=1e-9)


def test_a_round_without_a_number_has_no_error_and_a_wait_says_what_it_left() -> None:
    inner = emulated(DEVICE, shape=(1, 2), sim={"effects": [{"effect": "drift", "nu": 0.02}]})
    settings_ = {
        "target": _map([[5e-5, 8e-5]]),
        "tolerance": {"kind": "relative", "fraction": 0.03},
        "algorithm": ALIBART,
        "wait_s": 1e4,
    }
    found = results(PROGRAM_VERIFY, settings_, inner)
    assert np.isnan(found[""][-1].rms_error_conductance_s)
    assert np.isnan(found[""][-1].worst_error_conductance_s)
    assert (found["cells"][0].status == REACHED).all()  # at verify, which is what it says
    assert found["figures"][0].within_after_wait == 0.0
    assert "0.0% in their windows" in found["outcome"][0].message


@pytest.mark.parametrize("outer", [{}, {"population": 3}])
def test_the_tables_said_beforehand_are_of_the_kinds_and_shapes_that_come(
    outer: dict[str, int],
) -> None:
    array = emulated(DEVICE, shape=(2, 3), **outer)
    wanted = ONE_PERCENT | {"pulses_per_cell": 3}
    found = results(PROGRAM_VERIFY, wanted, array)
    assert PROGRAM_VERIFY.tables is not None
    chosen = PROGRAM_VERIFY.settings.parse(wanted)
    shape = array.backend.description.shape
    said = {row.table: row for row in PROGRAM_VERIFY.tables(chosen, shape)}
    assert set(said) == set(found) - {"outcome"}
    for table, row in said.items():
        come, before = found[table][0].columns(), row.columns()
        assert list(come) == list(before)
        for name, value in come.items():
            kind, kind_before = np.asarray(value), np.asarray(before[name])
            assert (name, kind.dtype, kind.shape) == (name, kind_before.dtype, kind_before.shape)


@settings(max_examples=25, deadline=None)
@given(
    budget=st.integers(1, 30),
    energy_j=st.floats(1e-8, 1e-6),
    stress_s=st.floats(3e-4, 1e-2),
    fraction=st.floats(1e-3, 0.2),
    hits=st.integers(1, 3),
    seed=st.integers(0, 2**31),
)
@example(  # noise takes cells out of their windows between hits: more rounds than pulses and hits
    budget=8, energy_j=9.718142097609131e-07, stress_s=2**-7, fraction=2**-6, hits=3, seed=0
)
def test_budgets_are_never_exceeded_and_done_cells_are_within_their_windows(
    budget: int, energy_j: float, stress_s: float, fraction: float, hits: int, seed: int
) -> None:
    inner = emulated(DEVICE, shape=(3, 4), sim={"effects": NOISY})
    guard = Guard(inner.backend, inner.settings)
    array = Array(guard, inner.settings, np.random.default_rng(seed))
    settings_ = ONE_PERCENT | {
        "tolerance": {"kind": "relative", "fraction": fraction},
        "pulses_per_cell": budget,
        "energy_per_cell_j": energy_j,
        "stress_per_cell_s": stress_s,
        "hits": hits,
    }
    cells = results(PROGRAM_VERIFY, settings_, array)["cells"][0]
    pulses = cells.pulses_up + cells.pulses_down
    np.testing.assert_array_equal(pulses, guard.pulses)
    assert pulses.max() <= budget
    assert cells.energy_j.max() <= energy_j
    assert (pulses * 3e-4).max() <= stress_s * (1 + 1e-9)
    done = cells.status == REACHED
    assert (
        np.abs(cells.verified_conductance_s - cells.target_conductance_s)[done]
        <= fraction * cells.target_conductance_s[done]
    ).all()
    assert (cells.status != 0).all()


def test_misfits_are_refused_before_anything_is_touched() -> None:
    wide = ONE_PERCENT | {"target": _map(np.full((2, 3), 5e-5))}
    with pytest.raises(
        ConfigError, match=r"target.map_conductance_s: has shape \(2, 3\); the array has"
    ):
        PROGRAM_VERIFY.plan(PROGRAM_VERIFY.settings.parse(wide), array_settings(4, 4))
    with pytest.raises(ConfigError, match="a fraction of the range needs range"):
        PROGRAM_VERIFY.plan(
            PROGRAM_VERIFY.settings.parse({k: v for k, v in ONE_PERCENT.items() if k != "range"}),
            array_settings(4, 4),
        )


def test_a_cell_whose_target_is_the_low_end_may_be_below_it_where_that_end_is_open() -> None:
    settings_ = {
        "target": _map([[3e-5, 5e-5]]),
        "tolerance": {"kind": "range", "fraction": 0.01},
        "range": {"low_conductance_s": 3e-5, "high_conductance_s": 1e-4},
        "algorithm": ALIBART,
    }
    cells = results(PROGRAM_VERIFY, settings_, emulated(DEVICE, shape=(1, 2)))["cells"][0]
    assert (cells.pulses_up > 0).all()  # both begin at 20 µS
    settings_["tolerance"]["open_below"] = True
    cells = results(PROGRAM_VERIFY, settings_, emulated(DEVICE, shape=(1, 2)))["cells"][0]
    np.testing.assert_array_equal(cells.pulses_up > 0, [[False, True]])
    assert (cells.status == REACHED).all()
