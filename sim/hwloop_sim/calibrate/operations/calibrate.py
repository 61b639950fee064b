"""A calibration from operations: load, fit half, predict the other half, fit all, describe."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hwloop.array.operations import BoolArray, FloatArray
from hwloop.datasets import columns as measurement
from hwloop.datasets import pulse_table as dataset
from hwloop.errors import ConfigError, NotConverged
from hwloop_sim.calibrate.operations.effects_found import effects_of, white_noise
from hwloop_sim.calibrate.operations.fit import MOST_CELLS, OperationFit, fit_operations
from hwloop_sim.calibrate.operations.found_effect import FoundEffect
from hwloop_sim.calibrate.operations.history import History, NothingInIt, of_record
from hwloop_sim.calibrate.operations.imported import of_dataset, of_text
from hwloop_sim.calibrate.operations.models import operation_models
from hwloop_sim.calibrate.operations.spread import Spread, fit_each_cell
from hwloop_sim.calibrate.trains.data import check_format, is_record
from hwloop_sim.calibration.file import FORMAT, FORMAT_VERSION

if TYPE_CHECKING:
    from hwloop.steps.contract import NamedFigure


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What a fit to half of the reads says of the other half.

    ``error``: root mean square of the conductance predicted less that measured, over the range
    measured. ``reads``: how many were predicted. ``of``: which they are.
    """

    error: float
    reads: int
    of: str


@dataclass(frozen=True, eq=False)
class OperationCalibration:
    """``found``: of all reads. ``held_out``: None where half of them does not determine a fit."""

    model: str
    histories: Sequence[History]
    found: OperationFit
    held_out: HeldOut | None
    fixed: Mapping[str, Any] = field(default_factory=dict)
    spread: Spread | None = None
    effects: Sequence[FoundEffect] = ()
    words: Sequence[str] = ()

    @property
    def fits(self) -> Sequence[OperationFit]:
        """One for all cells, or one for each."""
        return [self.found] if self.spread is None else self.spread.fits

    @property
    def goodness(self) -> dict[str, float]:
        """Of the fit; of one for each cell: sums of counts, means of the rest."""
        every = [one.fit.goodness for one in self.fits]
        counts = {"reads", "degrees_of_freedom"}
        found = {
            name: float(np.sum([one[name] for one in every]))
            if name in counts
            else float(np.mean([one[name] for one in every]))
            for name in every[0]
        }
        return found if self.spread is None else {"cells": float(self.spread.cells), **found}

    @property
    def parameters(self) -> dict[str, Any]:
        """Settings of the model; of the median cell where each was fitted by itself."""
        settings = dict(self.found.fit.settings)
        if self.spread is not None:
            settings |= {name: self.spread.median(name)[0] for name in self.spread.values}
            if sigmas := self.sigmas():
                settings["spread"] = {n: {"sigma": sigma} for n, (sigma, _) in sigmas.items()}
        return settings

    @property
    def uncertainty(self) -> dict[str, float]:
        """Of the parameters that were fitted."""
        errors = dict(self.found.fit.uncertainty)
        if self.spread is not None:
            errors |= {name: self.spread.median(name)[1] for name in self.spread.values}
        return errors

    def sigmas(self) -> dict[str, tuple[float, float]]:
        """Spread of the parameters that can be spread and differ for sure, with uncertainty."""
        if self.spread is None:
            return {}
        can = type(self.found.minimum.problem.settings).spreadable
        every = {name: self.spread.sigma(name) for name in self.spread.values if name in can}
        return {name: pair for name, pair in every.items() if pair[0] > 2 * pair[1]}

    @property
    def span_s(self) -> tuple[float, float]:
        """Lowest and highest conductance measured."""
        values_s = np.concatenate([one.conductance_s.ravel() for one in self.histories])
        values_s = values_s[np.isfinite(values_s) & (values_s > 0)]
        return float(values_s.min()), float(values_s.max())

    def pulses(self) -> list[dict[str, float]]:
        """Every pulse that was given, as far as a model can be held to it."""
        found: dict[tuple[float, float], int] = {}
        for history in self.histories:
            for drive in history.drives:
                if drive.selected:
                    for volts in np.unique(drive.voltage_v[drive.voltage_v != 0]):
                        key = float(volts), drive.width_s
                        found[key] = found.get(key, 0) + drive.count
        return [{"amplitude_v": v, "width_s": w, "given": n} for (v, w), n in sorted(found.items())]

    def remarks(self) -> list[str]:
        """What a person should know."""
        held = {k: v for k, v in operation_models()[self.model].held.items() if k not in self.fixed}
        settings = self.found.fit.settings
        return [
            *dict.fromkeys(word for one in self.fits for word in one.fit.words),
            *(f"{name} is {settings[name]}, not fitted: {why}" for name, why in held.items()),
            *(f"{name} is held at {settings[name]}" for name in self.fixed),
            *self.words,
        ]

    def figures(self) -> Iterator[NamedFigure]:
        """Data against model, residuals, distributions."""
        from hwloop_sim.calibrate.operations.figures import draw

        return draw(self)

    def as_data(self, paths: Sequence[Path], title: str) -> dict[str, Any]:
        """What stands in the file."""
        low_s, high_s = self.span_s
        data: dict[str, Any] = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "model": self.model,
            "title": title,
            **provenance(paths),
            "validity": {"low_s": low_s, "high_s": high_s, "pulses": self.pulses()},
            "parameters": self.parameters,
            "uncertainty": dict(self.uncertainty),
            "goodness": self.goodness,
            "remarks": self.remarks(),
        }
        if self.effects:
            data["effects"] = [one.settings for one in self.effects]
            data["uncertainty"]["effects"] = [one.uncertainty for one in self.effects]
        if self.spread is not None:
            data["uncertainty"]["spread"] = {n: error for n, (_, error) in self.sigmas().items()}
        if self.held_out is not None:
            seen = self.held_out
            data["held_out"] = [{"of": seen.of, "reads": seen.reads, "error_of_range": seen.error}]
        return data


def provenance(paths: Sequence[Path]) -> dict[str, Any]:
    """Device, source and files, as a calibration states them."""
    texts: dict[str, list[str]] = {"device": [], "source": [], "doi": []}
    for path in paths:
        form = dataset.format_of(path)
        if form in {dataset.FORMAT, measurement.FORMAT}:
            table: Any = (
                dataset.read_dataset(path)
                if form == dataset.FORMAT
                else measurement.read_measurement(path)
            )
            for name, seen in texts.items():
                seen.append(getattr(table, name))
        else:
            kind = "record" if is_record(path) else "file"
            texts["source"].append(f"{kind} {path.name}")
    joined = {name: "; ".join(dict.fromkeys(filter(None, seen))) for name, seen in texts.items()}
    files = [
        {"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in paths
    ]
    return {**joined, "files": files}


def load_histories(paths: Sequence[Path], *, cell: int | None) -> list[History]:
    """The histories of all files; records that hold effects alone add none.

    Raises :class:`ConfigError` with the file where none of them can be calibrated from.
    """
    import h5py

    found: list[History] = []
    refused: ConfigError | None = None
    for path in paths:
        if not path.is_file():
            raise ConfigError("there is no such file", file=str(path))
        if dataset.format_of(path) in {dataset.FORMAT, measurement.FORMAT}:
            found += of_dataset(path, cell=cell)
            continue
        if path.suffix.lower() not in {".h5", ".hdf5"} and not h5py.is_hdf5(path):
            found += of_text(path, cell=cell)
            continue
        check_format(path)
        try:
            history = of_record(path)
        except NothingInIt as exc:
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
    model: str,
    paths: Sequence[Path],
    *,
    cell: int | None = None,
    fixed: Mapping[str, Any] | None = None,
    spread: bool = False,
) -> OperationCalibration:
    """Fit ``model`` to what was done and measured; see
    :mod:`hwloop_sim.calibrate.operations.least_squares`.

    Raises :class:`ConfigError` where the data do not fit the model, and :class:`NotConverged`
    with the parameter that they do not determine.
    """
    fixed = fixed or {}
    every = load_histories(paths, cell=cell)
    histories, words = _at_most(every)
    each = fit_each_cell(model, histories, fixed) if spread else None
    start = None if each is None else each.fits[0].minimum
    found = fit_operations(model, histories, fixed=fixed, start=start, uncertain=not spread)
    seen, more = _predicted(model, histories, fixed, found)
    if each is not None:
        words += [f"left out of the spread: {one}" for one in each.left_out]
    both = all(look.both_polarities for one in histories for look in one.looks)
    records = [path for path in paths if is_record(path)]
    fits = [found] if each is None else list(each.fits)
    effects = [
        *effects_of(records),
        *(white_noise(fits, both_polarities=both) if records else []),
    ]
    return OperationCalibration(
        model, histories, found, seen, fixed, each, effects, [*words, *more]
    )


def _at_most(histories: Sequence[History]) -> tuple[list[History], list[str]]:
    """So many cells that the fit stays small, evenly over all; what is left out is said."""
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
    model: str, histories: Sequence[History], fixed: Mapping[str, Any], found: OperationFit
) -> tuple[HeldOut | None, list[str]]:
    masks, of = half_masks(histories)
    try:
        half = fit_operations(
            model, histories, fixed=fixed, masks=masks, start=found.minimum, uncertain=False
        )
    except (NotConverged, ConfigError) as exc:
        return None, [f"not compared with a part left out: half of the data is too little ({exc})"]
    return held_out_error(half, histories, masks, of), []


def half_masks(histories: Sequence[History]) -> tuple[list[BoolArray], str]:
    """The reads that count in a fit to half of the data; the first of every cell always does."""
    read = [np.isfinite(one.current_a) for one in histories]
    total = sum(len(one.names) for one in histories)
    kept, begin = [], 0
    pairs = [history.on_every_train() // 2 for history in histories]
    by_train = max(int(one.max()) for one in pairs) > 0
    for mask, pair in zip(read, pairs, strict=True):
        if total > 1:
            chosen = np.broadcast_to((begin + np.arange(mask.shape[1])) % 2 == 0, mask.shape)
        elif by_train:
            chosen = pair % 2 == 0
        else:
            chosen = np.broadcast_to(np.arange(len(mask))[:, None] % 2 == 0, mask.shape)
        begin += mask.shape[1]
        first = np.zeros_like(mask)
        first[np.argmax(mask, axis=0), np.arange(mask.shape[1])] = True
        kept.append(mask & (chosen | first))
    words = "every second cell" if total > 1 else "every second pair of trains"
    return kept, words if total > 1 or by_train else "every second read"


def held_out_error(
    half: OperationFit, histories: Sequence[History], masks: Sequence[BoolArray], of: str
) -> HeldOut:
    """How far the prediction is from the reads that did not count."""
    shown_a = half.minimum.problem.shown_a(half.minimum.theta[None])
    off_s: list[FloatArray] = []
    span_s: list[FloatArray] = []
    for history, mask, one_a in zip(histories, masks, shown_a, strict=True):
        volts = np.array([look.read_v for look in history.looks])[:, None]
        left = np.isfinite(history.current_a) & ~mask
        off_s.append(((one_a[0] - history.current_a) / volts)[left])
        span_s.append(history.conductance_s[np.isfinite(history.current_a)])
    off, span = np.concatenate(off_s), np.concatenate(span_s)
    error = float(np.sqrt(np.mean(np.square(off))) / (span.max() - span.min()))
    return HeldOut(error, off.size, of)
