"""A calibration from operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hwloop_sim.calibrate.operations.fit import OperationFit
from hwloop_sim.calibrate.operations.found_effect import FoundEffect
from hwloop_sim.calibrate.operations.history import History
from hwloop_sim.calibrate.operations.models import operation_models
from hwloop_sim.calibrate.operations.spread import Spread
from hwloop_sim.calibration.file import FORMAT, FORMAT_VERSION

if TYPE_CHECKING:
    pass
from hwloop_sim.calibrate.provenance import provenance


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
    def span_conductance_s(self) -> tuple[float, float]:
        """Lowest and highest conductance measured."""
        values_conductance_s = np.concatenate([one.conductance_s.ravel() for one in self.histories])
        values_conductance_s = values_conductance_s[
            np.isfinite(values_conductance_s) & (values_conductance_s > 0)
        ]
        return float(values_conductance_s.min()), float(values_conductance_s.max())

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

    def as_data(self, paths: Sequence[Path], title: str) -> dict[str, Any]:
        """What stands in the file."""
        low_conductance_s, high_conductance_s = self.span_conductance_s
        data: dict[str, Any] = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "model": self.model,
            "title": title,
            **provenance(paths),
            "validity": {
                "low_conductance_s": low_conductance_s,
                "high_conductance_s": high_conductance_s,
                "pulses": self.pulses(),
            },
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
