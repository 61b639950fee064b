"""Emulated sweeps: which cells make them, where they begin, what is drawn anew."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwloop_sim.calibrate.one_transistor.emulation import emulate
from hwloop_sim.calibrate.one_transistor.read_noise import SweepNoise
from hwloop_sim.calibrate.one_transistor.sweeps import Sweeps
from hwloop_sim.devices.common.filament import cell_conductance_s, filament_conductance_s
from tests.sim.calibrate.one_transistor.swept_truth import TRUE

STEADY: dict[str, Any] = {
    **TRUE,
    "growth": TRUE["growth"] | {"cycle_ratio": 0.0},
    "unsteadiness": 0.0,
    "spread": {"v_transistor_v": {"sigma": 0.02}},
    "redraw": {"cycle_sigma": 0.0, "pulse_sigma": 0.0},
}
SILENT = SweepNoise(0.0, 1.0)
CELL = np.array([0.0, 0.0, 7.0, 7.0, 7.0])


def sweeps(volts: np.ndarray, first_conductance_s: np.ndarray, held_v: float) -> Sweeps:
    before_conductance_s = np.repeat(first_conductance_s[:, None], volts.size, axis=1)
    return Sweeps(
        "made",
        CELL[: len(first_conductance_s)],
        volts,
        before_conductance_s,
        before_conductance_s,
        2e-7,
        held_v,
    )


def test_a_cell_keeps_its_parameters_from_sweep_to_sweep_and_differs_from_others() -> None:
    made = sweeps(np.linspace(2.0, 2.5, 6), np.full(5, 1e-5), 2.0)
    rng = np.random.default_rng(1)
    seen_conductance_s = emulate(STEADY, made, rng, draws=3, of_gate=True, noise=SILENT)
    assert seen_conductance_s.shape == (3, 5, 6)
    np.testing.assert_allclose(seen_conductance_s[:, 0], seen_conductance_s[:, 1], rtol=1e-12)
    np.testing.assert_allclose(seen_conductance_s[:, 2], seen_conductance_s[:, 4], rtol=1e-12)
    assert (
        (
            np.abs(seen_conductance_s[:, 0] - seen_conductance_s[:, 2])
            > 1e-3 * seen_conductance_s[:, 0]
        )
        .any(axis=1)
        .all()
    )
    assert np.abs(seen_conductance_s[0] - seen_conductance_s[1]).max() > 1e-7


def test_a_sweep_begins_where_the_measured_one_did() -> None:
    first_conductance_s = np.array([1e-5, 2e-5, 5e-5, 1e-5, 1e-5])
    alike = STEADY | {"spread": {}}
    made = sweeps(np.array([1.0, 2.1]), first_conductance_s, 2.0)
    rng = np.random.default_rng(1)
    seen_conductance_s = emulate(alike, made, rng, draws=1, of_gate=True, noise=SILENT)
    np.testing.assert_allclose(
        seen_conductance_s[0, :, 0], first_conductance_s, rtol=1e-12
    )  # below V_t
    # g^q + (k (V_g - V_t))^q, by hand.
    r_ohm, q = np.asarray(TRUE["r_series_ohm"]), 1.6
    own_conductance_s = (
        filament_conductance_s(first_conductance_s, r_ohm) ** q + (1.15e-3 * 0.14) ** q
    ) ** (1 / q)
    np.testing.assert_allclose(
        seen_conductance_s[0, :, 1], cell_conductance_s(own_conductance_s, r_ohm), rtol=1e-9
    )


@pytest.mark.parametrize("of_gate", [True, False])
def test_what_a_cycle_draws_is_drawn_anew_for_each_sweep(of_gate: bool) -> None:
    restless = STEADY | {
        "spread": {},
        "growth": TRUE["growth"] | {"cycle_ratio": 2.0},
        "unsteadiness": 0.2,
        "redraw": {"cycle_sigma": 0.4, "pulse_sigma": 0.0},
    }
    volts, first_conductance_s, held_v = (2.3, 1e-5, 2.0) if of_gate else (2.4, 2e-4, 4.0)
    made = sweeps(np.array([volts]), np.full(2, first_conductance_s), held_v)
    rng = np.random.default_rng(2)
    logs = np.log(emulate(restless, made, rng, draws=2000, of_gate=of_gate, noise=SILENT)[:, :, 0])
    assert abs(np.corrcoef(logs.T)[0, 1]) < 0.07
    assert logs.std() > 0.1


def test_reads_scatter_as_part_of_the_filament() -> None:
    alike = STEADY | {"spread": {}}
    made = sweeps(np.array([1.0]), np.array([1e-5, 2e-4]), 2.0)
    rng = np.random.default_rng(3)
    seen_conductance_s = emulate(
        alike, made, rng, draws=4000, of_gate=True, noise=SweepNoise(0.02, 1.5)
    )[:, :, 0]
    shown = 1 - np.array([1e-5, 2e-4]) * 3800
    np.testing.assert_allclose(np.log(seen_conductance_s).std(axis=0), 0.02 * shown**1.5, rtol=0.05)
