"""Characterisation steps on emulated arrays, for their tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwloop.array.settings import ArraySettings
from hwloop.backend.kind import OpenRequest
from hwloop.steps.array import Array
from hwloop.steps.contract import Step
from hwloop.steps.rows import Outcome, Row
from hwloop.types import FloatArray
from hwloop_sim.emulator.backend import SimSettings, open_sim

LIMITS: dict[str, Any] = {
    "positive_v": 4.0,
    "negative_v": -4.0,
    "read_v": 0.5,
    "half_select_v": 2.0,
    "current_a": 1.0,
    "pulse_width_s": 0.1,
    "pulse_energy_j": 1.0,
    "pulses_per_device": 10**6,
}


def array_settings(
    rows: int, cols: int, *, read_v: float = 0.1, biasing: str = "V/2", **limits: Any
) -> ArraySettings:
    one_transistor = biasing == "1T1R"
    return ArraySettings.parse(
        {
            "rows": rows,
            "cols": cols,
            "cell": "1T1R" if one_transistor else "1R",
            "biasing": biasing,
            "limits": LIMITS | ({"gate_v": 5.0} if one_transistor else {}) | limits,
            "read": {"read_v": read_v},
        }
    )


def emulated(
    device: dict[str, Any],
    *,
    shape: tuple[int, int] = (4, 4),
    population: int | None = None,
    sim: dict[str, Any] | None = None,
    **array: Any,
) -> Array:
    """An emulated array as a step holds it, without a guard."""
    settings = array_settings(*shape, **array)
    request = OpenRequest(settings, population, np.random.default_rng(3))
    backend = open_sim(SimSettings.parse({"device": device, **(sim or {})}), request)
    return Array(backend, settings, np.random.default_rng(4))


def results(step: Step[Any], settings: dict[str, Any], array: Array) -> dict[str, list[Any]]:
    """Rows by table, "" the main one; "outcome" the outcome. The plan is checked on the way."""
    parsed = step.settings.parse(settings)
    plan = step.plan(parsed, array.settings)
    found: dict[str, list[Any]] = {"outcome": []}
    for item in step(parsed, array):
        name = "outcome" if isinstance(item, Outcome) else item.table
        found.setdefault(name, []).append(item)
        if isinstance(item, Row):
            assert item.columns().keys() == item.describe().keys()
    assert len(found.get("", [])) <= plan.rows * sum(1 for _ in array.backend.groups())
    assert len(found["outcome"]) == 1
    return found


def equal(first: FloatArray, second: FloatArray) -> None:
    """The same to 1e-12 of a value; NaN where NaN."""
    np.testing.assert_allclose(first, second, rtol=1e-12)
