"""Calibration from beginning to end: choose the method, fit, write the file and its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hwloop.datasets.files import appear_complete
from hwloop.errors import ConfigError, HwloopError, NotConverged, RecordError
from hwloop.messages import nearest
from hwloop_sim.calibrate.covariance import undetermined_line
from hwloop_sim.calibrate.inputs import count_cells, is_record, largest_conductance_s
from hwloop_sim.calibrate.method import CalibrationMethod, FittedCalibration, Option, Task
from hwloop_sim.calibrate.one_transistor.calibrate import SWEEPS
from hwloop_sim.calibrate.operations.calibrate import OPERATIONS
from hwloop_sim.calibrate.provenance import origin_of_data
from hwloop_sim.calibrate.trains.calibrate import TRAINS
from hwloop_sim.calibrate.trains.data import load_trains
from hwloop_sim.calibrate.trains.pulse_table import TABLE

METHODS: Sequence[CalibrationMethod] = (TRAINS, OPERATIONS, SWEEPS, TABLE)
_PLAUSIBLE_S = (1e-12, 0.05)
"""From what a meter resolves, 0.1 pA at 0.1 V, to 20 ohm, which is that of leads and contacts."""
_FIGURES = ("paths", "residuals", "distributions")


def models() -> list[str]:
    """Return the names of all device models that can be fitted."""
    return sorted({model for method in METHODS for model in method.models()})


def check_model(model: str) -> None:
    """Raise :class:`ConfigError` with the nearest name if a model cannot be fitted."""
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
) -> FittedCalibration:
    """Fit ``model`` to records, trains or sweeps; the arguments are those of :class:`Task`.

    Raises :class:`ConfigError` if the data do not suit the model and :class:`NotConverged` if they
    do not determine it, both with the files.
    """
    return fit_task(Task(model, paths, cell, seed, fixed or {}, spread))


def fit_task(task: Task) -> FittedCalibration:
    """Fit as :func:`calibrate` does, with the effort of the task."""
    try:
        return fitted(task)
    except ConfigError as exc:
        raise exc if exc.file or exc.key else exc.below(file=task.where) from None
    except NotConverged as exc:
        raise NotConverged(f"{task.where}: {exc}") from None


def fitted(task: Task) -> FittedCalibration:
    """Fit as :func:`calibrate` does, with errors that do not repeat the files."""
    check_model(task.model)
    _check_files(task.paths)
    method = method_of(task)
    _check_options(task, method)
    found = method.fit(task)
    if found.final or not task.quick:  # a first look may yet find more
        _check_prediction(found)
    return found


def _check_prediction(found: FittedCalibration) -> None:
    """Refuse a fit whose prediction fails, or that leaves parameters open and was not tested."""
    held_out = found.predict()
    if held_out.fails:
        why = "the model is not this device, or the data are too few"
        if not found.final:
            why = "its search was ended by time: --seconds gives it more"
        raise NotConverged(
            f"{found.model} does not predict the held-out part: {held_out.compared()}; {why}"
        )
    if held_out.error is None and found.undetermined:
        raise NotConverged(
            f"{found.model}: {undetermined_line(found.undetermined)}; half of the data is too few"
            " to test a prediction, so any other pulse would be extrapolated"
        )


def cells_of(task: Task) -> int:
    """Return the number of cells in the files; 0 if they are not yet known to be in order."""
    try:
        _check_files(task.paths)
        return sum(count_cells(path) for path in task.paths)
    except HwloopError:  # of the fit itself, which says why
        return 0


def doubts_of(task: Task) -> list[str]:
    """Return a line for each dataset whose conductances no memristor is likely to have."""
    found = []
    for path in task.paths:
        try:
            most_conductance_s = largest_conductance_s(path)
        except HwloopError:  # of the fit itself, which says why
            continue
        low_conductance_s, high_conductance_s = _PLAUSIBLE_S
        if most_conductance_s and not low_conductance_s < most_conductance_s < high_conductance_s:
            found.append(
                f"{path}: conductances up to {most_conductance_s:.2g} S, where memristors have"
                f" {low_conductance_s:g} to {high_conductance_s:g} S: is a unit off by a thousand?"
            )
    return found


def taken(task: Task) -> list[str]:
    """Return what was taken for a cell and for a cycle in files of trains; nothing of others."""
    try:
        _check_files(task.paths)
        return load_trains(task.paths, cell=task.cell, mixed=True).taken()
    except HwloopError:
        return []


def method_of(task: Task) -> CalibrationMethod:
    """Return the method for the model; of several, the one for records or for imported data."""
    able = [method for method in METHODS if task.model in method.models()]
    of_records = any(map(is_record, task.paths))
    return next((method for method in able if method.of_records == of_records), able[0])


def _check_options(task: Task, method: CalibrationMethod) -> None:
    given: dict[Option, str] = {}
    if task.fixed:
        given["fixed"] = "--fix"
    if task.spread:
        given["spread"] = "--spread"
    for option, name in given.items():
        if option not in method.options:
            able = {one for each in METHODS if option in each.options for one in each.models()}
            raise ConfigError(
                f"{name} is for models that are run on operations, {', '.join(sorted(able))};"
                f" {task.model} is fitted to whole data",
                key="model",
            )
    if task.cell is not None and "cell" not in method.options:
        raise ConfigError(f"{task.model} is fitted to all cells: leave it out", key="cell")


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


def write_calibration(
    calibration: FittedCalibration, paths: Sequence[Path], out: Path
) -> list[Path]:
    """Write the YAML file and, beside it, the figures: all of them or none.

    Returns the files. Raises :class:`RecordError` if one exists or cannot be written.
    """
    import yaml

    from hwloop.plotting.style import save_figures

    check_out(out)
    data = calibration.as_data(paths, out.stem)
    figures, origin = list(calibration.figures()), origin_of_data(paths)
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)

    def write(path: Path) -> None:
        path.write_text(text, encoding="utf-8")

    saved: list[Path] = []
    try:
        for one in figures:
            drawn = save_figures([one], out.parent, origin=origin, prefix=f"{out.stem}_")
            saved += [figure.path for figure in drawn]
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
