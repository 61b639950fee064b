"""Schottky: an interface whose barrier moves, a diode of two slopes behind a resistance.

|i| = I_0 (e^(u/E) − 1) with u = |v| − |i| R and the sign of v. A barrier moves linearly with x:
ln I_0 = x ln I_on + (1 − x) ln I_off. E = E_f for v ≥ 0, n kT/q of a forward diode; below,
1/E = x/E_on + (1 − x)/E_off, the reverse leakage with slopes of its own.
dx/dt = k_set sinh(v/V_set) (1 − x) for v > 0, −k_reset sinh(−v/V_reset) x for v < 0.
Sources: the diode behind a resistance in closed form, T. C. Banwell and A. Jayakumar, Electronics
Letters 36, 291 (2000), doi:10.1049/el:20000301, as Boost.Math's documentation gives it; a barrier
that the field moves in Nb:SrTiO3, A. S. Goossens, A. Das and T. Banerjee, arXiv:1807.06274, of
which the abstract was read. The law of motion is chosen here: exponential in the voltage like
Yakopcic's, without thresholds. Defaults: two sweeps of a 32 µm device of T. F. Tiotto et al.,
doi:10.3389/fnins.2020.627276. Cells begin at x = 0.5. The conductance is that at small positive
voltages; at small negative ones it differs, as the slopes do; :meth:`current_a` is the whole
relation. Valid for sweeps of a minute: nothing relaxes at 0 V, nothing depends on temperature.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from hwloop.settings.units import PerSecond, PositiveAmpere, PositiveOhm, PositiveVolt
from hwloop_sim.devices.common.state_device import StateModel, StateSettings, state_kind

_Rate = Annotated[PerSecond, Field(gt=0)]


class SchottkySettings(StateSettings):
    """Settings of a Schottky interface.

    ``i_on_a``, ``i_off_a``: I_0 at the bounds; ``e_…_v``: volts for a factor e of current.
    ``r_series_ohm``: in series; ``k_…_per_s`` and ``v_…_v``: of the motion.
    """

    spreadable: ClassVar = (
        "i_on_a",
        "i_off_a",
        "e_forward_v",
        "e_reverse_on_v",
        "e_reverse_off_v",
        "r_series_ohm",
        "k_set_per_s",
        "v_set_v",
        "k_reset_per_s",
        "v_reset_v",
    )
    ordered: ClassVar = (("i_off_a", "i_on_a"),)

    i_on_a: PositiveAmpere = 94e-9
    i_off_a: PositiveAmpere = 122e-12
    e_forward_v: PositiveVolt = 0.0515
    e_reverse_on_v: PositiveVolt = 0.079
    e_reverse_off_v: PositiveVolt = 0.111
    r_series_ohm: PositiveOhm = 38.2
    k_set_per_s: _Rate = 0.194
    v_set_v: PositiveVolt = 0.396
    k_reset_per_s: _Rate = 3.2e-3
    v_reset_v: PositiveVolt = 0.586


def _parameters(settings: SchottkySettings) -> dict[str, float]:
    return {name: float(getattr(settings, name)) for name in settings.spreadable}


def _rate(x: float, v: float, p: Any) -> float:
    if v > 0.0:
        return float(p.k_set_per_s * math.sinh(v / p.v_set_v) * (1.0 - x))
    return float(p.k_reset_per_s * math.sinh(v / p.v_reset_v) * x)


def _next_break_point(x: float, v: float, p: Any) -> float:  # noqa: ARG001 - the same at any state
    return 1.0 if v > 0.0 else 0.0


def _after(x: float, duration_s: float, v: float, p: Any) -> float:
    if v > 0.0:
        return 1.0 - (1.0 - x) * math.exp(-p.k_set_per_s * math.sinh(v / p.v_set_v) * duration_s)
    return x * math.exp(p.k_reset_per_s * math.sinh(v / p.v_reset_v) * duration_s)


def _saturation_a(x: Any, p: Any) -> Any:
    return p.i_off_a * np.exp(x * np.log(p.i_on_a / p.i_off_a))


def _current_a(x: Any, v: Any, p: Any) -> Any:
    """Solve y = i R/E, y = c (e^(s − y) − 1), by Wright's omega and one step of Newton's method.

    The step gives small currents all their digits, which the difference of ω and c loses; at the
    smallest it is of no use, and they begin from y = c s / (1 + c), to first order.
    """
    from scipy.special import wrightomega

    v = np.asarray(v, dtype=np.float64)
    e_v = np.where(v >= 0, p.e_forward_v, 1 / (x / p.e_reverse_on_v + (1 - x) / p.e_reverse_off_v))
    c = _saturation_a(x, p) * p.r_series_ohm / e_v
    s = np.abs(v) / e_v
    y = np.where(s < 1e-6, c * s / (1 + c), wrightomega(np.log(c) + c + s) - c)
    rise = np.expm1(s - y)
    y = y - (y - c * rise) / (1 + c * (rise + 1))
    return np.sign(v) * y * e_v / p.r_series_ohm


def _conductance_s(x: Any, p: Any) -> Any:
    saturation_a = _saturation_a(x, p)
    return saturation_a / (p.e_forward_v + saturation_a * p.r_series_ohm)


def _state(conductance_s: Any, p: Any) -> Any:
    # A conductance near or above 1/R_s is beyond any state; the caller clips it.
    left = np.maximum(1 - conductance_s * p.r_series_ohm, 1e-12)
    saturation_a = conductance_s * p.e_forward_v / left
    return np.log(saturation_a / p.i_off_a) / np.log(p.i_on_a / p.i_off_a)


SCHOTTKY = state_kind(
    StateModel(
        name="schottky",
        parameters=_parameters,
        rate=_rate,
        next_break_point=_next_break_point,
        conductance_s=_conductance_s,
        state=_state,
        begin=0.5,
        current_a=_current_a,
        after=_after,
    ),
    SchottkySettings,
    "A Schottky interface whose barrier moves: a diode of two slopes behind a resistance",
)
