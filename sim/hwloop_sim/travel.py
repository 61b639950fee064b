"""State equations of one variable at a constant voltage, solved to 1e-10 in a bounded time.

A cell whose state x in [0, 1] follows dx/dt = F(x, v) moves, at constant v, monotonically towards
an end: a bound, or a point where F vanishes. How long it takes from one state to another is the
integral of dx/F. It is taken in panels over x, not in steps over time, each by the 15-point
Kronrod rule (R. Piessens et al., QUADPACK, 1983), halved until the rule agrees with the 7-point
Gauss rule inside it; the panel in which the time is up is solved for x by Newton's method within a
bracket. So a pulse costs the same for a nanosecond and for hours, no state can leave [0, 1], and
nothing is stiff. A train of n pulses of width T is one of n · T: nothing moves between pulses.

Each device model brings, as plain functions that numba compiles:

- ``rate(x, v, p)``: F, per second; 0 where nothing moves;
- ``waypoint(x, v, p)``: where it is going: the next point, in the direction of F, at which F
  has a kink or vanishes, or the bound.

``p`` is one record of a structured array: its fields are the parameters. The voltage is the
device's own. Import this module where it is used: it loads numba.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from hwloop.operations import FloatArray

_KRONROD = np.array(
    [
        0.991455371120812639206854697526329,
        0.949107912342758524526189684047851,
        0.864864423359769072789712788640926,
        0.741531185599394439863864773280788,
        0.586087235467691130294144691258380,
        0.405845151377397166906606412076961,
        0.207784955007898467600689403773245,
    ]
)
_KRONROD_WEIGHT = np.array(
    [
        0.022935322010529224963732008058970,
        0.063092092629978553290700663189204,
        0.104790010322250183839876322541518,
        0.140653259715525918745189590510238,
        0.169004726639267902826583426598550,
        0.190350578064785409913256402421014,
        0.204432940075298892414161999234649,
    ]
)
_KRONROD_CENTRE = 0.209482141084727828012999174891714
_GAUSS_WEIGHT = np.array(
    [
        0.0,
        0.129484966168869693270611432679082,
        0.0,
        0.279705391489276667901467771423780,
        0.0,
        0.381830050505118944950369775488975,
        0.0,
    ]
)
_GAUSS_CENTRE = 0.417959183673469387755102040816327

_AGREE = 1e-8
"""Where the two rules agree to this, the better one errs by less than 1e-11."""
_SOLVED = 1e-13
_ITERATIONS = 60
_SEGMENTS = 4  # kinks of F, and a bound

Rate = Callable[[float, float, Any], float]


@numba.njit(error_model="numpy")
def _duration(rate, x, h, v, p):  # type: ignore[no-untyped-def]
    """Time from x to x + h by the Kronrod rule, and how far the Gauss rule is from it."""
    half = 0.5 * h
    centre = 1.0 / rate(x + half, v, p)
    kronrod = _KRONROD_CENTRE * centre
    gauss = _GAUSS_CENTRE * centre
    for i in range(7):
        step = half * _KRONROD[i]
        pair = 1.0 / rate(x + (half - step), v, p) + 1.0 / rate(x + (half + step), v, p)
        kronrod += _KRONROD_WEIGHT[i] * pair
        gauss += _GAUSS_WEIGHT[i] * pair
    return kronrod * half, abs(kronrod - gauss) * abs(half)


@numba.njit(error_model="numpy")
def _reached(rate, x, h, whole, duration, v, p):  # type: ignore[no-untyped-def]
    """The state ``duration`` after x, which lies in the panel that takes ``whole``."""
    low, high = 0.0, 1.0
    part = duration / whole
    for _ in range(_ITERATIONS):
        took, _ = _duration(rate, x, part * h, v, p)
        excess = took - duration
        if abs(excess) <= _SOLVED * duration:
            break
        if excess > 0.0:
            high = part
        else:
            low = part
        part -= excess * rate(x + part * h, v, p) / h
        if not low < part < high:
            part = 0.5 * (low + high)
        if high - low <= _SOLVED * high:
            break
    return x + part * h


@numba.njit(error_model="numpy")
def _approach(rate, x, end, duration, v, p):  # type: ignore[no-untyped-def]
    """Go from x towards ``end``; the state, and what is left of the duration there."""
    h = end - x
    likely = 2.0 * duration * rate(x, v, p)
    if abs(likely) < abs(h):
        h = likely
    while x + h != x:
        whole, difference = _duration(rate, x, h, v, p)
        if not (np.isfinite(whole) and difference <= _AGREE * whole):
            h *= 0.5
            continue
        if whole >= duration:
            return _reached(rate, x, h, whole, duration, v, p), 0.0
        duration -= whole
        rest = end - x
        if abs(h) >= abs(rest):
            return end, duration
        x += h
        rest = end - x
        h = 2.0 * h if 2.0 * abs(h) < abs(rest) else rest
    # As near to the end as numbers go, or too slow to move at all.
    return x, 0.0


@numba.njit(error_model="numpy")
def _after(rate, waypoint, x, duration, v, p):  # type: ignore[no-untyped-def]
    """The state of one cell after ``duration`` at ``v``."""
    for _ in range(_SEGMENTS):
        speed = rate(x, v, p)
        if not abs(speed) > 0.0:
            break
        end = waypoint(x, v, p)
        if end == x:
            break
        x, duration = _approach(rate, x, end, duration, v, p)
        if duration <= 0.0:
            break
    return x


@numba.njit(error_model="numpy")
def _advance(rate, waypoint, state, voltage_v, duration_s, parameters):  # type: ignore[no-untyped-def]
    after = state.copy()
    for i in range(state.size):
        if voltage_v[i] != 0.0:
            p = parameters[i if parameters.size > 1 else 0]
            after[i] = _after(rate, waypoint, state[i], duration_s, voltage_v[i], p)
    return after


def compiled(function: Callable[..., Any]) -> Any:
    """``function``, compiled to be called from a rate: divisions by zero give infinities."""
    return numba.njit(error_model="numpy")(function)


def advance(
    rate: Any,
    waypoint: Any,
    state: FloatArray,
    voltage_v: FloatArray,
    duration_s: float,
    parameters: NDArray[np.void],
) -> FloatArray:
    """States of all cells, (...), after ``duration_s`` at voltages of the same shape.

    ``rate`` and ``waypoint`` are :func:`compiled`. ``parameters``: one record, or one a cell.
    """
    moved = _advance(
        rate,
        waypoint,
        np.ascontiguousarray(state).ravel(),
        np.ascontiguousarray(voltage_v).ravel(),
        float(duration_s),
        parameters,
    )
    reshaped: FloatArray = moved.reshape(state.shape)
    return reshaped
