"""State equations of cells behind resistances, solved as those at constant voltages.

A cell in series with a resistance at a constant voltage is again a state equation of one variable:
each state has one voltage. With v in the state y and a resistance of the cell that is linear in its
state, the voltage in x is v (1 + a (x − y))/(1 + b (x − y)), with a = R'/R and b = R'/(R + R_s).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwloop.types import FloatArray
from hwloop_sim.devices.common.integrate import loop_of

Divided = tuple[float, float, float, float]

# ruff: noqa: F821 - of the model, and of the integration: copies of the functions are given them
_after: Callable[..., float]
model_rate: Callable[..., float]
model_break_point: Callable[..., float]


def _divided_v(x: float, divided: Divided) -> float:
    """Return the voltage of a cell in the state x; ``divided``: v, y, a, b."""
    v, at, rise, fall = divided
    return v * (1.0 + rise * (x - at)) / (1.0 + fall * (x - at))


def _divided_rate(x: float, divided: Divided, p: Any) -> float:
    return model_rate(x, _divided_v(x, divided), p)


def _divided_break_point(x: float, divided: Divided, p: Any) -> float:
    return model_break_point(x, _divided_v(x, divided), p)


def _advance_behind(
    state: FloatArray,
    voltage_v: FloatArray,
    at_state: FloatArray,
    rise: FloatArray,
    fall: FloatArray,
    duration_s: FloatArray,
    parameters: NDArray[np.void],
) -> FloatArray:
    after = state.copy()
    for i in range(state.size):
        if voltage_v[i] != 0.0:
            divided = (voltage_v[i], at_state[i], rise[i], fall[i])
            after[i] = _after(state[i], duration_s[i], divided, parameters[i])
    return after


def advancing_behind(rate: Callable[..., Any], next_break_point: Callable[..., Any]) -> Any:
    """Return the compiled loop over cells behind resistances: see :func:`_advance_behind`.

    Its arguments are (cells,) each, with one record of parameters a cell.
    """
    around = (_divided_v, _divided_rate, _divided_break_point)
    return loop_of(_advance_behind, rate, next_break_point, around=around)
