"""Random devices of every model that is fitted to operations, each with its characterisation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

WIDTH_S = 1e-4
PULSES = 30
CROSSING = 15  # pulses at the middle amplitude


@dataclass(frozen=True)
class Truth:
    """``parameters``: to be found again. ``others``: of the device, which a user would know."""

    parameters: Mapping[str, float]
    steps: Sequence[Mapping[str, Any]]
    run: Mapping[str, Any]
    others: Mapping[str, Any]


def trains(
    up_v: Sequence[float],
    down_v: Sequence[float],
    *,
    cycles: int = 1,
    pulses: int = PULSES,
    width_s: float = WIDTH_S,
) -> dict[str, Any]:
    """Potentiation and depression at each amplitude."""
    return {
        "step": "pulse_response",
        "settings": {
            "up": {"amplitudes_v": list(up_v), "widths_s": [width_s]},
            "down": {"amplitudes_v": list(down_v), "widths_s": [width_s]},
            "pulses": pulses,
            "cycles": cycles,
        },
    }


def sweep() -> dict[str, Any]:
    """Currents at larger voltages, without any pulse."""
    settings = {"positive_v": 2.0, "negative_v": -2.0, "step_v": 0.5, "mode": "direct", "cycles": 6}
    return {"step": "iv_sweep", "settings": settings}


def _linear_ion_drift(rng: np.random.Generator) -> Truth:
    r_on = rng.uniform(500, 2000)
    r_off = r_on * rng.uniform(6, 20)
    mobility = 1e-16 / r_on * r_off / (CROSSING * WIDTH_S) * rng.uniform(0.7, 1.5)
    return Truth(
        {"r_on_ohm": r_on, "r_off_ohm": r_off, "mobility_m2_per_vs": mobility},
        [trains([1.0], [-1.0], cycles=2)],
        {},
        {},
    )


def _sbt(rng: np.random.Generator) -> Truth:
    r_on = rng.uniform(500, 2000)
    r_off = r_on * rng.uniform(5, 12)
    pace, rate = 0.1 * r_on, 1 / (CROSSING * WIDTH_S)
    # Each amplitude with the largest of the other sign, in turn, and few pulses: no cell sinks so
    # deep into a bound that the next amplitude moves it unseen. One long pair then reaches both.
    up_v = [1.2, 1.2, 0.8, 1.2, 0.5, 1.2, 0.3, 1.2, 0.1]
    down_v = [-1.2, -0.8, -1.2, -0.5, -1.2, -0.3, -1.2, -0.1, -1.2]
    return Truth(
        {
            "r_on_ohm": r_on,
            "r_off_ohm": r_off,
            "i_off_a": rate / pace / (r_off / 2) * rng.uniform(0.8, 2),
            "i_on_a": pace / rate / (r_off / 2) * rng.uniform(0.5, 1.2),
            "v_positive_v": rng.uniform(0.15, 0.75),
            "v_negative_v": -rng.uniform(0.15, 0.75),
        },
        [trains(up_v, down_v, pulses=10), {"label": "long", **trains([1.2], [-1.2])}],
        {},
        {},
    )


def _barrier(rng: np.random.Generator, current: bool) -> Truth:
    r_on = rng.uniform(1000, 3000)
    r_off = r_on * (rng.uniform(3, 5) if current else rng.uniform(5, 20))
    alpha_off, alpha_on = rng.uniform(1, 2.5, size=2)
    unit = "a" if current else "v"
    off, on = rng.uniform(0.3, 0.6, size=2)
    if current:  # at 1 V and R_off the current is above the threshold
        off, on = off / r_off, on / r_off
    middle = 1 / (0.6 * r_off) if current else 1.0
    rate = 3e-9 / (CROSSING * WIDTH_S)
    return Truth(
        {
            "r_on_ohm": r_on,
            "r_off_ohm": r_off,
            "k_off_m_per_s": rate / (middle / off - 1) ** alpha_off,
            "k_on_m_per_s": -rate / (middle / on - 1) ** alpha_on,
            "alpha_off": alpha_off,
            "alpha_on": alpha_on,
            f"{'i' if current else 'v'}_off_{unit}": off,
            f"{'i' if current else 'v'}_on_{unit}": -on,
        },
        [trains([-0.8, -1.0, -1.3], [0.8, 1.0, 1.3])],
        {},
        {},
    )


def _yakopcic(rng: np.random.Generator) -> Truth:
    v_p, v_n = rng.uniform(0.3, 0.6, size=2)
    alpha_p, alpha_n = rng.uniform(0.5, 4, size=2)
    rate = 1 / (CROSSING * WIDTH_S)
    return Truth(
        {
            "a_1_a": rng.uniform(1e-4, 1e-3),
            "a_2_a": rng.uniform(1e-4, 1e-3),
            "b_per_v": rng.uniform(0.3, 0.65),
            "v_p_v": v_p,
            "v_n_v": v_n,
            "a_p_per_s": rate / (np.e - np.exp(v_p)) * rng.uniform(0.8, 2),
            "a_n_per_s": rate / (np.e - np.exp(v_n)) * rng.uniform(0.8, 2),
            "x_p": rng.uniform(0.25, 0.6),
            "x_n": rng.uniform(0.25, 0.6),
            "alpha_p": alpha_p,
            "alpha_n": alpha_n,
        },
        [trains([0.8, 1.0, 1.3], [-0.8, -1.0, -1.3]), sweep()],
        {"both_polarities": False},
        {},
    )


def _jart_vcm(rng: np.random.Generator) -> Truth:
    # Each SET goes to its end: its runaway shows the least difference of parameters as all or
    # nothing. The RESET is gradual.
    return Truth(
        {
            "radius_m": rng.uniform(43e-9, 47e-9),
            "min_per_m3": 8e23 * rng.uniform(0.6, 5),
            "attempt_frequency_per_s": 2e13 * rng.uniform(0.5, 2),
        },
        [trains([-1.4, -1.4, -1.4], [1.3, 1.4, 1.55], width_s=1e-6, pulses=10)],
        {},
        {},
    )


def _stanford_pku(rng: np.random.Generator) -> Truth:
    return Truth(
        {
            "i_0_a": 1e-3 * rng.uniform(0.7, 1.5),
            "g_0_m": 0.25e-9 * rng.uniform(0.9, 1.2),
            "v_0_v": 0.25 * rng.uniform(0.9, 1.2),
            "velocity_m_per_s": 10 * rng.uniform(0.6, 1.5),
            "gamma_0": rng.uniform(15.5, 16.5),
            "beta": rng.uniform(0.7, 0.9),
        },
        [
            # No RESET leaves a gap that the next SET cannot close: its field would be too low.
            trains([1.2, 1.3, 1.4], [-1.2, -1.3, -1.4], width_s=1e-8),
            {"label": "long", **trains([1.6], [-1.6], width_s=1e-7, pulses=5)},
        ],
        {},
        {"initial": 60e-6},
    )


def _soft_bounds(rng: np.random.Generator) -> Truth:
    low_conductance_s, span_conductance_s = rng.uniform(1, 5) * 1e-6, rng.uniform(5, 20) * 1e-6
    pulses = {
        "up": {"amplitude_v": 1.0, "width_s": WIDTH_S},
        "down": {"amplitude_v": -1.0, "width_s": WIDTH_S},
    }
    return Truth(
        {
            "min_conductance_s": low_conductance_s,
            "max_conductance_s": low_conductance_s + span_conductance_s,
            "up_pulses": rng.uniform(5, 20),
            "down_pulses": rng.uniform(5, 20),
        },
        [trains([1.0], [-1.0], cycles=2)],
        {},
        pulses,
    )


TRUTHS: Mapping[str, Callable[[np.random.Generator], Truth]] = {
    "linear_ion_drift": _linear_ion_drift,
    "sbt": _sbt,
    "team": lambda rng: _barrier(rng, current=True),
    "vteam": lambda rng: _barrier(rng, current=False),
    "yakopcic": _yakopcic,
    "jart_vcm": _jart_vcm,
    "stanford_pku": _stanford_pku,
    "soft_bounds": _soft_bounds,
}


def truth_of(model: str, seed: int) -> Truth:
    """The random device number ``seed`` of a model."""
    return TRUTHS[model](np.random.default_rng([seed, 77]))
