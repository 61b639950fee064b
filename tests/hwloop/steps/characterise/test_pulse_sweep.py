"""Pulse sweeps against the closed form of a cell without scatter, and what ends a cell's sweep."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from hwloop.backend.guard import Guard
from hwloop.errors import ConfigError, StepError
from hwloop.steps.array import Array
from hwloop.steps.characterise.pulse_sweep import (
    PULSE_SWEEP,
    PulseSweepSettings,
    spread_figures,
)
from tests.characterised import array_settings, emulated, results

CELL: dict[str, Any] = {"model": "one_transistor", "set_sigma": 0.0, "reset_sigma": 0.0}
# The defaults of the model, and a width of 50 of its time constants.
R_OHM, K, V_T, V_RESET, SLOPE_V, FLOOR_CONDUCTANCE_S = 3970.0, 6.35e-3, 1.916, 1.56, 0.104, 21.2e-6
WIDTH_S = 1e-6
GATE: dict[str, Any] = {
    "sweep": "gate",
    "start_v": 1.8,
    "stop_v": 2.7,
    "step_v": 0.1,
    "amplitude_v": 2.0,
    "width_s": WIDTH_S,
    "begin": {"amplitude_v": -3.5, "width_s": WIDTH_S, "gate_v": 5.0},
}
LINE: dict[str, Any] = {
    "sweep": "line",
    "start_v": 1.4,
    "stop_v": 2.4,
    "step_v": 0.1,
    "gate_v": 5.0,
    "width_s": WIDTH_S,
    "begin": {"amplitude_v": 2.0, "width_s": WIDTH_S, "gate_v": 2.7},
}


def set_conductance_s(gate_v: float) -> float:
    """What SET ends at: Eq. in the model's docstring, the floor where the gate gives no more."""
    over_v = gate_v - V_T
    return (
        max(1 / (R_OHM + 1 / (K * over_v**2)), FLOOR_CONDUCTANCE_S)
        if over_v > 0
        else FLOOR_CONDUCTANCE_S
    )


def reset_conductance_s(line_v: float, from_conductance_s: float) -> float:
    """What RESET ends at."""
    beyond_v = line_v - V_RESET
    level_conductance_s = FLOOR_CONDUCTANCE_S + (1 / R_OHM - FLOOR_CONDUCTANCE_S) * np.exp(
        -max(beyond_v, 0) / SLOPE_V
    )
    return float(min(level_conductance_s, from_conductance_s))


def array_of(**more: Any) -> Array:
    return emulated(CELL | more.pop("device", {}), biasing="1T1R", **more)


def interpolated_v(
    volts: list[float], seen_conductance_s: list[float], half_conductance_s: float
) -> float:
    """Where the straight line of ln G between neighbours is at ``half_conductance_s``; G rises with volts."""
    return float(np.interp(np.log(half_conductance_s), np.log(seen_conductance_s), volts))


def test_a_gate_sweep_climbs_the_levels_of_the_cell_and_finds_half_of_the_last() -> None:
    found = results(PULSE_SWEEP, GATE | {"cycles": 2}, array_of(population=2))
    rows = found[""]
    assert [row.swept_v for row in rows] == 2 * [1.8, 1.9, 2.0, 2.1, 2.2, 2.3, 2.4, 2.5, 2.6, 2.7]
    assert {(row.amplitude_v, row.width_s) for row in rows} == {(2.0, WIDTH_S)}
    assert all(row.gate_v == row.swept_v for row in rows)
    for row in rows:
        # The RESET before goes 1.94 V beyond v_reset: exp(-18.7) of 252 µS is left of the floor.
        np.testing.assert_allclose(
            row.after_conductance_s, set_conductance_s(row.swept_v), rtol=1e-5
        )
    for earlier, later in pairwise(rows[:10]):
        np.testing.assert_allclose(
            later.before_conductance_s, earlier.after_conductance_s, rtol=1e-12
        )
    np.testing.assert_allclose(
        rows[10].before_conductance_s, FLOOR_CONDUCTANCE_S, rtol=1e-3
    )  # RESET before each sweep
    volts = [1.9, 2.0, 2.1, 2.2]
    half_v = interpolated_v(
        volts, [set_conductance_s(v) for v in volts], set_conductance_s(2.7) / 2
    )
    assert 2.1 < half_v < 2.2
    for figures in found["figures"]:
        np.testing.assert_allclose(figures.half_v, half_v, rtol=1e-6)
        np.testing.assert_allclose(figures.last_conductance_s, set_conductance_s(2.7), rtol=1e-9)
        assert np.all(figures.pulses == 10)
    assert found["outcome"][0].reached


def test_a_line_sweep_falls_to_the_levels_of_the_cell_and_finds_where_half_is_lost() -> None:
    found = results(PULSE_SWEEP, LINE, array_of())
    begin_conductance_s = set_conductance_s(2.7)
    for row in found[""]:
        assert (row.amplitude_v, row.gate_v) == (-row.swept_v, 5.0)
        np.testing.assert_allclose(
            row.after_conductance_s,
            reset_conductance_s(row.swept_v, begin_conductance_s),
            rtol=1e-9,
        )
    figures, spread = found["figures"][0], found["spread"][0]
    np.testing.assert_allclose(figures.first_conductance_s, begin_conductance_s, rtol=1e-9)
    volts = [1.7, 1.6]
    half_v = interpolated_v(
        volts, [reset_conductance_s(v, begin_conductance_s) for v in volts], begin_conductance_s / 2
    )
    np.testing.assert_allclose(figures.half_v, half_v, rtol=1e-9)
    np.testing.assert_allclose(spread.cell_half_v, half_v, rtol=1e-9)
    assert np.isnan(spread.cell_sigma_v).all()  # of one cycle
    assert spread.device_to_device_v == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("settings", "until_conductance_s"), [(GATE, 150e-6), (LINE, 60e-6)])
def test_a_cell_gets_no_pulse_beyond_the_conductance_that_ends_its_sweep(
    settings: dict[str, Any], until_conductance_s: float
) -> None:
    spread = {"v_transistor_v": {"sigma": 0.05}, "v_reset_v": {"sigma": 0.1}}
    array = array_of(device={"spread": spread}, population=2)
    guard = Guard(array.backend, array.settings)
    held = Array(guard, array.settings, array.rng)
    found = results(
        PULSE_SWEEP, settings | {"cycles": 3, "until_conductance_s": until_conductance_s}, held
    )
    pulses = np.array([row.pulses for row in found["figures"]])
    assert len(np.unique(pulses)) > 3
    np.testing.assert_array_equal(guard.pulses, 3 + pulses.sum(axis=0))
    sign = 1 if settings is GATE else -1
    for cycle in (1, 2, 3):
        rows = [row for row in found[""] if row.cycle == cycle]
        after_conductance_s = np.array([row.after_conductance_s for row in rows])
        ended = sign * after_conductance_s >= sign * until_conductance_s
        assert (ended.sum(axis=0) == 1).all()
        np.testing.assert_array_equal(ended.argmax(axis=0) + 1, pulses[cycle - 1])
        np.testing.assert_array_equal(
            np.isfinite(after_conductance_s).sum(axis=0), pulses[cycle - 1]
        )
        np.testing.assert_array_equal(
            np.isfinite([row.before_conductance_s for row in rows]),
            np.isfinite(after_conductance_s),
        )
        assert len(rows) == pulses[cycle - 1].max()


def test_a_cell_that_begins_beyond_the_end_is_not_pulsed_and_judged_as_never_moved() -> None:
    array = array_of()
    guard = Guard(array.backend, array.settings)
    held = Array(guard, array.settings, array.rng)
    found = results(
        PULSE_SWEEP, GATE | {"until_conductance_s": 10e-6}, held
    )  # after RESET they have 21 µS
    assert "" not in found
    assert np.all(guard.pulses == 1)
    assert np.all(found["figures"][0].pulses == 0)
    assert found["spread"][0].failed_cells().all()
    assert not found["outcome"][0].reached
    assert found["outcome"][0].message.startswith("0 of 16 cells, 1 cycle: ")
    assert "; never: cell (0, 0), cell (0, 1)" in found["outcome"][0].message


def test_only_the_chosen_cells_are_pulsed_read_and_judged() -> None:
    array = array_of()
    guard = Guard(array.backend, array.settings)
    held = Array(guard, array.settings, array.rng)
    found = results(PULSE_SWEEP, GATE | {"cells": [[0, 1], [3, 2]]}, held)
    chosen = np.zeros((4, 4), dtype=bool)
    chosen[0, 1] = chosen[3, 2] = True
    np.testing.assert_array_equal(guard.pulses, 11 * chosen)
    np.testing.assert_array_equal(np.isfinite(found["figures"][0].half_v), chosen)
    assert not found["spread"][0].never.any()
    assert found["outcome"][0].message.startswith("2 of 2 cells")


def test_spread_over_cells_and_over_cycles_are_told_apart() -> None:
    rng = np.random.default_rng(8)
    cells_v = rng.normal(2.1, 0.05, (2, 30, 30))
    half_v = cells_v + rng.normal(0, 0.08, (6, 2, 30, 30))
    found = spread_figures(half_v, np.ones((2, 30, 30), dtype=bool))
    # Of 900 cells and 6 cycles: standard errors of 0.06/sqrt(1800) and 0.08/sqrt(9000).
    np.testing.assert_allclose(found.device_to_device_v, 0.05, atol=5e-3)
    np.testing.assert_allclose(found.cycle_to_cycle_v, 0.08, atol=3e-3)
    assert found.device_to_device_v.shape == (2,)


def test_a_read_that_failed_is_an_error_that_names_the_cell() -> None:
    # At 200 µS and 0.1 V a cell carries 20 µA.
    with pytest.raises(StepError, match=r"pulse_sweep: cell \(0, 0\).*could not be measured"):
        results(PULSE_SWEEP, GATE, array_of(current_a=15e-6))


def test_cells_without_a_gate_are_refused_in_one_line() -> None:
    with pytest.raises(ConfigError, match=r"^pulse_sweep is for 1T1R cells.*has 1R cells$"):
        PULSE_SWEEP.plan(PulseSweepSettings.parse(GATE), array_settings(4, 4))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (GATE | {"amplitude_v": None}, "amplitude_v is required: it is held while the gate"),
        (LINE | {"gate_v": None}, "gate_v is required: it is held while the line"),
        (GATE | {"gate_v": 3.0}, "gate_v: sweep gate sets it"),
        (LINE | {"amplitude_v": 1.0}, "amplitude_v: sweep line sets it"),
        (LINE | {"start_v": -1.4, "stop_v": -2.4}, "start_v -1.4: voltages of the source line"),
        (GATE | {"begin": LINE["begin"]}, "begin.amplitude_v 2: a sweep of the gate begins with a RESET"),
        (LINE | {"begin": GATE["begin"]}, "begins with a SET, above 0 V"),
        (GATE | {"begin": {"amplitude_v": -3, "width_s": 1e-6}}, "begin.gate_v is required"),
        (GATE | {"stop_v": 1.0}, "stop_v 1 is smaller than start_v"),
    ],
)  # fmt: skip
def test_settings_that_contradict_each_other_are_refused(
    settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        PulseSweepSettings.parse(settings)
