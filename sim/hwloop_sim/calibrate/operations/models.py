"""Parameters of each device model that a history determines, and the ranges of their search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwloop.errors import ConfigError
from hwloop.settings.units import format_quantity
from hwloop.types import FloatArray
from hwloop_sim.calibrate.operations.free import Free, OperationModel, Turned
from hwloop_sim.calibrate.operations.history import History
from hwloop_sim.calibrate.operations.thresholds import moving_step_v

_BELOW = 0.02  # share of the largest voltage or current below which no threshold is searched


@dataclass(frozen=True)
class _Seen:
    """Ranges of the data: conductances, voltages of each sign, times of the pulses."""

    low_conductance_s: float
    high_conductance_s: float
    positive_v: FloatArray
    negative_v: FloatArray
    shortest_s: float
    longest_s: float

    @property
    def r_on(self) -> Free:
        """Return R_on, searched below the lowest resistance measured."""
        return Free("r_on_ohm", 0.3 / self.high_conductance_s, 1 / self.high_conductance_s)

    @property
    def r_off(self) -> Free:
        """Return R_off, searched above the highest resistance measured."""
        return Free("r_off_ohm", 1 / self.low_conductance_s, 4 / self.low_conductance_s)

    @property
    def rates_per_s(self) -> tuple[float, float]:
        """Return the slowest and fastest rate of the state that these pulses could show."""
        return 0.02 / self.longest_s, 2 / self.shortest_s


def seen(histories: Sequence[History], *, both: bool = True) -> _Seen:
    """Return the ranges of histories; refuse those without pulses in one direction."""
    values_conductance_s = np.concatenate([one.conductance_s.ravel() for one in histories])
    values_conductance_s = values_conductance_s[
        np.isfinite(values_conductance_s) & (values_conductance_s > 0)
    ]
    stimuli = [stimulus for one in histories for stimulus in one.stimuli]
    volts = np.unique(np.concatenate([stimulus.voltage_v for stimulus in stimuli]))
    if both and (volts.min() >= 0 or volts.max() <= 0):
        lacking = "negative" if volts.min() >= 0 else "positive"
        raise ConfigError(
            f"no {lacking} pulse in it: one direction does not determine the other",
            file=", ".join(dict.fromkeys(one.where for one in histories)),
        )
    widths_s = [stimulus.duration_s for stimulus in stimuli]
    total_s = max(sum(stimulus.duration_s for stimulus in one.stimuli) for one in histories)
    return _Seen(
        float(values_conductance_s.min()),
        float(values_conductance_s.max()),
        volts[volts > 0],
        volts[volts < 0],
        min(widths_s),
        total_s,
    )


def _drift(histories: Sequence[History], settings: Any) -> list[Free]:
    data = seen(histories)
    slow, fast = data.rates_per_s
    volts = float(np.abs(np.concatenate([data.positive_v, data.negative_v])).max())
    # dx/dt = mu R_on/D^2 v/R, at R between R_on and R_off.
    unit = settings.thickness_m**2 / volts
    mobility = Free(
        "mobility_m2_per_vs",
        slow * unit,
        fast * unit * data.high_conductance_s / data.low_conductance_s,
    )
    return [data.r_on, data.r_off, mobility]


def _stepwise(name: str, histories: Sequence[History], volts: FloatArray) -> Free:
    """Return a threshold that shows in steps; ``volts``: those applied on its side of 0."""
    sign = int(np.sign(volts[0]))
    steps_v = (0.0, *np.sort(np.abs(volts)).tolist())
    low, high = moving_step_v(histories, sign) or (0.0, steps_v[-1])
    ends = sorted(sign * v for v in (max(low, _BELOW * steps_v[-1]), 0.99 * high))
    return Free(name, ends[0], ends[1], steps_v=steps_v)


def _sbt(histories: Sequence[History], settings: Any) -> list[Free]:
    data = seen(histories)
    slow, fast = data.rates_per_s
    up_v, down_v = float(data.positive_v.max()), float(-data.negative_v.min())
    # Upwards dx/dt = mu R_on/D^2 i_off R/v, downwards mu R_on/D^2 v/(R i_on).
    pace = settings.mobility_m2_per_s_ohm / data.high_conductance_s / settings.thickness_m**2
    return [
        data.r_on,
        data.r_off,
        Free(
            "i_off_a",
            slow / pace * up_v * data.low_conductance_s,
            fast / pace * up_v * data.high_conductance_s,
        ),
        Free(
            "i_on_a",
            pace / fast * down_v * data.low_conductance_s,
            pace / slow * down_v * data.high_conductance_s,
        ),
        _stepwise("v_positive_v", histories, data.positive_v),
        _stepwise("v_negative_v", histories, data.negative_v),
    ]


def _barrier(
    histories: Sequence[History], settings: Any, unit: str, thresholds: tuple[float, float]
) -> list[Free]:
    """Return parameters of TEAM and VTEAM.

    ``thresholds``: largest voltage or current applied, of each sign.
    """
    data = seen(histories)
    slow, fast = data.rates_per_s
    span_m = settings.w_off_m - settings.w_on_m
    off, on = thresholds
    if settings.flipped:
        off, on = on, off
    return [
        data.r_on,
        data.r_off,
        Free("k_off_m_per_s", slow * span_m, fast * span_m),
        Free("k_on_m_per_s", -fast * span_m, -slow * span_m),
        Free("alpha_off", 0.7, 5.0),
        Free("alpha_on", 0.7, 5.0),
        Free(f"{unit[0]}_off_{unit[1]}", _BELOW * off, 0.95 * off),
        Free(f"{unit[0]}_on_{unit[1]}", -0.95 * on, -_BELOW * on),
    ]


def _team(histories: Sequence[History], settings: Any) -> list[Free]:
    data = seen(histories)
    off, on = float(data.positive_v.max()), float(-data.negative_v.min())
    return _barrier(
        histories, settings, "ia", (off * data.high_conductance_s, on * data.high_conductance_s)
    )


def _vteam(histories: Sequence[History], settings: Any) -> list[Free]:
    data = seen(histories)
    off, on = float(data.positive_v.max()), float(-data.negative_v.min())
    return _barrier(histories, settings, "vv", (off, on))


def _yakopcic(histories: Sequence[History], settings: Any) -> list[Free]:  # noqa: ARG001
    data = seen(histories)
    slow, fast = data.rates_per_s
    up_v, down_v = float(data.positive_v.max()), float(-data.negative_v.min())
    # G = a b x with x up to 1.
    most = 3 * data.high_conductance_s
    return [
        Free("a_1_a", data.high_conductance_s / 0.7, most / 0.05),
        Free("a_2_a", data.high_conductance_s / 0.7, most / 0.05),
        Free("b_per_v", 0.05, 0.7),
        Free("v_p_v", _BELOW * up_v, 0.95 * up_v),
        Free("v_n_v", _BELOW * down_v, 0.95 * down_v),
        Free("a_p_per_s", slow / np.expm1(up_v), fast / np.expm1(0.3 * up_v)),
        Free("a_n_per_s", slow / np.expm1(down_v), fast / np.expm1(0.3 * down_v)),
        Free("x_p", 0.1, 0.8, "logit"),
        Free("x_n", 0.1, 0.8, "logit"),
        Free("alpha_p", 0.2, 8.0),
        Free("alpha_n", 0.2, 8.0),
    ]


def _schottky(histories: Sequence[History], settings: Any) -> list[Free]:  # noqa: ARG001
    data = seen(histories)
    currents_a = np.concatenate([np.abs(one.current_a).ravel() for one in histories])
    most_a = float(np.nanmax(currents_a))
    volts = float(max(data.positive_v.max(), -data.negative_v.min()))
    slow, fast = 0.05 / data.longest_s, 100 / data.longest_s
    return [
        Free("i_on_a", 1e-7 * most_a, 1e-4 * most_a),
        Free("i_off_a", 1e-11 * most_a, 1e-7 * most_a),
        Free("e_forward_v", 0.026, 0.1),
        Free("e_reverse_on_v", 0.04, 0.2),
        Free("e_reverse_off_v", 0.04, 0.2),
        Free("r_series_ohm", 0.1 * volts / most_a, volts / most_a),
        Free("k_set_per_s", slow, fast),
        Free("v_set_v", 0.1, 1.0),
        Free("k_reset_per_s", 0.01 * slow, fast),
        Free("v_reset_v", 0.1, 1.5),
    ]


def _jart_vcm(histories: Sequence[History], settings: Any) -> list[Free]:  # noqa: ARG001
    seen(histories)
    return [
        Free("radius_m", 41e-9, 49e-9, "linear"),
        Free("min_per_m3", 4e23, 2.5e25),
        Free("attempt_frequency_per_s", 1e12, 1e14),
    ]


def _stanford_pku(histories: Sequence[History], settings: Any) -> list[Free]:  # noqa: ARG001
    data = seen(histories)
    # G = I_0/V_0 e^(−g/g_0), of which the largest is at a gap below g_0.
    most = data.high_conductance_s
    return [
        Free("i_0_a", 0.2 * most, 2 * most),
        Free("g_0_m", 0.12e-9, 0.6e-9),
        Free("v_0_v", 0.1, 0.6),
        Free("velocity_m_per_s", 0.3, 300.0),
        Free("gamma_0", 10.0, 25.0),
        Free("beta", 0.2, 2.0),
    ]


def _soft_bounds(histories: Sequence[History], settings: Any) -> list[Free]:  # noqa: ARG001
    data = seen(histories)
    given = max(sum(stimulus.count for stimulus in one.stimuli) for one in histories)
    return [
        Free("min_conductance_s", 0.3 * data.low_conductance_s, data.low_conductance_s),
        Free("max_conductance_s", data.high_conductance_s, 3 * data.high_conductance_s),
        Free("up_pulses", 0.5, float(max(given, 2))),
        Free("down_pulses", 0.5, float(max(given, 2))),
    ]


def _known_pulses(histories: Sequence[History], rises: bool) -> dict[str, Any]:
    """Return the two pulses of ``soft_bounds``; refuse data with others."""
    from hwloop_sim.cells.known_pulses import KnownPulse

    found = {
        (float(volts), stimulus.width_s)
        for one in histories
        for stimulus in one.stimuli
        if stimulus.selected
        for volts in np.unique(stimulus.voltage_v[stimulus.voltage_v != 0])
    }
    named: dict[str, Any] = {}
    for way, sign in (("up", 1), ("down", -1)) if rises else (("up", -1), ("down", 1)):
        pulses = sorted(one for one in found if one[0] * sign > 0)
        if len(pulses) != 1:
            shown = ", ".join(
                f"{format_quantity(v, 'V')} {format_quantity(w, 's')}" for v, w in pulses
            )
            raise ConfigError(
                f"{len(pulses)} {'positive' if sign > 0 else 'negative'} pulses"
                f" ({shown or 'none'}): a calibration of soft_bounds from pulses and"
                f" reads needs one of each sign",
                file=", ".join(dict.fromkeys(one.where for one in histories)),
            )
        named[way] = KnownPulse(amplitude_v=pulses[0][0], width_s=pulses[0][1])
    return named


def _flipped_unless(*, raises: bool) -> Turned:
    """Return the rule for ``flipped``.

    ``raises``: whether a positive voltage raises the conductance of the model as published.
    """
    return lambda _, rises: {"flipped": rises != raises}


def operation_models() -> Mapping[str, OperationModel]:
    """Return device model → recipe for fitting it to operations and their results."""
    window = "a shape that is chosen, not fitted"
    scale = "only its ratio to the speeds shows"
    heat = "shows together with the attempt frequency"
    barrier = {"w_on_m": scale, "w_off_m": scale, "window": window, "resistance": window}
    every = [
        OperationModel(
            "linear_ion_drift",
            _drift,
            {"thickness_m": "only mobility over its square shows", "window": window},
            _flipped_unless(raises=True),
        ),
        OperationModel(
            "sbt",
            _sbt,
            {
                "thickness_m": scale,
                "mobility_m2_per_s_ohm": "only its products with i_off_a and i_on_a show",
                "i_0_a": "an offset that the source sets by hand",
                "window": window,
            },
            _flipped_unless(raises=True),
        ),
        OperationModel("team", _team, barrier, _flipped_unless(raises=False)),
        OperationModel("vteam", _vteam, barrier, _flipped_unless(raises=False)),
        OperationModel("yakopcic", _yakopcic, {}, lambda _, rises: {"eta": 1 if rises else -1}),
        OperationModel(
            "schottky", _schottky, {}, _flipped_unless(raises=True), starts=256, decades=True
        ),
        OperationModel(
            "jart_vcm",
            _jart_vcm,
            {
                "length_m": heat,
                "activation_energy_ev": heat,
                "max_per_m3": "conductances at it differ by less than reads do",
                "cycle_to_cycle": "taken for none",
            },
            _flipped_unless(raises=False),
            starts=64,
            decades=True,
        ),
        OperationModel(
            "stanford_pku",
            _stanford_pku,
            {
                "activation_energy_ev": "shows together with the velocity",
                "thermal_k_per_w": "shows together with the velocity",
                "ambient_k": "known, not fitted",
                "gap_min_m": "only its ratio to g_0 shows",
                "gap_max_m": "only its ratio to g_0 shows",
                "atom_spacing_m": "only its product with gamma_0 over the oxide shows",
                "oxide_m": "only gamma_0 over it shows",
                "lowest_field_v_per_m": "a threshold that no train crosses",
                "fluctuation_m_per_s": "taken for none",
                "fluctuation_step_s": "taken for none",
                "critical_k": "taken for none",
                "smoothing_k": "taken for none",
            },
            _flipped_unless(raises=True),
            decades=True,
        ),
        OperationModel(
            "soft_bounds", _soft_bounds, {"cycle_to_cycle": "taken for none"}, _known_pulses, 64
        ),
    ]
    return {one.name: one for one in every}
