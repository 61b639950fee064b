"""Yakopcic: exponential motion beyond thresholds, a current of sinh shape.

i = a_1 x sinh(b v) for v ≥ 0, a_2 x sinh(b v) below; dx/dt = η g(v) f(x);
g = A_p (e^v − e^V_p) for v > V_p, −A_n (e^−v − e^V_n) for v < −V_n, 0 between;
f = 1 up to x_p, then e^(−α_p (x − x_p)) (1 − x)/(1 − x_p), while ηv > 0;
f = 1 down to 1 − x_n, then e^(α_n (x + x_n − 1)) x/(1 − x_n), while ηv < 0.
Source: C. Yakopcic, T. M. Taha, G. Subramanyam and R. E. Pino, IEEE Trans. Comput.-Aided Des.
Integr. Circuits Syst. 32, 1201 (2013), doi:10.1109/TCAD.2013.2252057. Defaults: its fit to the
chalcogenide device of A. Oblea et al. (2010). Cells begin at x = 0.11. Positive voltage raises the
conductance for η = 1. The conductance is that at small voltages, a_1 b x; :meth:`current_a` is the
whole relation. Valid for the waveforms of a fit: parameters depend on the sweep rate they were
fitted at. A state x = 0 conducts nothing and, with f = 1, can be left upwards.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from hwloop.settings.units import Number, PerSecond, PerVolt, PositiveAmpere, PositiveVolt
from hwloop_sim.devices.common.state_device import StateModel, StateSettings, state_kind

_Rate = Annotated[PerSecond, Field(gt=0)]
Knee = Annotated[Number, Field(ge=0, lt=1)]


class YakopcicSettings(StateSettings):
    """Settings of the Yakopcic model.

    ``a_1_a``, ``a_2_a``, ``b_per_v``: of the current; ``a_p_per_s``, ``a_n_per_s``: of the speed.
    ``x_p``, ``x_n``: states where motion begins to slow down; ``alpha_p``, ``alpha_n``: how fast.
    ``eta``: 1 if a positive voltage raises x, else −1.
    """

    spreadable: ClassVar = ("a_1_a", "a_2_a", "b_per_v", "v_p_v", "v_n_v", "a_p_per_s", "a_n_per_s")

    a_1_a: PositiveAmpere = 0.17
    a_2_a: PositiveAmpere = 0.17
    b_per_v: Annotated[PerVolt, Field(gt=0, le=20)] = 0.05
    v_p_v: PositiveVolt = 0.16
    v_n_v: PositiveVolt = 0.15
    a_p_per_s: _Rate = 4000.0
    a_n_per_s: _Rate = 4000.0
    x_p: Knee = 0.3
    x_n: Knee = 0.5
    alpha_p: Annotated[Number, Field(ge=0, le=100)] = 1.0
    alpha_n: Annotated[Number, Field(ge=0, le=100)] = 5.0
    eta: Literal[1, -1] = 1


def _parameters(settings: YakopcicSettings) -> dict[str, float]:
    names = (*settings.spreadable, "x_p", "x_n", "alpha_p", "alpha_n", "eta")
    return {name: float(getattr(settings, name)) for name in names}


def _rate(x: float, v: float, p: Any) -> float:
    if v > p.v_p_v:
        speed = p.a_p_per_s * math.exp(p.v_p_v) * math.expm1(v - p.v_p_v)
    elif v < -p.v_n_v:
        speed = -p.a_n_per_s * math.exp(p.v_n_v) * math.expm1(-v - p.v_n_v)
    else:
        return 0.0
    if p.eta * v > 0.0:
        if x < p.x_p:
            return float(p.eta * speed)
        return float(p.eta * speed * math.exp(-p.alpha_p * (x - p.x_p)) * (1.0 - x) / (1.0 - p.x_p))
    if x > 1.0 - p.x_n:
        return float(p.eta * speed)
    return float(p.eta * speed * math.exp(p.alpha_n * (x + p.x_n - 1.0)) * x / (1.0 - p.x_n))


def _next_break_point(x: float, v: float, p: Any) -> float:
    if p.eta * v > 0.0:
        return float(p.x_p) if x < p.x_p else 1.0
    return float(1.0 - p.x_n) if x > 1.0 - p.x_n else 0.0


def _current_a(x: Any, v: Any, p: Any) -> Any:
    return np.where(np.asarray(v) >= 0, p.a_1_a, p.a_2_a) * x * np.sinh(p.b_per_v * v)


YAKOPCIC = state_kind(
    StateModel(
        name="yakopcic",
        parameters=_parameters,
        rate=_rate,
        next_break_point=_next_break_point,
        conductance_s=lambda x, p: p.a_1_a * p.b_per_v * x,
        state=lambda conductance_s, p: conductance_s / (p.a_1_a * p.b_per_v),
        begin=0.11,
        current_a=_current_a,
    ),
    YakopcicSettings,
    "Exponential motion beyond thresholds, a current of sinh shape",
)
