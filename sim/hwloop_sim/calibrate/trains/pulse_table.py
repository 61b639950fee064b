"""Fit ``pulse_table``: the mean of equal trains, pulse by pulse, with its uncertainty."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hwloop.errors import ConfigError
from hwloop.plotting import style as plot
from hwloop.plotting.style import NamedFigure
from hwloop.types import FloatArray
from hwloop_sim.calibrate.trains.data import Direction, load_trains
from hwloop_sim.calibrate.trains.train_likelihood import error_of_root

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_HALVES = 4


@dataclass(frozen=True, eq=False)
class TableCalibration:
    """A table of the mean conductance after 0, 1, 2, … pulses.

    ``mean_conductance_s``, ``error_conductance_s``: (pulses + 1,), siemens; the error is one
    standard error.
    """

    direction: Direction
    source: str
    mean_conductance_s: FloatArray
    error_conductance_s: FloatArray
    held_out_error: float

    @property
    def model(self) -> str:
        """Its name in a procedure."""
        return "pulse_table"

    @property
    def cycle_to_cycle(self) -> tuple[float, float]:
        """Deviation of ln of a step's factor, as ``pulse_table`` has it, and its standard error.

        The error is the jackknife's over the trains; the square may be 0 within it.
        """
        steps_conductance_s = np.diff(np.array(self.direction.trains), axis=1)
        count = len(steps_conductance_s)
        square = _scatter_square(steps_conductance_s)
        without = [_scatter_square(np.delete(steps_conductance_s, i, axis=0)) for i in range(count)]
        error = float(np.sqrt((count - 1) * np.var(without)))
        sigma = float(np.sqrt(max(square, 0.0)))
        return sigma, error_of_root(square, error)

    def lines(self) -> Iterator[str]:
        """What a person is told."""
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

    def as_data(self, paths: Sequence[Path], title: str) -> dict[str, Any]:
        """The table as `calibration:` of ``pulse_table`` wants it."""
        one = self.direction
        sigma, error = self.cycle_to_cycle
        return {
            "model": "pulse_table",
            "title": title,
            "source": f"{self.source}; files {', '.join(path.name for path in paths)}",
            "conditions": one.pulse,
            "validity": f"mean of {len(one.trains)} trains; for this pulse only;"
            f" cycle_to_cycle {sigma:.3g} ± {error:.2g}",
            "conductance_s": [float(value) for value in self.mean_conductance_s],
            "conductance_uncertainty_s": [float(value) for value in self.error_conductance_s],
        }

    def figures(self) -> Iterator[NamedFigure]:
        """Trains with the table, and what is left of each."""
        with plot.style():
            yield NamedFigure("paths", "Trains and their mean", "pulse by pulse", self._paths())
            yield NamedFigure("residuals", "Residuals", "trains less mean", self._residuals())

    def _paths(self) -> Figure:
        figure = plot.new_figure(4.2, 3.0)
        axes = figure.subplots()
        seen_conductance_s = self.direction.padded_conductance_s
        scale = plot.Scale.of(seen_conductance_s.ravel(), "S")
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
        scale = plot.Scale.of(off_conductance_s.ravel(), "S")
        axes.plot(off_conductance_s.T * scale.factor, ".", color=plot.GREY, markersize=3)
        axes.axhline(0, color=plot.BLACK, linewidth=0.8)
        axes.set(xlabel="Pulses", ylabel=scale.label("Train less mean"))
        plot.whole_numbers(axes)
        return figure


def _scatter_square(steps_conductance_s: FloatArray) -> float:
    """σ² of a lognormal factor of the steps, (trains, pulses); read noise falls out.

    A read adds σ_r² to the squares of the two steps beside it and takes it from their product, so
    that a step times the sum of itself and both neighbours holds none. The first and last step
    have one neighbour, whose product counts twice.
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
    # The squares of the means hold what the means err by.
    of_means = np.square(mean_conductance_s).sum() - np.square(off_conductance_s).sum() / (
        count * (count - 1)
    )
    return float(np.log1p(max(squares / of_means, -0.5))) if of_means > 0 else 0.0


def calibrate_table(paths: Sequence[Path], *, cell: int | None) -> TableCalibration:
    """The table of the trains of one pulse; of several the one that raises the conductance.

    Raises :class:`ConfigError` where too few trains go on to the end.
    """
    data = load_trains(paths, cell=cell, mixed=True)
    direction = data.named(rises=True) or data.directions[0]
    shortest = min(map(len, direction.trains))
    trains = np.array([train[:shortest] for train in direction.trains])
    if len(trains) < _HALVES:
        raise ConfigError(
            f"{len(trains)} trains: a table with an uncertainty needs {_HALVES}",
            file=", ".join(map(str, paths)),
        )
    if not np.isfinite(trains).all():
        train, pulse = (int(i) for i in np.argwhere(~np.isfinite(trains))[0])
        raise ConfigError(
            f"train {train} has a gap at pulse {pulse}", file=", ".join(map(str, paths))
        )
    mean_conductance_s = trains.mean(axis=0)
    off_conductance_s = trains[1::2] - trains[::2].mean(axis=0)
    return TableCalibration(
        Direction(direction.amplitude_v, direction.width_s, list(trains), direction.rises),
        "; ".join(data.sources),
        mean_conductance_s,
        trains.std(axis=0, ddof=1) / np.sqrt(len(trains)),
        float(
            np.sqrt(np.mean(np.square(off_conductance_s)))
            / (mean_conductance_s.max() - mean_conductance_s.min())
        ),
    )
