"""What a move becomes: which pulses, and what they are charged for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hwloop.array.operations import PulseMap, Ramp
from hwloop.backend.base import Description
from hwloop.steps.array import Array
from hwloop.steps.program.program_verify import PROGRAM_VERIFY
from tests.characterised import array_settings, results

WIDTH_S = 3e-4


@pytest.mark.parametrize(
    ("initial_conductance_s", "target_conductance_s", "start_v", "stop_v"),
    [(2e-5, 6e-5, 3.0, 3.6), (9e-5, 5e-5, -2.6, -3.2)],
)
def test_a_ramp_run_in_the_instrument_is_charged_for_the_voltage_of_each_of_its_pulses(
    linear_array: type[Any],
    initial_conductance_s: float,
    target_conductance_s: float,
    start_v: float,
    stop_v: float,
) -> None:
    class RunsRamps(linear_array):  # type: ignore[misc]
        ramps: list[Ramp]

        @property
        def description(self) -> Description:
            return replace(self._description, verify_steps=8)

        def ramp(self, ramp: Ramp) -> Any:
            self.ramps = [*getattr(self, "ramps", []), ramp]
            return super().ramp(ramp)

    backend = RunsRamps(np.array([[initial_conductance_s]]))
    train = {
        "amplitude": {"start_v": start_v, "stop_v": stop_v, "step_v": 0.05},
        "width_s": WIDTH_S,
    }
    other = {"amplitude": -1.0 if start_v > 0 else 1.0, "width_s": WIDTH_S}
    up, down = (train, other) if start_v > 0 else (other, train)
    settings = {
        "target": {"kind": "map", "map_conductance_s": [[target_conductance_s]]},
        "tolerance": {"kind": "absolute", "by_conductance_s": 3e-6},
        "algorithm": {"name": "alibart", "up": up, "down": down},
    }
    array = Array(backend, array_settings(1, 1), np.random.default_rng(1))
    cells = results(PROGRAM_VERIFY, settings, array)["cells"][0]
    applied = [done for done in backend.done if isinstance(done, PulseMap)]
    assert len(backend.ramps) < len(applied)
    # Each volt of a pulse moves this cell by 1 µS: its course and its energy by hand.
    number = np.arange(cells.pulses_up[0, 0] + cells.pulses_down[0, 0])
    assert number.size == len(applied) >= 10
    sign = np.sign(start_v)
    volts = sign * np.minimum(abs(start_v) + 0.05 * number, abs(stop_v))
    before_conductance_s = initial_conductance_s + 1e-6 * (np.cumsum(volts) - volts)
    np.testing.assert_allclose([float(p.amplitude_v[0, 0]) for p in applied], volts, rtol=1e-12)
    assert cells.energy_j[0, 0] == pytest.approx(
        (volts**2 * before_conductance_s * WIDTH_S).sum(), rel=1e-9
    )
