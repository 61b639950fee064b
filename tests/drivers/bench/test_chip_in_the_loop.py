"""Chip in the loop: one procedure, on the emulator and over real drivers on a virtual bench."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from hwloop.procedure.procedure import Procedure, from_data
from hwloop.record.reader import Record
from hwloop.station.station import load_station
from tests.characterised import LIMITS
from tests.drivers.running_bench import ROOT, run_hosted

LARGE = ROOT / "stations" / "networks" / "virtual_17x20.yaml"
PULSES = {
    "up": {"amplitude": 2.0, "width_s": 5e-3},
    "down": {"amplitude": -2.8, "width_s": 5e-3},
}
DEVICE = {
    "model": "soft_bounds",
    "min_conductance_s": 4e-7,
    "max_conductance_s": 1.2e-5,
    "up_pulses": 60,
    "down_pulses": 60,
    "initial": 1e-6,
    "up": {"amplitude_v": 2.0, "width_s": 5e-3},
    "down": {"amplitude_v": -2.8, "width_s": 5e-3},
}
STUCK = {
    "effect": "stuck",
    "high_fraction": 0.1,
    "high_conductance_s": 1.2e-5,
    "low_fraction": 0.1,
    "low_conductance_s": 4e-7,
}


def _station(folder: Path) -> Path:
    """The station of 37 lines with the wires of the first eight rows and columns."""
    station = yaml.safe_load(LARGE.read_text(encoding="utf-8"))
    kept = {f"{line}{n}" for line in ("row", "col") for n in range(8)}
    lines = station["wiring"]["lines"]
    station["wiring"]["lines"] = {name: lines[name] for name in lines if name in kept}
    station["virtual"]["procedure"] = (ROOT / "procedures" / "read_map_8x8.yaml").as_posix()
    path = folder / "station.yaml"
    path.write_text(yaml.safe_dump(station), encoding="utf-8")
    return path


def _procedure(folder: Path, station: Path) -> Procedure:
    """A network 2-4-3 on 8 × 8 cells: rings of points, of coordinates that few levels drive."""
    axis = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    x = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    radius = np.abs(x).sum(axis=1)
    rng = np.random.default_rng(5)
    weights = {"a": (4, 2), "b": (4,), "c": (3, 4), "d": (3,)}
    arrays = {name: rng.normal(size=shape) for name, shape in weights.items()}
    np.savez(folder / "net.npz", x=x, y=(radius > 0.75).astype(int) + (radius > 1.25), **arrays)
    data = {
        "inputs": {"file": "net.npz", "key": "x"},
        "classes": {"file": "net.npz", "key": "y"},
    }
    layers = [
        {"kind": "dense", "weight": "a", "bias": "b"},
        {"kind": "relu"},
        {"kind": "dense", "weight": "c", "bias": "d"},
    ]
    program: dict[str, Any] = {
        "tolerance": {"kind": "range", "fraction": 0.05},
        "algorithm": {"name": "alibart", **PULSES},
        "pulses_per_cell": 60,
        "least_yield": 0.5,
    }
    adam = {"kind": "adam", "rate": 0.03}
    retrain = {"programmed": 1, "data": data, "optimiser": adam, "epochs": 60, "batch": 5}
    limits = LIMITS | {"current_a": 0.1, "pulse_energy_j": 1.0}
    steps = [
        ("map_network", "map_network", {"weights": "net.npz", "layers": layers}),
        ("program_verify", "program_both", {"target": {"kind": "step"}, **program}),
        ("retrain_behind", "retrain_behind", retrain),
        (
            "program_verify",
            "program_last",
            {"target": {"kind": "step", "label": "retrain_behind"}, **program},
        ),
        ("infer", "infer", {"data": data}),
    ]
    return from_data(
        {
            "name": "loop",
            "seed": 3,
            "array": {
                "rows": 8,
                "cols": 8,
                "limits": limits,
                "range": {"low_conductance_s": 1e-6, "high_conductance_s": 1e-5},
                "read": {"read_v": 0.1},
            },
            "backends": {
                "sim": {"device": DEVICE, "effects": [STUCK]},
                "bench": {"station": station.as_posix()},
            },
            "steps": [
                {"step": step, "label": label, "settings": settings}
                for step, label, settings in steps
            ],
        },
        folder=folder,
    )


@pytest.mark.torch
def test_the_loop_over_instruments_ends_as_on_the_emulator(tmp_path: Path) -> None:
    station = _station(tmp_path)
    procedure = _procedure(tmp_path, station)
    found: dict[str, dict[str, Any]] = {}
    for backend in ("sim", "bench"):
        path = tmp_path / f"{backend}.h5"
        run_hosted(procedure, station, backend, path)
        with Record(path) as record:
            retrained = record.results("retrain_behind", "retrained")
            found[backend] = {
                "target_conductance_s": record.results("retrain_behind")["target_conductance_s"][0],
                "accuracy": record.results("infer")["accuracy"][0],
                **{name: retrained[name][0] for name in ("accuracy_before", "accuracy_after")},
            }
    emulated, measured = found["sim"], found["bench"]
    for one in (emulated, measured):
        assert one["accuracy_after"] > one["accuracy_before"] + 0.2
    # Measured currents differ by the resolution of the meter, and so, a little, what is learnt.
    np.testing.assert_allclose(
        measured["target_conductance_s"], emulated["target_conductance_s"], atol=5e-7
    )
    assert measured["accuracy"] == pytest.approx(emulated["accuracy"], abs=0.1)


def test_the_station_of_37_lines_has_the_lines_of_the_shipped_procedure() -> None:
    wiring = load_station(LARGE).wiring
    text = (ROOT / "procedures" / "networks" / "chip_in_the_loop.yaml").read_text("utf-8")
    array = yaml.safe_load(text)["array"]
    assert (wiring.count("row"), wiring.count("col")) == (array["rows"], array["cols"])
    channels = [one for line in wiring.lines.values() for one in dict(line).values()]
    assert len(channels) == len(set(channels))  # no crosspoint for two lines
