"""A virtual bench of one instrument, named ``smu``, across one resistor."""

from __future__ import annotations

import time
from importlib.util import find_spec

import pytest

from hwloop.array.settings import ArraySettings
from hwloop.station.station import Station
from hwloop_sim.emulator.backend import SimSettings
from hwloop_sim.virtual.bench.bench import VirtualBench

CELL_OHM = 1e5
PATIENT_MS = 20_000
"""Timeout of a client: its usual 2 s pass where many tests share two cores."""
LIMITS = {
    "positive_v": 3,
    "negative_v": -3,
    "read_v": 0.2,
    "half_select_v": 1.1,
    "current_a": 1e-3,
    "pulse_width_s": 0.1,
    "pulse_energy_j": 1e-3,
    "pulses_per_device": 1000,
}


def needs(package: str) -> pytest.MarkDecorator:
    """Skip a test, saying why, where a package is not installed."""
    absent = find_spec(package) is None
    return pytest.mark.skipif(
        absent, reason=f"{package} is not installed: pip install hwloop[third-party]"
    )


def one_cell(kind: str, *, channel: str = "", **settings: object) -> VirtualBench:
    """Not started; its array is a resistor of :data:`CELL_OHM` ohms.

    ``channel``: of a box with several, the one that is wired.
    """
    output = f"smu.{channel}" if channel else "smu"
    station = Station.parse(
        {
            "name": "one_cell",
            "scheme": "floating",
            "instruments": {
                "smu": {"kind": kind, "address": "virtual:socket", "settings": settings}
            },
            "wiring": {"drive": {"rows": output}, "lines": {"row0": output, "col0": "gnd"}},
            "self_test": {"dummy_ohm": [[CELL_OHM]]},
            "virtual": {"noise": False},
        }
    )
    array = ArraySettings.parse(
        {"rows": 1, "cols": 1, "biasing": "floating", "limits": LIMITS, "read": {"read_v": 0.1}}
    )
    device = {"model": "pulse_table", "calibration": "shumilin2024_2V_50ms"}
    return VirtualBench(station, array, SimSettings.parse({"device": device}), seed=1, dummy=True)


def goes_off(bench: VirtualBench, *, at_most_s: float = 5.0) -> bool:
    """Whether every output is off, soon: a client does not wait for its last command."""
    end_s = time.monotonic() + at_most_s
    while any(bench.status()["outputs_on"].values()):
        if time.monotonic() > end_s:
            return False
        time.sleep(0.01)
    return True
