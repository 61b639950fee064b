"""Fit of ``pulse_table``: the mean of equal trains, pulse by pulse, with its uncertainty."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from hwloop.errors import ConfigError
from hwloop.messages import first_place
from hwloop.plotting import style as plot
from hwloop.plotting.style import NamedFigure
from hwloop.types import FloatArray
from hwloop_sim.calibrate.method import CalibrationMethod, FittedCalibration, HeldOut, Task
from hwloop_sim.calibrate.provenance import provenance
from hwloop_sim.calibrate.trains.data import Direction, load_trains
from hwloop_sim.calibrate.trains.train_likelihood import error_of_root

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MODEL = "pulse_table"
_MIN_TRAINS = 4


@dataclass(frozen=True, eq=False)
class TableCalibration(FittedCalibration):
    """A table of the mean conductance after 0, 1, 2, … pulses.

    ``mean_conductance_s``, ``error_conductance_s``: mean and its standard error, (pulses + 1,),
    siemens. ``held_out_error``: root mean square of every second train less the mean of the others,
    over the range of the table.
    """

    direction: Direction
    mean_conductance_s: FloatArray
    error_conductance_s: FloatArray
    held_out_error: float
    model: str = MODEL

    @property
    def cycle_to_cycle(self) -> tuple[float, float]:
        """Compute the setting ``cycle_to_cycle`` of the device, and its standard error.

        It is the standard deviation of the logarithm of the factor of a step. The error is the
        jackknife over the trains.
        """
        steps_conductance_s = np.diff(np.array(self.direction.trains), axis=1)
        count = len(steps_conductance_s)
        square = _scatter_square(steps_conductance_s)
        without = [_scatter_square(np.delete(steps_conductance_s, i, axis=0)) for i in range(count)]
        error = float(np.sqrt((count - 1) * np.var(without)))
        sigma = float(np.sqrt(max(square, 0.0)))
        return sigma, error_of_root(square, error)

    @override
    def predict(self) -> HeldOut:
        return HeldOut(self.held_out_error, [])

    @override
    def summary(self) -> Iterator[str]:
        one = self.direction
        yield (
            f"{len(one.trains)} trains of {one.amplitude_v:g} V, {one.width_s:g} s: their mean is"
            f" a table of {self.mean_conductance_s.size} values"
        )
        for pulse, (mean_conductance_s, error_conductance_s) in enumerate(
            zip(self.mean_conductance_s, self.error_conductance_s, strict=True)
        ):
            yield f"  {pulse:4} {mean_conductance_s:.5g} S ± {error_conductance_s:.2g}"
        sigma, error = self.cycle_to_cycle
        yield f"scatter of a step, cycle_to_cycle: {sigma:.3g} ± {error:.2g}"
        yield f"held out, every second train: error {self.held_out_error:.2%} of the range"
        yield "valid for this pulse only, from where these trains began"

    @override
    def findings(self) -> dict[str, Any]:
        sigma, error = self.cycle_to_cycle
        return {
            "conditions": self.direction.pulse,
            "validity": f"mean of {len(self.direction.trains)} trains; for this pulse only;"
            f" cycle_to_cycle {sigma:.3g} ± {error:.2g}",
            "conductance_s": [float(value) for value in self.mean_conductance_s],
            "conductance_uncertainty_s": [float(value) for value in self.error_conductance_s],
        }

    @override
    def as_data(self, paths: Sequence[Path], title: str) -> dict[str, Any]:
        # A table has its own form of file, which a procedure can also contain.
        source = provenance(paths)["source"]
        names = ", ".join(path.name for path in paths)
        head = {"model": MODEL, "title": title, "source": f"{source}; files {names}"}
        return {**head, **self.findings()}

    @override
    def figures(self) -> Iterator[NamedFigure]:
        with plot.style():
            yield NamedFigure("paths", "Trains and their mean", "pulse by pulse", self._paths())
            yield NamedFigure("residuals", "Residuals", "trains less mean", self._residuals())

    def _paths(self) -> Figure:
        figure = plot.new_figure(4.2, 3.0)
        axes = figure.subplots()
        seen_conductance_s = self.direction.padded_conductance_s
        scale = plot.AxisScale.of(seen_conductance_s.ravel(), "S")
        axes.plot(seen_conductance_s.T * scale.factor, color=plot.GREY, linewidth=0.6, alpha=0.7)
        pulses = np.arange(self.mean_conductance_s.size)
        axes.errorbar(
            pulses,
            self.mean_conductance_s * scale.factor,
            2 * self.error_conductance_s * scale.factor,
            color=plot.VERMILION,
            label="mean ± 2 errors",
        )
        axes.set(xlabel="Pulses", ylabel=scale.label("Conductance"))
        axes.legend()
        plot.whole_numbers(axes)
        return figure

    def _residuals(self) -> Figure:
        figure = plot.new_figure(4.2, 3.0)
        axes = figure.subplots()
        off_conductance_s = self.direction.padded_conductance_s - self.mean_conductance_s
        scale = plot.AxisScale.of(off_conductance_s.ravel(), "S")
        axes.plot(off_conductance_s.T * scale.factor, ".", color=plot.GREY, markersize=3)
        axes.axhline(0, color=plot.BLACK, linewidth=0.8)
        axes.set(xlabel="Pulses", ylabel=scale.label("Train less mean"))
        plot.whole_numbers(axes)
        return figure


def _scatter_square(steps_conductance_s: FloatArray) -> float:
    """Estimate σ² of a lognormal factor of the steps, (trains, pulses), free of read noise.

    A read adds σ_r² to the squares of the two steps next to it and subtracts it from their
    product, so that a step times the sum of itself and both neighbours is free of it. The first
    and last step have one neighbour, whose product counts twice.
    """
    count = len(steps_conductance_s)
    mean_conductance_s = steps_conductance_s.mean(axis=0)
    off_conductance_s = steps_conductance_s - mean_conductance_s
    products = off_conductance_s[:, 1:] * off_conductance_s[:, :-1]
    weights = np.ones(products.shape[1])
    weights[[0, -1]] += 0.5
    squares = (np.square(off_conductance_s).sum(axis=1) + 2 * products @ weights).sum() / (
        count - 1
    )
    # The squares of the means include the variance of the means.
    of_means = np.square(mean_conductance_s).sum() - np.square(off_conductance_s).sum() / (
        count * (count - 1)
    )
    return float(np.log1p(max(squares / of_means, -0.5))) if of_means > 0 else 0.0


def calibrate_table(task: Task) -> TableCalibration:
    """Average the trains of one pulse; of two pulses the one that raises the conductance.

    Raises :class:`ConfigError` if there are too few trains, or gaps in them.
    """
    data = load_trains(task.paths, cell=task.cell, mixed=True)
    direction = data.named(rises=True) or data.directions[0]
    shortest = min(map(len, direction.trains))
    trains = np.array([train[:shortest] for train in direction.trains])
    if len(trains) < _MIN_TRAINS:
        raise ConfigError(
            f"{len(trains)} trains: a table with an uncertainty needs {_MIN_TRAINS}",
            file=task.where,
        )
    if not np.isfinite(trains).all():
        train, pulse = first_place(~np.isfinite(trains))
        raise ConfigError(f"train {train} has a gap at pulse {pulse}", file=task.where)
    mean_conductance_s = trains.mean(axis=0)
    off_conductance_s = trains[1::2] - trains[::2].mean(axis=0)
    return TableCalibration(
        Direction(direction.amplitude_v, direction.width_s, list(trains), direction.rises),
        mean_conductance_s,
        trains.std(axis=0, ddof=1) / np.sqrt(len(trains)),
        float(
            np.sqrt(np.mean(np.square(off_conductance_s)))
            / (mean_conductance_s.max() - mean_conductance_s.min())
        ),
    )


TABLE = CalibrationMethod(
    models=lambda: [MODEL],
    of_records=False,
    options=frozenset({"cell"}),
    fit=calibrate_table,
)
