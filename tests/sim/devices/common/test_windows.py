"""Windows against their formulas, and close to the bounds against more digits."""

from __future__ import annotations

from decimal import Decimal, getcontext

import numpy as np
import pytest

from hwloop.settings.model import Settings
from hwloop_sim.devices.common import integrate
from hwloop_sim.devices.common.windows import LengthWindow, window, window_parameters

compiled = integrate.compiled(window)
WINDOWS = [
    {"name": "none"},
    {"name": "joglekar", "p": 2},
    {"name": "biolek", "p": 3},
    {"name": "prodromakis", "p": 5, "j": 0.7},
    {"name": "kvatinsky", "a_off_m": 1.2e-9, "a_on_m": 2e-9, "w_c_m": 3e-10},
]


class One(Settings):
    window: LengthWindow


def value(settings: dict[str, object], x: float, up: bool) -> float:
    fields = window_parameters(One.parse({"window": settings}).window, high_m=3e-9)
    record = np.zeros(1, dtype=[(name, np.float64) for name in fields])
    for name, number in fields.items():
        record[name] = number
    return float(compiled(x, up, record[0]))


def exact(settings: dict[str, object], x: float, up: bool) -> float:
    getcontext().prec = 700
    digits, one, half = Decimal(x), Decimal(1), Decimal("0.5")
    p = int(settings.get("p", 0))
    match settings["name"]:
        case "joglekar":
            return float(one - (2 * digits - 1) ** (2 * p))
        case "biolek":
            return float(one - (digits - (0 if up else 1)) ** (2 * p))
        case "prodromakis":
            return float(Decimal("0.7") * (one - ((digits - half) ** 2 + Decimal("0.75")) ** p))
        case "kvatinsky":
            w = 3e-9 * x
            return float(np.exp(-np.exp((w - 1.2e-9) / 3e-10 if up else (2e-9 - w) / 3e-10)))
    return 1.0


@pytest.mark.parametrize("settings", WINDOWS, ids=lambda settings: settings["name"])
@pytest.mark.parametrize("up", [True, False])
def test_every_window_is_its_formula_to_the_last_digits(
    settings: dict[str, object], up: bool
) -> None:
    for x in (1e-300, 1e-18, 1e-9, 0.01, 0.3, 0.5, 0.77, 1 - 1e-9, 1 - 2**-53):
        assert value(settings, x, up) == pytest.approx(
            exact(settings, x, up), rel=1e-13, abs=1e-320
        )


@pytest.mark.parametrize(
    ("name", "up", "at_low", "at_high"),
    [
        ("joglekar", True, 0, 0),
        ("biolek", True, 1, 0),
        ("biolek", False, 0, 1),
        ("prodromakis", False, 0, 0),
    ],
)
def test_windows_close_where_their_papers_say(
    name: str, up: bool, at_low: float, at_high: float
) -> None:
    assert value({"name": name, "p": 2}, 0.0, up) == at_low
    assert value({"name": name, "p": 2}, 1.0, up) == at_high
