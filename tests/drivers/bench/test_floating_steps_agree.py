"""Programming and sweeps of a floating array end on a virtual bench as on the emulator."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwloop.errors import NotConverged
from hwloop.procedure.procedure import Procedure, from_data
from hwloop.record.reader import Record
from tests.drivers.bench.test_floating_agrees import station
from tests.drivers.running_bench import run_hosted

pytestmark = pytest.mark.usefixtures("no_watchdog")

PULSE = {"amplitude": "1 V", "width_s": "1 ms"}
ARRAY: dict[str, Any] = {
    "rows": 4,
    "cols": 4,
    "biasing": "floating",
    "limits": {
        "positive_v": 1.2,
        "negative_v": -1.2,
        "read_v": 0.1,
        "half_select_v": 1.2,
        "current_a": 1e-2,
        "pulse_width_s": 0.1,
        "pulse_energy_j": 1.0,
        "pulses_per_device": 10000,
    },
    "read": {"read_v": 0.1},
}
DEVICE = {
    "model": "soft_bounds",
    "min_conductance_s": "10 uS",
    "max_conductance_s": "110 uS",
    "up_pulses": 20,
    "down_pulses": 20,
    "initial": "20 uS",
    "up": {"amplitude_v": "1 V", "width_s": "1 ms"},
    "down": {"amplitude_v": "-1 V", "width_s": "1 ms"},
}
PROGRAM = {
    "step": "program_verify",
    "settings": {
        "target": {"kind": "random", "low_conductance_s": "60 uS", "high_conductance_s": "90 uS"},
        "tolerance": {"kind": "range", "fraction": 0.05},
        "range": {"low_conductance_s": "10 uS", "high_conductance_s": "150 uS"},
        "algorithm": {"name": "alibart", "up": PULSE, "down": PULSE | {"amplitude": "-1 V"}},
        "pulses_per_cell": 12,
    },
}


def procedure(step: dict[str, Any], bench: Path) -> Procedure:
    data = {
        "name": "floating",
        "seed": 3,
        "array": ARRAY,
        "backends": {"sim": {"device": DEVICE}, "bench": {"station": str(bench)}},
        "steps": [step],
    }
    return from_data(data, folder=bench.parent)


@pytest.mark.parametrize("step", [PROGRAM], ids=lambda step: step["step"])
def test_a_step_on_a_floating_array_gives_each_cell_the_emulators_pulses_and_reads(
    step: dict[str, Any], tmp_path: Path
) -> None:
    file = station(tmp_path)
    pulses, final_s = [], []
    for backend in ("bench", "sim"):
        path = tmp_path / f"{backend}.h5"
        with suppress(NotConverged):
            run_hosted(procedure(step, file), file, backend, path).raise_unless_reached()
        with Record(path) as record:
            pulses.append(record.pulses_given())
            final_s.append(record.array("final_conductance_s"))
    np.testing.assert_array_equal(*pulses)
    assert pulses[0].sum() > 16
    # 10 nA of the 100 µA range at 0.1 V.
    np.testing.assert_allclose(*final_s, rtol=0, atol=1e-7)
    assert final_s[0] is not None
    assert np.median(final_s[0]) > 60e-6
