"""Calibration from operations: load, fit all, predict one half from the other, find effects."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hwloop.errors import ConfigError, NotConverged
from hwloop.settings.foreign_hdf5 import has_signature
from hwloop_sim.calibrate.inputs import check_format, is_dataset, is_record
from hwloop_sim.calibrate.method import CalibrationMethod, Task
from hwloop_sim.calibrate.operations.calibration import OperationCalibration
from hwloop_sim.calibrate.operations.effects_found import effects_of, white_noise
from hwloop_sim.calibrate.operations.fit import MOST_CELLS, OperationFit, fit_operations
from hwloop_sim.calibrate.operations.held_out import (
    PredictedReads,
    half_masks,
    predicted_reads,
)
from hwloop_sim.calibrate.operations.history import EmptyRecord, History, of_record
from hwloop_sim.calibrate.operations.imported import of_dataset, of_text
from hwloop_sim.calibrate.operations.models import operation_models
from hwloop_sim.calibrate.operations.problem import Minimum
from hwloop_sim.calibrate.operations.sample import sampled
from hwloop_sim.calibrate.operations.spread import fit_each_cell

_SHARE_OF_HALF = 0.6
"""Share of the time for the fit to half of the data, which begins with the search."""
_SHARE_OF_ALL = 0.8
"""Share of the time then left for the fit to all of it."""
_UNSETTLED = (
    "the fit to half of the data was ended before it settled: the error of the part left out may be"
    " too small"
)


def load_histories(paths: Sequence[Path], *, cell: int | None) -> list[History]:
    """Load the histories of all files; records of effects alone add none.

    Raises :class:`ConfigError` with the file if there is nothing to calibrate from.
    """
    found: list[History] = []
    refused: ConfigError | None = None
    for path in paths:
        if not path.is_file():
            raise ConfigError("there is no such file", file=str(path))
        if is_dataset(path):
            found += of_dataset(path, cell=cell)
            continue
        if path.suffix.lower() not in {".h5", ".hdf5"} and not has_signature(path):
            found += of_text(path, cell=cell)
            continue
        check_format(path)
        try:
            history = of_record(path)
        except EmptyRecord as exc:
            refused = exc
            continue
        found.append(history if cell is None else _one_cell(history, cell))
    if not found:
        raise refused or ConfigError("no data given")
    return found


def _one_cell(history: History, cell: int) -> History:
    if cell >= len(history.names):
        raise ConfigError(
            f"has no cell {cell}: {len(history.names)} cells were read, counted from 0 row by row",
            file=history.where,
        )
    return history.of_cells([cell])


def calibrate_operations(
    task: Task,
) -> OperationCalibration:
    """Fit a device model to operations and their results.

    See :mod:`hwloop_sim.calibrate.operations.least_squares`. Raises :class:`ConfigError` if the
    data do not suit the model, and :class:`NotConverged` with the parameter that they do not
    determine.
    """
    model, fixed = task.model, task.fixed
    every, messages = _at_most(load_histories(task.paths, cell=task.cell))
    histories = sampled(every) if task.quick else every
    if sum(map(_reads, histories)) < sum(map(_reads, every)):
        return _looked(task, histories)
    each = fit_each_cell(model, histories, fixed) if task.spread else None
    start = None if each is None else each.fits[0].minimum
    if isinstance(task.start, OperationCalibration):
        start = task.start.found.minimum
    # The half first: an error is that of data which the search has not seen.
    half, seen, more = _predicted(task, histories, start)
    found = fit_operations(
        model,
        histories,
        fixed=fixed,
        start=start if half is None else half.minimum,
        uncertain=not task.spread,
        effort=task.effort.share(_SHARE_OF_ALL),
    )
    both = all(read.both_polarities for one in histories for read in one.reads)
    records = [path for path in task.paths if is_record(path)]
    fits = [found] if each is None else list(each.fits)
    effects = [
        *effects_of(records),
        *(white_noise(fits, both_polarities=both) if records else []),
    ]
    return OperationCalibration(
        model,
        histories,
        found,
        seen,
        fixed,
        each,
        effects,
        [*messages, *more],
        final=not found.minimum.problem.effort.ended,
    )


def _looked(task: Task, histories: Sequence[History]) -> OperationCalibration:
    """Fit half of a part of the data, and predict the other half: a first look at a model."""
    half, seen, said = _predicted(task, histories, None)
    if half is None:
        raise NotConverged(said[0])
    look = [f"a first look, at {sum(map(_reads, histories))} reads"]
    return OperationCalibration(
        task.model, histories, half, seen, task.fixed, messages=look, final=False
    )


def _reads(history: History) -> int:
    return int(np.isfinite(history.current_a).sum())


def _at_most(histories: Sequence[History]) -> tuple[list[History], list[str]]:
    """Take at most ``MOST_CELLS`` cells, evenly over all, with a message on those left out."""
    total = sum(len(one.names) for one in histories)
    if total <= MOST_CELLS:
        return list(histories), []
    chosen = set(np.linspace(0, total - 1, MOST_CELLS).astype(int).tolist())
    kept, begin = [], 0
    for history in histories:
        mine = [i for i in range(len(history.names)) if begin + i in chosen]
        begin += len(history.names)
        if mine:
            kept.append(history.of_cells(mine))
    return kept, [f"{MOST_CELLS} of {total} cells were fitted, evenly over all"]


def _predicted(
    task: Task, histories: Sequence[History], start: Minimum | None
) -> tuple[OperationFit | None, PredictedReads | None, list[str]]:
    """Fit half of the data and predict the rest; say why not, where that cannot be done."""
    masks, of = half_masks(histories)
    effort = task.effort.share(_SHARE_OF_HALF)
    try:
        half = fit_operations(
            task.model,
            histories,
            fixed=task.fixed,
            masks=masks,
            start=start,
            uncertain=False,
            effort=effort,
        )
    except (NotConverged, ConfigError) as exc:
        said = f"not compared with a part left out: half of the data is too little ({exc})"
        return None, None, [said]
    unsettled = [] if start is None or not effort.ended else [_UNSETTLED]
    return half, predicted_reads(half, histories, masks, of), unsettled


OPERATIONS = CalibrationMethod(
    models=lambda: list(operation_models()),
    of_records=True,
    options=frozenset({"cell", "fixed", "spread"}),
    fit=calibrate_operations,
)
