"""Calibration files: fitted to the measured data, rounded, each with its source."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.shipped import measured, one_transistor, sources, sweeps
from hwloop.errors import ConfigError
from hwloop.messages import nearest
from hwloop.types import FloatArray
from hwloop_sim.calibrate.trains.calibrate import TrainCalibration, calibrate_data
from hwloop_sim.calibrate.trains.data import TrainData
from hwloop_sim.calibrate.trains.step_response import fit_step_response

CALIBRATIONS = Path(__file__).parents[2] / "sim" / "hwloop_sim" / "calibrations"
SEED = 1
SAFETY = 1.1

Fitted = Callable[[Path], TrainCalibration]


def fitted() -> Mapping[str, tuple[Fitted, Mapping[str, Any]]]:
    """Return name → function that fits it to the data of a folder, and its source."""
    found: dict[str, tuple[Fitted, Mapping[str, Any]]] = {
        f"shumilin2024_bidirectional_{width}ms": (
            partial(_bidirectional, width_ms=width),
            sources.bidirectional(width),
        )
        for width in measured.WIDTHS_MS
    }
    found["crosssim_taox"] = (lambda folder: _half_and_half(measured.taox(folder)), sources.TAOX)
    found["gong2018_hfo2"] = (lambda folder: _whole(measured.hfo2(folder)), sources.HFO2)
    for name, source in sources.YFLASH.items():
        found[f"wang2022_yflash_{name}"] = (
            partial(_yflash, cells=name == "48_cells"),
            source,
        )
    return found


def _bidirectional(folder: Path, *, width_ms: int) -> TrainCalibration:
    data = measured.spintronic(folder, width_ms)
    return TrainCalibration("step_response", data, fit_step_response(data, "linear"), [])


def _whole(data: TrainData) -> TrainCalibration:
    return TrainCalibration("step_response", data, fit_step_response(data), [])


def _yflash(folder: Path, *, cells: bool) -> TrainCalibration:
    return _half_and_half(measured.yflash(folder, cells=cells))


def _half_and_half(data: TrainData) -> TrainCalibration:
    return calibrate_data(data, fit_step_response, model="step_response", seed=SEED)


def contents(calibration: TrainCalibration, source: Mapping[str, Any]) -> dict[str, Any]:
    """Return the contents of a file: fit, source and figures."""
    data = calibration.as_data([], str(source["title"]))
    words = source.get("words", "")
    own = {key: value for key, value in source.items() if key not in {"words", "remarks"}}
    data.update(own)
    data["validity"]["summary"] = words
    data["remarks"] = [*data["remarks"], *source.get("remarks", ())]
    del data["files"]
    return {key: value for key, value in data.items() if value not in (None, "", {}, [])}


def without_unit(data: dict[str, Any]) -> dict[str, Any]:
    """Remove the conductance range of a device without a unit: the user states what it means."""
    for name in ("low_conductance_s", "high_conductance_s"):
        del data["parameters"][name], data["validity"][name]
    data.pop("read_noise_conductance_s", None)
    return data


def tables(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the measured curves of the spintronic cell that ship as tables.

    Those made from a bench log are left out.
    """
    for volts, name, first in ((2.0, "potentiation_2V", 2), (-2.8, "depression_-2.8V", 1)):
        path = folder / "manhattan_4x4" / f"{name}_digitised.csv"
        for width in (width for width in measured.WIDTHS_MS if width >= first):
            if volts > 0 and width == 50:
                continue  # by hand, with its words
            curve_conductance_s, words = _bridged(_column(path, f"{width}ms"))
            sign = "" if volts > 0 else "minus"
            source = sources.spintronic_table(volts, width, words)
            values = [float(f"{value:.4g}") for value in curve_conductance_s]
            yield (
                f"shumilin2024_{sign}{abs(volts):g}V_{width}ms",
                {"model": "pulse_table", **source, "conductance_s": values},
            )


def _column(path: Path, name: str) -> FloatArray:
    with path.open(newline="", encoding="utf-8") as stream:
        return np.array([float(row[name] or "nan") for row in csv.DictReader(stream)])


def _bridged(curve_conductance_s: FloatArray) -> tuple[FloatArray, str]:
    """Interpolate a curve from its first visible state to its last, with a message on the gaps."""
    seen = np.flatnonzero(~np.isnan(curve_conductance_s))
    inside = np.arange(seen[0], seen[-1] + 1)
    bridged = [int(i) for i in inside if np.isnan(curve_conductance_s[i])]
    parts = []
    if seen[0] > 0:
        parts.append(f"it begins after pulse {seen[0]} of the figure, all before being hidden")
    if seen[-1] < curve_conductance_s.size - 1:
        parts.append(f"it ends at pulse {seen[-1]}, what follows being hidden")
    if bridged:
        pulses = ", ".join(map(str, bridged))
        parts.append(f"{len(bridged)} states (pulse {pulses}) hidden by another curve are bridged")
    hidden = "; ".join(parts)
    words = f"{hidden[0].upper()}{hidden[1:]}." if hidden else "No state is hidden."
    return np.interp(inside, seen, curve_conductance_s[seen]), words


def programming(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Fit spread against conductance by least squares of c1 G + … + c4 G⁴, without constant."""
    path = folder / "rram_programming" / "programming_variability.csv"
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    for method in ("iterative", "one_shot"):
        mine = [row for row in rows if row["method"] == method]
        conductance_us = np.array([float(row["g_mean_uS"]) for row in mine])
        sigma_conductance_us = SAFETY * np.array([float(row["g_sigma_uS"]) for row in mine])
        columns = conductance_us[:, np.newaxis] ** np.arange(1, 5)
        found, *_ = np.linalg.lstsq(columns, sigma_conductance_us, rcond=None)
        off = columns @ found - sigma_conductance_us
        effect = {
            "effect": "programming_error",
            "sigma_conductance_us": [float(f"{value:.6g}") for value in found],
            "valid_to_conductance_s": 110e-6,
        }
        yield (
            f"bonnet2023_{method}",
            {
                "format": "hwloop-calibration",
                "format_version": 1,
                **sources.programming(method),
                "effects": [effect],
                "goodness": {
                    "points": len(mine),
                    "rms_conductance_us": float(f"{np.sqrt(np.mean(off**2)):.4g}"),
                },
            },
        )


def rounded(value: Any) -> Any:
    """Round all floats to five digits, in nested mappings and lists."""
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    if isinstance(value, float | np.floating):
        return float(f"{value:.5g}")
    return value


def text(data: Mapping[str, Any]) -> str:
    """Format as YAML, with every number in a form that YAML reads as one."""
    lines = yaml.safe_dump(
        dict(data), sort_keys=False, default_flow_style=None, width=98, allow_unicode=True
    )
    return re.sub(r"(?<![\w.])(-?\d+)e([-+]\d+)", r"\1.0e\2", lines)


def make(folder: Path, only: Collection[str] = (), out: Path = CALIBRATIONS) -> Iterator[Path]:
    """Write every file that is made from data, or those named; other calibrations are kept.

    Raises :class:`ConfigError` for a name that is not among them.
    """
    makers = _makers(folder)
    for name in only:
        if name not in makers:
            raise ConfigError(f"no calibration {name!r} is made from data{nearest(name, makers)}")
    for name in sorted(only or makers):
        path = out / f"{name}.yaml"
        path.write_text(text(makers[name]()), encoding="utf-8")
        yield path


def _makers(folder: Path) -> dict[str, Callable[[], Mapping[str, Any]]]:
    """Return name → function that makes the contents of its file."""
    quick = dict(tables(folder)) | dict(programming(folder))
    makers: dict[str, Callable[[], Mapping[str, Any]]] = {
        name: partial(quick.__getitem__, name) for name in quick
    }
    makers |= {name: partial(_of_trains, name, folder) for name in fitted()}
    others = {one_transistor.NAME: one_transistor.contents, **sweeps.calibrations()}
    makers |= {name: partial(_rounded, maker, folder) for name, maker in others.items()}
    return makers


def _of_trains(name: str, folder: Path) -> dict[str, Any]:
    fit, source = fitted()[name]
    data = rounded(contents(fit(folder), source))
    return without_unit(data) if name == "gong2018_hfo2" else data


def _rounded(maker: Callable[[Path], dict[str, Any]], folder: Path) -> dict[str, Any]:
    return rounded(maker(folder))
