"""Figures of a population: N arrays trained with the same settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwloop.figures.manhattan.array import LARGEST_GRID, Draw
from hwloop.figures.manhattan.data import IntArray, Training, pattern_names
from hwloop.figures.manhattan.settings import settings_figure
from hwloop.figures.manhattan.table import table_figure
from hwloop.plotting import style as plot
from hwloop.plotting.style import NamedFigure
from hwloop.types import BoolArray, FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

YES, NO = plot.BLUE, plot.VERMILION
"""Arrays that converged, and those that did not, in every figure."""


def convergence_figure(training: Training) -> NamedFigure:
    """Draw the histogram of convergence epochs, and the cumulative fraction converged."""
    epochs = training.convergence_epoch
    reached = epochs[np.isfinite(epochs)]
    figure = plot.new_figure(8.0, 3.0)
    left, right = figure.subplots(1, 2)
    last = int(training.epoch[-1])
    width = max(1, -(-last // 50))
    edges = np.arange(0.5, last + width + 0.5, width)
    left.hist(reached, bins=edges.tolist(), color=YES)
    left.set_xlabel("Epoch of convergence")
    left.set_ylabel("Arrays")
    plot.whole_numbers(left, y=True)
    share = [100 * np.mean(epochs <= epoch) for epoch in training.epoch]
    right.step(training.epoch, share, where="post", color=YES)
    right.set_ylim(0, max(1.1 * share[-1], 1.0))
    right.set_xlabel("Epoch")
    right.set_ylabel("Converged so far (%)")
    plot.whole_numbers(right)
    return NamedFigure(
        "convergence",
        "Fraction of converged arrays over the epochs",
        f"{reached.size} of {epochs.size} arrays ({reached.size / epochs.size:.1%}) converged"
        f" within the {last} epochs that were judged. Left: in which epoch. Right: the fraction"
        " that had converged by an epoch; where it still rises at the end, more updates help.",
        figure,
    )


def error_figure(training: Training) -> NamedFigure:
    """Draw the total error over the epochs: median and quantile bands over the arrays."""
    converged = training.converged[-1]
    groups = [
        (chosen, colour, name)
        for chosen, colour, name in (
            (~converged, NO, "did not converge"),
            (converged, YES, "converged"),
        )
        if chosen.any()
    ]
    figure = plot.new_figure(4.2 * len(groups), 3.2)
    panels = figure.subplots(1, len(groups), sharex=True, sharey=True, squeeze=False)[0]
    for axes, (chosen, colour, name) in zip(panels, groups, strict=True):
        errors = training.total_error[:, chosen]
        for low, high, alpha in ((5, 95, 0.18), (25, 75, 0.35)):
            band = np.percentile(errors, (low, high), axis=1)
            axes.fill_between(
                training.epoch,
                *band,
                color=colour,
                alpha=alpha,
                linewidth=0,
                label=f"{low} to {high} %",
            )
        axes.plot(training.epoch, np.median(errors, axis=1), color=colour, label="median")
        axes.set_title(f"{name} ({int(chosen.sum())})")
        axes.legend()
        plot.whole_numbers(axes)
    panels[0].set_ylim(bottom=0)
    panels[0].set_ylabel("Total error")
    figure.supxlabel("Epoch")
    return NamedFigure(
        "error",
        "Total error",
        "How far the activations fall short of their targets, summed over patterns and neurons:"
        " median over the arrays, and the bands that hold the middle 50 % and 90 % of them.",
        figure,
    )


def final_figure(training: Training) -> NamedFigure:
    """Draw the distributions of conductances and weights at the end."""
    converged = training.converged[-1]
    conductance_s = training.final_conductance_s
    weight_conductance_s = conductance_s[..., 0::2] - conductance_s[..., 1::2]
    figure = plot.new_figure(9.0, 3.2)
    left, middle, right = figure.subplots(1, 3)
    for axes, values, name in (
        (left, conductance_s[..., 0::2], "Conductance of G⁺"),
        (middle, conductance_s[..., 1::2], "Conductance of G⁻"),
        (right, weight_conductance_s, "Weight G⁺ − G⁻"),
    ):
        _outcome_histogram(axes, values, converged, unit="S", name=name)
    left.set_ylabel("Density")
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return NamedFigure(
        "final_conductance",
        "Conductances and weights at the end",
        "All cells of all arrays, as last read. Each curve has the area 1, so that"
        " arrays that converged and arrays that did not can be compared.",
        figure,
    )


def weight_figure(training: Training) -> NamedFigure | None:
    """Draw the final value of each weight: quartiles for each row and neuron."""
    rows, neurons = training.weight_conductance_s.shape[-2:]
    if max(rows, neurons) > LARGEST_GRID:
        return None
    converged = training.converged[-1]
    last_conductance_s = training.weight_conductance_s[-1]
    scale = plot.AxisScale.of(last_conductance_s, "S")
    figure = plot.new_figure(max(2.6 * neurons, 5.0) + 0.6, 3.2)
    panels = figure.subplots(1, neurons, sharey=True, squeeze=False)[0]
    for neuron, axes in enumerate(panels):
        axes.axhline(0, color=plot.GREY, linewidth=0.8)
        for chosen, colour, shift, name in (
            (converged, YES, -0.13, "converged"),
            (~converged, NO, 0.13, "did not converge"),
        ):
            if chosen.any():
                _quartile_bars(
                    axes, last_conductance_s[chosen, :, neuron] * scale.factor, colour, shift, name
                )
        axes.set_title(f"neuron {neuron}")
        axes.set_xticks(range(rows))
        axes.grid(visible=False, axis="x")
    panels[0].set_ylabel(scale.label("Weight G⁺ − G⁻"))
    figure.supxlabel("Row")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return NamedFigure(
        "weights",
        "Final weights",
        "In the last epoch that was judged: median (dot), middle 50 % (thick) and middle 90 %"
        " (thin) of the arrays. Where the colours stand apart, that weight decides.",
        figure,
    )


def _quartile_bars(axes: Axes, values: FloatArray, colour: str, shift: float, name: str) -> None:
    rows = np.arange(values.shape[1]) + shift
    low, first, middle, third, high = np.percentile(values, (5, 25, 50, 75, 95), axis=0)
    axes.vlines(rows, low, high, color=colour, linewidth=1)
    axes.vlines(rows, first, third, color=colour, linewidth=4)
    axes.plot(rows, middle, "o", color="white", markeredgecolor=colour, label=name, markersize=4.5)


def prediction_figure(training: Training) -> NamedFigure | None:
    """Draw how often each answer is given to each held-out pattern."""
    held_out = training.predictions
    if held_out is None:
        return None
    converged = training.converged[-1]
    chosen = converged if converged.any() else np.ones_like(converged)
    prediction = held_out.prediction[:, chosen]
    patterns, neurons = prediction.shape[0], prediction.shape[2]
    across = min(neurons, 4)
    down = -(-neurons // across)
    height = min(0.8 + 0.24 * patterns, 6.0)
    figure = plot.new_figure(max(2.4 * across, 5.0) + 0.8, down * height + 0.5)
    panels = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).ravel()
    for neuron, axes in enumerate(panels[:neurons]):
        _answer_bars(axes, prediction[:, :, neuron])
        axes.set_title(f"neuron {neuron}")
    for axes in panels[neurons:]:
        axes.set_visible(False)
    shown = plot.thinned(patterns, at_most=30)
    panels[0].set_yticks(shown, [held_out.names()[index] for index in shown])
    panels[0].set_ylim(patterns - 0.4, -0.6)
    panels[0].set_xlim(0, 100)
    figure.supylabel("Held-out pattern")
    figure.supxlabel("Arrays (%)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=3)
    whom = "converged" if converged.any() else "were trained (none converged)"
    return NamedFigure(
        "predictions",
        "Predictions for the held-out patterns",
        f"Patterns that the training did not see, as answered by the {int(chosen.sum())} arrays"
        f" that {whom}: 1 or 0 where the activation is at or past the target of that output,"
        " undecided between them.",
        figure,
    )


def _answer_bars(axes: Axes, prediction: IntArray) -> None:
    places = np.arange(len(prediction))
    left = np.zeros(len(prediction))
    for answer, colour, name in ((0, NO, "0"), (-1, "#d9d9d9", "undecided"), (1, YES, "1")):
        share = 100 * (prediction == answer).mean(axis=1)
        axes.barh(places, share, left=left, color=colour, height=0.75, label=name)
        left = left + share
    axes.grid(visible=False, axis="y")


def separation_figure(training: Training) -> NamedFigure | None:
    """Draw the differences between arrays that converged and arrays that did not."""
    converged = training.converged[-1]
    if converged.all():
        return None
    figure = plot.new_figure(10.0, 3.3)
    left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1, 1.15))
    final_error = training.total_error[-1, ~converged]
    left.hist(final_error, bins=_bins(final_error.size), color=NO)
    if final_error.min() < 0.5 * final_error.max():
        left.set_xlim(left=0)
    plot.whole_numbers(left, x=False, y=True)
    left.set_xlabel("Total error in the last epoch")
    left.set_ylabel("Arrays that did not converge")
    left.set_title(f"closest miss: {final_error.min():.3g}", loc="left")
    start_conductance_s = np.abs(training.weight_conductance_s[0]).max(axis=(-2, -1))
    _outcome_histogram(
        middle, start_conductance_s, converged, unit="S", name="Largest |weight| at the start"
    )
    middle.set_ylabel("Density")
    middle.legend()
    _short_map(right, training, ~converged)
    return NamedFigure(
        "separation",
        "Differences of the arrays that did not converge",
        "Left: by how much they missed. Middle: the largest differential weight before the first"
        " pulse, which is how unequal the two cells of a pair are from the beginning. Right: in"
        " which fraction of the arrays that did not converge each activation still falls short"
        " in the last epoch.",
        figure,
    )


def _short_map(axes: Axes, training: Training, chosen: BoolArray) -> None:
    share = 100 * (training.shortfall[-1, chosen] > 0).mean(axis=0)
    image = plot.map_of(axes, share, span=(0.0, 100.0))
    patterns, neurons = share.shape
    shown = plot.thinned(patterns)
    names = pattern_names(training.patterns)
    axes.set_yticks(shown, [names[index] for index in shown])
    axes.set_xticks(plot.thinned(neurons))
    axes.set_xlabel("Neuron")
    axes.set_ylabel("Pattern")
    if max(patterns, neurons) <= LARGEST_GRID:
        texts = np.array(
            [
                [f"{value:.0f} %  (wants {want})" for value, want in zip(row, wants, strict=True)]
                for row, wants in zip(share, training.outputs, strict=True)
            ]
        )
        plot.write_numbers(axes, image, texts, size=7 if neurons <= 3 else 5)
        axes.set_title("short of target", loc="left")
    else:
        axes.figure.colorbar(image, ax=axes, label="Short of target (%)")


def _bins(values: int) -> int:
    """Return the number of bins that the values fill without splitting into single spikes."""
    return int(min(max(np.sqrt(values), 6), 40))


def _outcome_histogram(
    axes: Axes, values: FloatArray, converged: BoolArray, *, unit: str, name: str
) -> None:
    """Draw densities of ``values`` (arrays, ...) by outcome of their array."""
    scale = plot.AxisScale.of(values, unit)
    low, high = plot.finite_span(values)
    fewest = min(int(group.sum()) for group in (converged, ~converged) if group.any())
    bins = _bins(fewest * values[0].size)
    edges = np.linspace(low, high if high > low else low + 1 / scale.factor, bins + 1)
    edges *= scale.factor
    for chosen, colour, label in (
        (~converged, NO, "did not converge"),
        (converged, YES, "converged"),
    ):
        shown = values[chosen]
        shown = shown[np.isfinite(shown)] * scale.factor
        if shown.size:
            axes.hist(
                shown,
                bins=edges.tolist(),
                density=True,
                histtype="step",
                linewidth=1.5,
                color=colour,
                label=label,
            )
    axes.set_xlabel(scale.label(name))


FIGURES: tuple[Draw, ...] = (
    convergence_figure,
    error_figure,
    separation_figure,
    settings_figure,
    final_figure,
    weight_figure,
    table_figure,
    prediction_figure,
)
