"""Train ``manhattan_4x4`` on every device model that makes small steps; prints a Markdown table.

    python -m benchmarks.device_models

What is changed in the procedure for each model is data below. The training is that of the
procedure: one polarity, equal pulses, 50 updates. Pulse and beta are chosen for each model, so that
50 pulses cover a good part of its range, and cells begin in the lower half of it: the table says
that a model trains with sensible settings, not which device is better. ``undisturbed`` says whether
V/2 moves no cell.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import Procedure, from_data
from hwloop.record.reader import Record
from hwloop.settings.units import format_quantity

PROCEDURE = Path(__file__).parents[1] / "procedures" / "manhattan_4x4.yaml"
ARRAYS = 200
WIDE = {
    "positive_v": 5.0,
    "negative_v": -5.0,
    "half_select_v": 2.5,
    "current_a": 1.0,
    "pulse_energy_j": 1.0,
}
"""Limits in nobody's way: these devices are equations."""


@dataclass(frozen=True)
class Trial:
    """A device model as it is trained: its settings, the pulse, the slope of the activation."""

    device: dict[str, Any]
    amplitude_v: float
    width_s: float
    beta_per_a: float
    undisturbed: bool


def _uniform(min_conductance_s: float, max_conductance_s: float) -> dict[str, Any]:
    return {
        "distribution": "uniform",
        "min_conductance_s": min_conductance_s,
        "max_conductance_s": max_conductance_s,
    }


_TURNED = {"flipped": True}  # so that a positive pulse raises the conductance
_NEAR_OFF = {"initial": _uniform(1.05e-3, 1.45e-3)}

TRIALS = {
    "pulse_table": Trial(
        yaml.safe_load(PROCEDURE.read_text("utf-8"))["backends"]["sim"]["device"],
        2.0,
        50e-3,
        6e6,
        undisturbed=True,
    ),
    "pulse_response": Trial(
        {"up": {"calibration": "shumilin2024_2V_50ms"}, "initial": _uniform(456e-9, 550e-9)},
        2.0,
        50e-3,
        1.2e8,
        undisturbed=True,
    ),
    "step_response": Trial(
        {"calibration": "shumilin2024_bidirectional_50ms", "initial": _uniform(456e-9, 550e-9)},
        2.0,
        50e-3,
        1.2e8,
        undisturbed=True,
    ),
    "soft_bounds": Trial({"initial": _uniform(3.1e-9, 18e-9)}, 3.2, 300e-6, 7e8, undisturbed=True),
    "proportional": Trial({"initial": _uniform(20e-6, 50e-6)}, 0.7, 100e-6, 1e6, undisturbed=True),
    "linear_ion_drift": Trial(
        {"window": {"name": "biolek", "p": 1}, "initial": _uniform(65e-6, 90e-6)},
        1.0,
        10e-3,
        2e5,
        undisturbed=False,
    ),
    "sbt": Trial({"initial": _uniform(65e-6, 90e-6)}, 0.5, 1e-3, 2e5, undisturbed=True),
    "team": Trial(
        {"flipped": True, "initial": _uniform(1.05e-3, 1.45e-3)},
        0.2,
        2e-3,
        1.25e4,
        undisturbed=False,
    ),
    "vteam": Trial(
        {"flipped": True, "initial": _uniform(1.05e-3, 1.45e-3)},
        0.21,
        60e-9,
        1.25e4,
        undisturbed=True,
    ),
    "yakopcic": Trial({"initial": _uniform(0.2e-3, 1.5e-3)}, 0.3, 50e-6, 7e3, undisturbed=True),
    "stanford_pku": Trial({"initial": _uniform(30e-6, 60e-6)}, 1.2, 20e-9, 7e4, undisturbed=True),
}


def procedure(name: str) -> Procedure:
    """``manhattan_4x4`` with the device model, pulse and slope of a trial."""
    trial = TRIALS[name]
    data = yaml.safe_load(PROCEDURE.read_text("utf-8"))
    data["backends"]["sim"]["device"] = {"model": name, **trial.device}
    if name != "pulse_table":
        data["array"]["limits"].update(WIDE)
    data["steps"][0]["settings"].update(
        beta_per_a=trial.beta_per_a,
        pulse={"amplitude_v": trial.amplitude_v, "width_s": trial.width_s},
    )
    return from_data(data, folder=PROCEDURE.parent)


def trained(name: str) -> tuple[float, float]:
    """The part of the population that converged, and the mean pulses of those arrays."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.h5"
        run_procedure(procedure(name), RunOptions("sim", path, population=ARRAYS))
        with Record(path) as record:
            summary = record.results("train_manhattan", "summary")
            converged = summary["converged"][0].astype(bool)
            pulses = summary["pulses"][0][converged]
    return float(converged.mean()), float(pulses.mean()) if pulses.size else float("nan")


def row(name: str) -> str:
    """One line of the table in docs/reference/devices.md."""
    trial = TRIALS[name]
    part, pulses = trained(name)
    mean = f"{pulses:.0f}" if pulses == pulses else "–"
    disturbed = "no" if trial.undisturbed else "yes"
    volts, width = format_quantity(trial.amplitude_v, "V"), format_quantity(trial.width_s, "s")
    return (
        f"| `{name}` | {volts}, {width} | {trial.beta_per_a:g} | {disturbed} |"
        f" {100 * part:.1f} % | {mean} |"
    )


def main() -> None:
    """Print the table of the reference page."""
    print("| model | pulse | beta, 1/A | V/2 disturbs | converged of 200 | mean pulses |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in TRIALS:
        print(row(name), flush=True)


if __name__ == "__main__":
    main()
