"""A calibration from beginning to end: fit half, predict the other half, fit all, write."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwloop.datasets.files import appear_complete
from hwloop.errors import ConfigError, NotConverged, RecordError
from hwloop.messages import nearest
from hwloop_sim.calibrate.inputs import is_record
from hwloop_sim.calibrate.one_transistor.calibrate import SweepCalibration, calibrate_sweeps
from hwloop_sim.calibrate.one_transistor.emulation import MODEL as ONE_TRANSISTOR
from hwloop_sim.calibrate.operations.calibrate import calibrate_operations
from hwloop_sim.calibrate.operations.calibration import OperationCalibration
from hwloop_sim.calibrate.operations.models import operation_models
from hwloop_sim.calibrate.result import Fit
from hwloop_sim.calibrate.trains.data import TrainData, check_one_way, load_trains
from hwloop_sim.calibrate.trains.fit import Fitter
from hwloop_sim.calibrate.trains.held_out import Prediction, predict
from hwloop_sim.calibrate.trains.pulse_table import TableCalibration, calibrate_table
from hwloop_sim.calibration.file import FORMAT, FORMAT_VERSION

_ONE_WAY = frozenset({"soft_bounds", "step_response"})
_FIGURES = ("paths", "residuals", "distributions")


@dataclass(frozen=True)
class Calibration:
    """``fit``: to all trains. ``predictions``: of the held-out half by a fit to the other."""

    model: str
    data: TrainData
    fit: Fit
    predictions: Sequence[Prediction]


def fitters() -> Mapping[str, Fitter]:
    """Model → what fits it to trains."""
    from hwloop_sim.calibrate.trains.pulse_response import fit_pulse_response
    from hwloop_sim.calibrate.trains.soft_bounds import fit_soft_bounds
    from hwloop_sim.calibrate.trains.step_response import fit_step_response

    return {
        "pulse_response": fit_pulse_response,
        "soft_bounds": fit_soft_bounds,
        "step_response": fit_step_response,
    }


Found = Calibration | OperationCalibration | SweepCalibration | TableCalibration


def models() -> list[str]:
    """Every device model that can be fitted to something."""
    return sorted({*fitters(), *operation_models(), ONE_TRANSISTOR, "pulse_table"})


def check_model(model: str) -> None:
    """Refuse one that cannot be fitted, with the nearest name."""
    if model not in models():
        raise ConfigError(
            f"{model!r} cannot be fitted{nearest(model, models())}",
            key="model",
        )


def calibrate(
    paths: Sequence[Path],
    *,
    model: str,
    cell: int | None = None,
    seed: int = 1,
    fixed: Mapping[str, Any] | None = None,
    spread: bool = False,
) -> Found:
    """Fit ``model`` to records, trains or sweeps, in the way that suits the model and the data.

    ``fixed``: settings that are held. ``spread``: fit every cell by itself as well. ``seed``: of
    the emulated trains that a model with scatter is compared by. Raises as
    :func:`calibrate_trains` and :func:`calibrate_operations` do, with the files.
    """
    where = ", ".join(map(str, paths))
    try:
        return fitted(paths, model=model, cell=cell, seed=seed, fixed=fixed, spread=spread)
    except ConfigError as exc:
        raise exc if exc.file or exc.key else exc.below(file=where) from None
    except NotConverged as exc:
        raise NotConverged(f"{where}: {exc}") from None


def fitted(
    paths: Sequence[Path],
    *,
    model: str,
    cell: int | None,
    seed: int,
    fixed: Mapping[str, Any] | None,
    spread: bool,
) -> Found:
    """As :func:`calibrate`; what did not converge is said without the files."""
    check_model(model)
    _check_files(paths)
    if model in operation_models() and (model not in fitters() or any(map(is_record, paths))):
        return calibrate_operations(model, paths, cell=cell, fixed=fixed, spread=spread)
    if fixed or spread:
        option = "--fix" if fixed else "--spread"
        raise ConfigError(
            f"{option} is for models that are run on operations,"
            f" {', '.join(sorted(operation_models()))}; {model} is fitted to whole data",
            key="model",
        )
    if model == ONE_TRANSISTOR:
        if cell is not None:
            raise ConfigError("one_transistor is fitted to all cells: leave it out", key="cell")
        return calibrate_sweeps(paths, seed=seed)
    if model == "pulse_table":
        return calibrate_table(paths, cell=cell)
    return calibrate_trains(paths, model=model, cell=cell, seed=seed)


def _check_files(paths: Sequence[Path]) -> None:
    known: set[Path] = set()
    for path in paths:
        if path.is_dir():
            raise ConfigError("is a folder; name a file in it", file=str(path))
        if not path.is_file():
            raise ConfigError("there is no such file", file=str(path))
        if path.resolve() in known:
            raise ConfigError("is named twice: its data would count twice", file=str(path))
        known.add(path.resolve())


def calibrate_trains(
    paths: Sequence[Path], *, model: str, cell: int | None, seed: int
) -> Calibration:
    """Fit ``model`` to the trains of the files.

    Raises :class:`ConfigError` with file and reason where the data do not fit the model, and
    :class:`hwloop.errors.NotConverged` with the parameter that they do not determine.
    """
    known = fitters()
    if model not in known:
        raise ConfigError(
            f"{model!r} cannot be fitted to trains{nearest(model, known)}; those that can:"
            f" {', '.join(known)}",
            key="model",
        )
    data = load_trains(paths, cell=cell)
    if model in _ONE_WAY:
        check_one_way(data, model, ", ".join(map(str, paths)))
    return calibrate_data(data, known[model], model=model, seed=seed)


def calibrate_data(data: TrainData, fitter: Fitter, *, model: str, seed: int) -> Calibration:
    """Fit half of the trains and predict the others, then fit all."""
    first, second = data.half(0), data.half(1)
    of_half = fitter(first)
    rng = np.random.default_rng(seed)
    predictions = [
        predict(model, of_half, fitted, held_out, rng)
        for fitted, held_out in zip(first.directions, second.directions, strict=True)
    ]
    return Calibration(model, data, fitter(data), predictions)


def as_data(calibration: Calibration, paths: Sequence[Path], title: str) -> dict[str, Any]:
    """What stands in the file."""
    data, fit = calibration.data, calibration.fit
    low_conductance_s, high_conductance_s = data.span_conductance_s
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "model": calibration.model,
        "title": title,
        "device": data.device,
        "source": "; ".join(data.sources),
        "doi": data.doi,
        "files": [
            {"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
            for path in paths
        ],
        "validity": {
            "low_conductance_s": low_conductance_s,
            "high_conductance_s": high_conductance_s,
            "pulses": [
                {**one.pulse, "longest_train": max(map(len, one.trains)) - 1}
                for one in data.directions
            ],
        },
        "parameters": dict(fit.settings),
        "uncertainty": dict(fit.uncertainty),
        "read_noise_conductance_s": fit.read_noise_conductance_s,
        **({} if fit.read_noise is None else {"read_noise": fit.read_noise}),
        "goodness": dict(fit.goodness),
        "remarks": list(fit.words),
        "held_out": [_held_out(one) for one in calibration.predictions],
    }


def _held_out(one: Prediction) -> dict[str, Any]:
    return {
        **one.direction.pulse,
        "trains": len(one.direction.trains),
        "mean_within_spread": one.mean_within_spread,
        "final_conductance": one.final.figures(),
        "step": one.step.figures(),
    }


def write_calibration(calibration: Found, paths: Sequence[Path], out: Path) -> list[Path]:
    """The YAML file and, beside it, the figures: all, or none; refuses to overwrite any."""
    import yaml

    from hwloop.plotting.style import save_figures
    from hwloop_sim.calibrate.operations.figures import draw as draw_operations
    from hwloop_sim.calibrate.trains.figures import draw

    check_out(out)
    if isinstance(calibration, Calibration):
        data = as_data(calibration, paths, out.stem)
        figures = list(draw(calibration.predictions))
    else:
        data = calibration.as_data(paths, out.stem)
        if isinstance(calibration, OperationCalibration):
            figures = list(draw_operations(calibration))
        else:
            figures = list(calibration.figures())
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)

    def write(path: Path) -> None:
        path.write_text(text, encoding="utf-8")

    saved: list[Path] = []
    try:
        for one in figures:
            saved += [f.path for f in save_figures([one], out.parent, prefix=f"{out.stem}_")]
        appear_complete(out, write)
    except BaseException:
        for path in saved:
            path.unlink(missing_ok=True)
        raise
    return [out, *saved]


def check_out(out: Path) -> None:
    """Refuse a name that cannot be written, before anything is fitted."""
    if out.suffix not in {".yaml", ".yml"}:
        raise ConfigError(f"{out}: a calibration is a .yaml file", key="out")
    if not out.parent.is_dir():
        raise RecordError(f"{out}: there is no folder {out.parent}")
    for taken in (out, *(out.with_name(f"{out.stem}_{name}.png") for name in _FIGURES)):
        if taken.exists():
            raise RecordError(f"{taken}: exists already; choose another name")
