"""Result of a calibration from operations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from typing_extensions import override

from hwloop.plotting.style import NamedFigure
from hwloop_sim.calibrate.method import FittedCalibration, HeldOut
from hwloop_sim.calibrate.operations.fit import OperationFit
from hwloop_sim.calibrate.operations.found_effect import FoundEffect
from hwloop_sim.calibrate.operations.held_out import PredictedReads
from hwloop_sim.calibrate.operations.history import History
from hwloop_sim.calibrate.operations.models import operation_models
from hwloop_sim.calibrate.operations.spread import CellSpread


@dataclass(frozen=True, eq=False)
class OperationCalibration(FittedCalibration):
    """A device model fitted to operations and their results.

    ``found``: fit to all reads. ``held_out``: None if half of them does not determine a fit.
    ``fixed``: settings that were held. ``spread``: fits of each cell separately. ``effects``: found
    in the records besides the device model. ``messages``: remarks on the data.
    """

    model: str
    histories: Sequence[History]
    found: OperationFit
    held_out: PredictedReads | None
    fixed: Mapping[str, Any] = field(default_factory=dict)
    spread: CellSpread | None = None
    effects: Sequence[FoundEffect] = ()
    messages: Sequence[str] = ()
    final: bool = True

    @property
    def fits(self) -> Sequence[OperationFit]:
        """Return the fit to all cells, or one fit for each cell."""
        return [self.found] if self.spread is None else self.spread.fits

    @property
    def goodness(self) -> dict[str, float]:
        """Return figures of the fit; over fits of single cells, sums of counts and means else."""
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
        """Return the settings of the model; those of the median cell if each was fitted."""
        settings = dict(self.found.fit.settings)
        if self.spread is not None:
            settings |= {name: self.spread.median(name)[0] for name in self.spread.values}
            if sigmas := self.sigmas():
                settings["spread"] = {n: {"sigma": sigma} for n, (sigma, _) in sigmas.items()}
        return settings

    @property
    def uncertainty(self) -> dict[str, float]:
        """Return one standard deviation of each fitted parameter."""
        errors = dict(self.found.fit.uncertainty)
        if self.spread is not None:
            errors |= {name: self.spread.median(name)[1] for name in self.spread.values}
        return errors

    def sigmas(self) -> dict[str, tuple[float, float]]:
        """Return the lognormal sigma over the cells, with its error, of parameters that differ.

        Left out are parameters that the model cannot spread and sigmas below two errors.
        """
        if self.spread is None:
            return {}
        can = type(self.found.minimum.problem.settings).spreadable
        every = {name: self.spread.sigma(name) for name in self.spread.values if name in can}
        return {name: pair for name, pair in every.items() if pair[0] > 2 * pair[1]}

    @property
    def span_conductance_s(self) -> tuple[float, float]:
        """Return the lowest and highest conductance measured, siemens."""
        values_conductance_s = np.concatenate([one.conductance_s.ravel() for one in self.histories])
        values_conductance_s = values_conductance_s[
            np.isfinite(values_conductance_s) & (values_conductance_s > 0)
        ]
        return float(values_conductance_s.min()), float(values_conductance_s.max())

    def pulses(self) -> list[dict[str, float]]:
        """Return amplitude, width and number of the pulses on addressed cells, for the file."""
        found: dict[tuple[float, float], int] = {}
        for history in self.histories:
            for stimulus in history.stimuli:
                if stimulus.selected:
                    for volts in np.unique(stimulus.voltage_v[stimulus.voltage_v != 0]):
                        key = float(volts), stimulus.width_s
                        found[key] = found.get(key, 0) + stimulus.count
        return [{"amplitude_v": v, "width_s": w, "given": n} for (v, w), n in sorted(found.items())]

    def remarks(self) -> list[str]:
        """Return remarks of the fits, settings that were not fitted, and remarks on the data."""
        held = {k: v for k, v in operation_models()[self.model].held.items() if k not in self.fixed}
        settings = self.found.fit.settings
        return [
            *dict.fromkeys(message for one in self.fits for message in one.fit.messages),
            *(f"{name} is {settings[name]}, not fitted: {why}" for name, why in held.items()),
            *(f"{name} is held at {settings[name]}" for name in self.fixed),
            *self.messages,
        ]

    @override
    def predict(self) -> HeldOut:
        return HeldOut(None, []) if self.held_out is None else self.held_out.held_out()

    @property
    @override
    def undetermined(self) -> Sequence[str]:
        covariance = self.found.fit.covariance
        return () if covariance is None else covariance.undetermined

    @override
    def figures(self) -> Iterator[NamedFigure]:
        from hwloop_sim.calibrate.operations.figures import draw

        return draw(self.fits, self.spread)

    @override
    def findings(self) -> dict[str, Any]:
        low_conductance_s, high_conductance_s = self.span_conductance_s
        uncertainty: dict[str, Any] = dict(self.uncertainty)
        if self.effects:
            uncertainty["effects"] = [one.uncertainty for one in self.effects]
        if self.spread is not None:
            uncertainty["spread"] = {n: error for n, (_, error) in self.sigmas().items()}
        effects = {"effects": [one.settings for one in self.effects]} if self.effects else {}
        return {
            "validity": {
                "low_conductance_s": low_conductance_s,
                "high_conductance_s": high_conductance_s,
                "pulses": self.pulses(),
            },
            "parameters": self.parameters,
            **effects,
            "uncertainty": uncertainty,
            **({} if self.found.fit.covariance is None else self.found.fit.covariance.as_data()),
            "goodness": self.goodness,
            "remarks": self.remarks(),
        }

    @override
    def summary(self) -> Iterator[str]:
        low_conductance_s, high_conductance_s = self.span_conductance_s
        cells = sum(len(one.names) for one in self.histories)
        yield f"{self.model}: {self.goodness['reads']:.0f} reads of {cells} cells"
        sigmas = self.sigmas()
        for name, error in self.uncertainty.items():
            spread = f"; spread over cells {sigmas[name][0]:.3f}" if name in sigmas else ""
            yield f"  {name:34} {self.parameters[name]:.5g} ± {error:.2g}{spread}"
        for name, figure in self.goodness.items():
            yield f"  {name:34} {figure:.4g}"
        for effect in self.effects:
            yield effect.summary()
        pulses = self.pulses()
        volts = sorted(one["amplitude_v"] for one in pulses)
        widths_s = sorted(one["width_s"] for one in pulses)
        yield (
            f"valid from {low_conductance_s:.4g} to {high_conductance_s:.4g} S, pulses from"
            f" {volts[0]:g} to"
            f" {volts[-1]:g} V, {widths_s[0]:g} to {widths_s[-1]:g} s; beyond it the model"
            " extrapolates"
        )
        yield from self.remarks()
        if self.held_out is not None:
            yield self.held_out.summary()
