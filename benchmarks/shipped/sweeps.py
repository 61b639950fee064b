"""Calibrations of the Nb:SrTiO3 sweeps: fitted over decades, one sweep predicted from another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.shipped import sources
from hwloop.types import BoolArray, FloatArray
from hwloop_sim.calibrate.operations.calibration import OperationCalibration
from hwloop_sim.calibrate.operations.fit import OperationFit, fit_operations, problem_of
from hwloop_sim.calibrate.operations.history import History
from hwloop_sim.calibrate.operations.imported import of_text
from hwloop_sim.calibrate.operations.models import operation_models
from hwloop_sim.devices.schottky import SCHOTTKY, SchottkySettings

FLOOR_A = 5e-9  # below it the sweeps show the meter's offset


@dataclass(frozen=True)
class Device:
    """Sweeps of one device: those that are fitted, and the initial parameters.

    ``predicts``: a sweep that is not fitted.
    """

    radius_um: int
    fitted: Sequence[str]
    start: Sequence[float]
    predicts: str = ""


_NAMES = (
    "i_on_a",
    "i_off_a",
    "e_forward_v",
    "e_reverse_on_v",
    "e_reverse_off_v",
    "r_series_ohm",
    "k_set_per_s",
    "v_set_v",
    "k_reset_per_s",
    "v_reset_v",
)
_10 = (7.7e-9, 61e-12, 0.0466, 0.0902, 0.137, 65.7, 0.037, 0.208, 0.0172, 0.742)
_32 = (95e-9, 121e-12, 0.0517, 0.0792, 0.1112, 38.2, 0.188, 0.384, 3.14e-3, 0.5835)
DEVICES = (
    Device(10, ("radius10um_m3V.csv",), _10, predicts="radius10um_m2V.csv"),
    Device(32, ("radius32um_m2V.csv", "radius32um_m3V.csv"), _32),
)
"""Initial parameters are near the results of earlier versions of the model.

The 100 um device does not ship: its only sweep with times hardly moves, and does not determine
k_set_per_s even where the lower bound is held.
"""


def histories(folder: Path, names: Sequence[str]) -> list[History]:
    """Return the sweeps, without the points at the current limit of the source."""
    return [one for name in names for one in of_text(folder / "nbsto_iv" / name, cell=None)]


def decades(shown_a: FloatArray, history: History, mask: BoolArray) -> dict[str, float]:
    """Compute the error of the model in factors of ten, where the current is above the floor."""
    with np.errstate(invalid="ignore"):
        mask = mask & (np.abs(history.current_a) > FLOOR_A) & (history.conductance_s > 0)
    off = np.log10(np.abs(shown_a[mask] / history.current_a[mask]))
    return {
        "reads": int(mask.sum()),
        "rms_decades": float(np.sqrt(np.mean(np.square(off)))),
        "largest_decades": float(np.abs(off).max()),
    }


def fit(device: Device, sweeps: Sequence[History]) -> OperationFit:
    """Fit the sweeps of a device, beginning at its initial parameters."""
    model = operation_models()["schottky"]
    start = problem_of(model, sweeps, {}, None).at(dict(zip(_NAMES, device.start, strict=True)))
    return fit_operations("schottky", sweeps, fixed={}, start=start)


def predicted(device: Device, found: OperationFit, folder: Path) -> dict[str, Any]:
    """Predict a sweep that was not fitted; its first state is fitted to its rising part."""
    second = histories(folder, [device.predicts])
    (history,) = second
    top = int(np.argmax([read.read_v for read in history.reads]))
    up = np.arange(len(history.reads))[:, None] <= top
    with np.errstate(invalid="ignore"):
        usable = history.conductance_s > 0
    model = operation_models()["schottky"]
    problem = problem_of(model, second, {}, [up & usable])
    logs = np.linspace(-30, -8, 221)  # of the first conductance, siemens
    theta = found.minimum.theta[: len(problem.free)]
    thetas = np.hstack([np.tile(theta, (logs.size, 1)), logs[:, None]])
    (shown_a,) = problem.shown_a(thetas)
    errors = [decades(one, history, up & usable)["rms_decades"] for one in shown_a]
    best = shown_a[int(np.argmin(errors))]
    return {
        "of": f"{device.predicts} after its way up, which gives its beginning",
        **decades(best, history, ~up & usable),
    }


def _bounds_conductance_s(parameters: Mapping[str, Any]) -> tuple[float, float]:
    """Return the conductances of both bounds at small voltages, siemens."""
    settings = SchottkySettings.parse(dict(parameters))
    device = SCHOTTKY.make(settings, (1, 2), np.random.default_rng(0))
    device.set_conductance(np.array([[1e-30, 1.0]]))
    low_conductance_s, high_conductance_s = device.conductance_s[0]
    return float(low_conductance_s), float(high_conductance_s)


def made(device: Device, folder: Path) -> dict[str, Any]:
    """Return the contents of the file of a device."""
    sweeps = histories(folder, device.fitted)
    found = fit(device, sweeps)
    source = sources.nbsto(device.radius_um, device.fitted)
    calibration = OperationCalibration("schottky", sweeps, found, None)
    data = calibration.as_data([], source["title"])
    shown_a = found.minimum.problem.shown_a(found.minimum.theta[None])
    data["goodness"] = {
        **data["goodness"],
        "sweeps": [
            {"of": name, **decades(one_a[0], history, np.isfinite(history.current_a))}
            for name, history, one_a in zip(device.fitted, sweeps, shown_a, strict=True)
        ],
    }
    if device.predicts:
        data["held_out"] = [predicted(device, found, folder)]
    data["validity"]["summary"] = source["words"]
    low_conductance_s, high_conductance_s = _bounds_conductance_s(data["parameters"])
    data["validity"] |= {
        "low_conductance_s": low_conductance_s,
        "high_conductance_s": high_conductance_s,
    }
    # Not pulses, but a voltage that was swept.
    volts = [read.read_v for history in sweeps for read in history.reads]
    del data["validity"]["pulses"], data["files"]
    data["validity"] |= {"low_v": min(volts), "high_v": max(volts)}
    return {**data, **{key: value for key, value in source.items() if key != "words"}}


def calibrations() -> dict[str, Callable[[Path], dict[str, Any]]]:
    """Return name → function that makes the contents of its file from the data of a folder."""
    return {f"tiotto2021_nbsto_{device.radius_um}um": partial(made, device) for device in DEVICES}
