"""Window functions: the slowing of drift near the bounds of a state x in [0, 1].

- ``none``: 1; the state runs into its bounds.
- ``joglekar``: 1 − (2x − 1)^(2p); Y. N. Joglekar and S. J. Wolf, Eur. J. Phys. 30, 661 (2009),
  doi:10.1088/0143-0807/30/4/001. 0 at both bounds: a cell exactly there stays for ever.
- ``biolek``: 1 − (x − stp(−direction))^(2p); Z. Biolek, D. Biolek and V. Biolková,
  Radioengineering 18, 210 (2009). 0 only at the bound towards which the state moves.
- ``prodromakis``: j · (1 − ((x − ½)² + ¾)^p); T. Prodromakis et al., IEEE Trans. Electron Devices
  58, 3099 (2011), doi:10.1109/TED.2011.2158004. 0 at both bounds, any p above 0.
- ``kvatinsky``: exp(−exp((w − a_off)/w_c)) upwards, exp(−exp((a_on − w)/w_c)) downwards, where w
  is the state in metres; S. Kvatinsky et al., doi:10.1109/TCSI.2012.2215714 (TEAM).
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field

from hwloop.settings.model import Settings
from hwloop.settings.units import Count, Metre, Number, PositiveMetre

_CODES = {"none": 0.0, "joglekar": 1.0, "biolek": 2.0, "prodromakis": 3.0, "kvatinsky": 4.0}


class NoWindow(Settings):
    """No slowing: the state stops at its bounds."""

    name: Literal["none"] = "none"


class Joglekar(Settings):
    """The window of Joglekar; the larger ``p``, the closer to the bounds the drift slows down."""

    name: Literal["joglekar"]
    p: Count = 2


class Biolek(Settings):
    """The window of Biolek; the larger ``p``, the closer to the bound the drift slows down."""

    name: Literal["biolek"]
    p: Count = 2


class Prodromakis(Settings):
    """The window of Prodromakis; ``p``: any exponent above 0, ``j``: scale of the whole window."""

    name: Literal["prodromakis"]
    p: Annotated[Number, Field(gt=0, le=1000)] = 2.0
    j: Annotated[Number, Field(gt=0, le=1000)] = 1.0


class Kvatinsky(Settings):
    """The window of TEAM, for a state that is a length.

    ``a_off_m``, ``a_on_m``: where each direction slows down; ``w_c_m``: how abruptly.
    """

    name: Literal["kvatinsky"]
    a_off_m: Metre
    a_on_m: Metre
    w_c_m: PositiveMetre = 107e-12


DriftWindow = Annotated[NoWindow | Joglekar | Biolek | Prodromakis, Field(discriminator="name")]
"""A window of a state that has no length of its own."""
LengthWindow = Annotated[
    NoWindow | Joglekar | Biolek | Prodromakis | Kvatinsky, Field(discriminator="name")
]
"""A window of a state that is a length, of TEAM and VTEAM."""

AnyWindow = NoWindow | Joglekar | Biolek | Prodromakis | Kvatinsky


def window_parameters(
    window: AnyWindow, *, low_m: float = 0.0, high_m: float = 1.0
) -> dict[str, float]:
    """Return the fields of a parameter record that :func:`window` reads; lengths as parts of x."""
    span_m = high_m - low_m
    kvatinsky = window if isinstance(window, Kvatinsky) else None
    return {
        "window": _CODES[window.name],
        "window_p": float(getattr(window, "p", 1)),
        "window_j": float(getattr(window, "j", 1)),
        "window_a_off": (kvatinsky.a_off_m - low_m) / span_m if kvatinsky else 0.0,
        "window_a_on": (kvatinsky.a_on_m - low_m) / span_m if kvatinsky else 0.0,
        "window_w_c": kvatinsky.w_c_m / span_m if kvatinsky else 1.0,
    }


def window(x: float, up: bool, p: Any) -> float:
    """Compute f(x) for a state that moves up or down, exact to rounding near its zeros.

    To be compiled by numba: the logarithm of 0 is then minus infinity, and its power 0.
    """
    if p.window == 0.0:
        return 1.0
    if p.window == 1.0:
        nearest = min(x, 1.0 - x)
        return -math.expm1(2.0 * p.window_p * math.log1p(-2.0 * nearest))
    if p.window == 2.0:
        return -math.expm1(2.0 * p.window_p * (math.log(x) if up else math.log1p(-x)))
    if p.window == 3.0:
        return float(-p.window_j * math.expm1(p.window_p * math.log1p(-x * (1.0 - x))))
    if up:
        return math.exp(-math.exp((x - p.window_a_off) / p.window_w_c))
    return math.exp(-math.exp((p.window_a_on - x) / p.window_w_c))
