"""Settings under which more arrays of a population would converge, by its record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hwloop.figures.manhattan.data import Training
from hwloop.plotting import style as plot
from hwloop.plotting.style import NamedFigure
from hwloop.settings.units import format_quantity
from hwloop.types import BoolArray, FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LATE = 0.1
"""The last tenth of the epochs: an array at its best there may still be improving."""


@dataclass(frozen=True)
class Diagnosis:
    """Reasons why arrays did not converge.

    ``slope_factor``: (arrays,) by which β would have to grow for the currents of the array's best
    epoch to reach every target; infinite where no epoch has all currents of the right sign.
    ``missed``: which arrays did not converge. ``right_sign``: of their short activations in the
    last epoch, the fraction on the right side of 0. ``still_improving``: the fraction of them whose
    error was least in the last tenth of the epochs. ``exhausted``: the fraction of them with a cell
    at the end of its table; None where there is no table.
    """

    slope_factor: FloatArray
    missed: BoolArray
    right_sign: float
    still_improving: float
    exhausted: float | None


def diagnose(training: Training) -> Diagnosis:
    """Diagnose the arrays that did not converge; there must be at least one."""
    missed = ~training.converged[-1]
    short = training.shortfall[-1, missed] > 0
    wanted = np.where(training.outputs == 1, 1.0, -1.0)
    right = training.activation[-1, missed] * wanted > 0
    best = training.total_error[:, missed].argmin(axis=0)
    late = best >= (1 - _LATE) * len(training.epoch)
    exhausted = None
    if training.table is not None:
        end = training.table.conductance_s.size - 1
        exhausted = float((training.pulses[missed] >= end).any(axis=(-2, -1)).mean())
    return Diagnosis(
        slope_factor=_slope_factor(training),
        missed=missed,
        right_sign=float(right[short].mean()) if short.any() else 1.0,
        still_improving=float(late.mean()),
        exhausted=exhausted,
    )


def _slope_factor(training: Training) -> FloatArray:
    """Return the least factor, (arrays,), over the epochs that reaches every target."""
    wanted = np.where(training.outputs == 1, 1.0, -1.0)
    toward_one = training.beta_per_a * training.current_a * wanted
    needed = np.arctanh(training.target) * wanted
    # A target on the far side of 0 is reached by any current of the right sign.
    factor = np.where(
        toward_one > 0, np.maximum(needed, 0.0) / np.where(toward_one > 0, toward_one, 1.0), np.inf
    )
    least: FloatArray = factor.max(axis=(-2, -1)).min(axis=0)
    return least


def settings_figure(training: Training) -> NamedFigure | None:
    """Draw how much steeper the activation must be, and the other causes of failure."""
    if training.converged[-1].all() or training.stop == "classified":
        return None  # a slope helps to reach targets; it does not change the order of the currents
    diagnosis = diagnose(training)
    figure = plot.new_figure(9.0, 3.0)
    left, right = figure.subplots(1, 2, width_ratios=(1.4, 1))
    _factor_panel(left, training, diagnosis)
    _share_panel(right, diagnosis)
    return NamedFigure(
        "settings",
        "Finding better settings",
        "\n\n".join(advice(training, diagnosis)),
        figure,
    )


def _factor_panel(axes: Axes, training: Training, diagnosis: Diagnosis) -> None:
    factor = diagnosis.slope_factor
    reachable = np.sort(factor[np.isfinite(factor)])
    low, high = np.percentile(reachable, (1, 98)) if reachable.size else (1.0, 1.0)
    low, high = max(min(0.9, 0.95 * low), 0.0), min(max(1.1, 1.05 * high), 10.0)
    share = 100 * np.arange(reachable.size + 1) / factor.size
    axes.step(np.concatenate(([0.0], reachable)), share, where="post", color=plot.BLUE)
    axes.axvline(1, color=plot.GREEN, linestyle="--", label="β as it was")
    axes.set_xlim(low, high)
    axes.set_ylim(0, 102)
    axes.set_xlabel(f"β, as a multiple of {_slope(training.beta_per_a)}")
    axes.set_ylabel("Arrays past every target (%)")
    axes.legend(loc="lower right")
    if not reachable.size:
        text = "no array had all currents\nof the right sign in any epoch"
        axes.text(0.05, 0.5, text, va="center", transform=axes.transAxes)


def _share_panel(axes: Axes, diagnosis: Diagnosis) -> None:
    shares = {
        "short activations\nof the right sign": diagnosis.right_sign,
        "arrays at their best\nin the last epochs": diagnosis.still_improving,
    }
    if diagnosis.exhausted is not None:
        shares["arrays with a cell\nat the table's end"] = diagnosis.exhausted
    values = [100 * value for value in shares.values()]
    axes.barh(range(len(values)), values, color=plot.VERMILION, height=0.55)
    for place, value in enumerate(values):
        axes.text(value + 2, place, f"{value:.0f} %", va="center", fontsize=8)
    axes.set_yticks(range(len(values)), list(shares))
    axes.set_xlim(0, 122)
    axes.set_xticks([0, 50, 100])
    axes.set_ylim(len(values) - 0.4, -0.6)
    axes.set_xlabel("Where the training failed (%)")
    axes.grid(visible=False, axis="y")


def advice(training: Training, diagnosis: Diagnosis) -> list[str]:
    """Return advice on β, the gain K, the shifts and the pulse, one paragraph each."""
    return [
        _about_slope(training, diagnosis),
        _about_range(training, diagnosis),
        _about_updates(training, diagnosis),
    ]


def _about_slope(training: Training, diagnosis: Diagnosis) -> str:
    factor = diagnosis.slope_factor
    possible = np.isfinite(factor)
    text = (
        "Slope β and gain K. Left: the fraction of arrays whose currents, in their best epoch,"
        f" would have been past every target with a steeper activation. Of the activations that"
        f" fell short, {diagnosis.right_sign:.0%} had the right sign and were too small; for those"
        " a larger β or K helps, and as tanh(βI) with I proportional to K only their product"
        " counts (at a bench only β is free)."
    )
    half = np.sort(factor)[(factor.size - 1) // 2]
    if np.isfinite(half):
        text += (
            f" Half of the arrays would have passed with β = {_slope(half * training.beta_per_a)}."
        )
    text += (
        f" In {1 - possible.mean():.0%} of the arrays no epoch had every current of the right"
        " sign: there no β is enough. A different β also changes the updates, so try it with a"
        " run; it does not make the array better, it makes the same currents count for more."
    )
    return text


def _about_range(training: Training, diagnosis: Diagnosis) -> str:
    start_conductance_s = np.abs(training.weight_conductance_s[0]).max(axis=(-2, -1))
    missed = diagnosis.missed
    text = "Shifts and pulse width. The largest |weight| before the first pulse was"
    middle_conductance_s = float(np.median(start_conductance_s[missed]))
    text += f" {format_quantity(middle_conductance_s, 'S', digits=3)} in the median"
    text += " of the arrays that did not converge"
    if not missed.all():
        median_conductance_s = float(np.median(start_conductance_s[~missed]))
        text += f" and {format_quantity(median_conductance_s, 'S', digits=3)} in those that did"
    if training.table is None:
        return text + ". Cells that begin alike leave more of their range for the training."
    rise_conductance_s = training.table.gain * float(np.ptp(training.table.conductance_s))
    text += (
        f"; the whole table moves a cell by {format_quantity(rise_conductance_s, 'S', digits=3)}."
        " The closer"
        " the first comes to the second, the more of the range is spent on evening out the cells:"
        " narrower shifts, or a pulse (width, amplitude) with a wider table, help. K does not: it"
        " stretches both."
    )
    return text


def _about_updates(training: Training, diagnosis: Diagnosis) -> str:
    text = (
        f"Number of updates. {diagnosis.still_improving:.0%} of the arrays that did not converge"
        f" had their least error in the last tenth of the {len(training.epoch)} epochs; where this"
        " is many, more updates help"
    )
    if diagnosis.exhausted is None:
        return text + "."
    return (
        text + f", as long as the cells have range left: in {diagnosis.exhausted:.0%} of them a"
        " cell had come to the end of its table."
    )


def _slope(beta_per_a: float) -> str:
    return f"{beta_per_a / 1e6:.3g} /µA"
