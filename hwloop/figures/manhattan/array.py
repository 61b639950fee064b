"""Figures of the training of one array."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from hwloop.figures.manhattan.data import Training, column_name, pattern_names
from hwloop.figures.manhattan.table import table_figure
from hwloop.plotting import style as plot
from hwloop.plotting.style import NamedFigure
from hwloop.steps.manhattan.rule import differential
from hwloop.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Draw: TypeAlias = Callable[[Training], NamedFigure | None]

LARGEST_GRID = 8
"""Rows or columns up to which each cell has a panel of its own."""
_PANEL_IN = (1.75, 1.3)


def conductance_figure(training: Training) -> NamedFigure:
    """Draw the conductance of every cell over the epochs: one panel per cell, or a map if large."""
    rows, cols = training.conductance_s.shape[-2:]
    small = max(rows, cols) <= LARGEST_GRID
    return (_conductance_grid if small else _conductance_map)(training)


def _conductance_grid(training: Training) -> NamedFigure:
    rows, cols = training.conductance_s.shape[-2:]
    scale = plot.AxisScale.of(training.conductance_s, "S")
    figure = plot.new_figure(_PANEL_IN[0] * cols + 0.6, _PANEL_IN[1] * rows + 0.7)
    panels = figure.subplots(rows, cols, sharex=True, sharey=True, squeeze=False)
    for (row, col), axes in np.ndenumerate(panels):
        colour = plot.VERMILION if col % 2 else plot.BLUE
        axes.plot(training.epoch, training.conductance_s[:, row, col] * scale.factor, color=colour)
        axes.set_title(f"row {row}, {column_name(col)}", fontsize=8, loc="left", color=colour)
    plot.whole_numbers(panels[0, 0], at_most=5)
    figure.supxlabel("Epoch")
    figure.supylabel(scale.label("Conductance"))
    return NamedFigure(
        "conductances",
        "Conductance of every cell",
        "As read in each epoch, before its update; the panels are arranged as the cells of the"
        " array. A pulse on G⁺ (blue) raises a weight, one on G⁻ (orange) lowers it.",
        figure,
    )


def _conductance_map(training: Training) -> NamedFigure:
    rows, cols = training.conductance_s.shape[-2:]
    scale = plot.AxisScale.of(training.conductance_s, "S")
    values = training.conductance_s * scale.factor
    figure = plot.new_figure(9.0, min(2.0 + 0.03 * rows * cols, 9.0))
    for sign, axes in enumerate(figure.subplots(1, 2, sharey=True)):
        cells = values[:, :, sign::2].reshape(len(values), -1).T
        image = plot.map_of(axes, cells, span=plot.finite_span(values))
        axes.set_title("G⁻" if sign else "G⁺")
        _epoch_ticks(axes, training)
        shown = plot.thinned(rows)
        axes.set_yticks([row * (cols // 2) for row in shown], [f"row {row}" for row in shown])
    figure.colorbar(image, ax=figure.axes, label=scale.label("Conductance"))
    figure.supxlabel("Epoch")
    return NamedFigure(
        "conductances",
        "Conductance of every cell",
        "One line a cell, as read in each epoch before its update: row by row, and within a row"
        " neuron by neuron.",
        figure,
    )


def weight_figure(training: Training) -> NamedFigure:
    """Draw the differential weights over the epochs: one panel per neuron, one line per row."""
    if max(training.weight_conductance_s.shape[-2:]) > LARGEST_GRID:
        return _weight_map(training)
    rows, neurons = training.weight_conductance_s.shape[-2:]
    scale = plot.AxisScale.of(training.weight_conductance_s, "S")
    across = min(neurons, 4)
    down = -(-neurons // across)
    figure = plot.new_figure(max(3.2 * across, 5.0) + 0.8, 2.7 * down + 0.4)
    panels = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).ravel()
    for neuron, axes in enumerate(panels[:neurons]):
        axes.axhline(0, color=plot.GREY, linewidth=0.8)
        for row in range(rows):
            axes.plot(
                training.epoch,
                training.weight_conductance_s[:, row, neuron] * scale.factor,
                color=plot.LINES[row],
                label=f"row {row}",
            )
        axes.set_title(f"neuron {neuron}")
    for axes in panels[neurons:]:
        axes.set_visible(False)
    plot.whole_numbers(panels[0])
    figure.supxlabel("Epoch")
    figure.supylabel(scale.label("Weight G⁺ − G⁻"))
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside right upper")
    return NamedFigure(
        "weights",
        "Differential weights",
        "The weight of a row in a neuron is the difference of two cells. The updates move it one"
        " pulse at a time.",
        figure,
    )


def _weight_map(training: Training) -> NamedFigure:
    rows, neurons = training.weight_conductance_s.shape[-2:]
    scale = plot.AxisScale.of(training.weight_conductance_s, "S")
    values = training.weight_conductance_s * scale.factor
    # Neuron by neuron, so that the weights of one output are side by side.
    lines = values.transpose(2, 1, 0).reshape(-1, len(values))
    figure = plot.new_figure(8.0, min(2.0 + 0.03 * rows * neurons, 9.0))
    axes = figure.subplots()
    image = plot.map_of(axes, lines, cmap=plot.DIVERGING, span=plot.symmetric_span(values))
    _epoch_ticks(axes, training)
    shown = plot.thinned(neurons)
    axes.set_yticks([n * rows for n in shown], [f"neuron {n}" for n in shown])
    axes.set_xlabel("Epoch")
    figure.colorbar(image, ax=axes, label=scale.label("Weight G⁺ − G⁻"))
    return NamedFigure(
        "weights",
        "Differential weights",
        "One line a weight: neuron by neuron, and within a neuron row by row.",
        figure,
    )


def activation_figure(training: Training) -> NamedFigure:
    """Draw activations and targets over the epochs: one panel per pattern and neuron."""
    if max(training.outputs.shape) > LARGEST_GRID:
        return _activation_map(training)
    patterns, neurons = training.outputs.shape
    figure = plot.new_figure(1.45 * patterns + 0.9, 1.6 * neurons + 0.7)
    panels = figure.subplots(neurons, patterns, sharex=True, sharey=True, squeeze=False)
    for index, bits in enumerate(pattern_names(training.patterns)):
        for neuron in range(neurons):
            _activation_panel(panels[neuron, index], training, index, neuron)
            panels[neuron, index].set_title(f"{bits} → {training.outputs[index, neuron]}")
    for neuron in range(neurons):
        panels[neuron, 0].set_ylabel(f"Neuron {neuron}")
    panels[0, 0].set_ylim(-1.08, 1.08)
    panels[0, 0].set_yticks([-1, 0, 1])
    plot.whole_numbers(panels[0, 0], at_most=4)
    figure.supxlabel("Epoch")
    figure.supylabel("Activation tanh(βI)")
    return NamedFigure(
        "activations",
        "Activations and their targets",
        "Above each panel: the bits of the pattern and the wanted output. The dashed line"
        " is the target and the shaded region lies past it; the training has converged"
        f" {_when(training)}. A filled green dot marks a last value at or past its target, an"
        " orange cross one that falls short.",
        figure,
    )


def _activation_panel(axes: Axes, training: Training, pattern: int, neuron: int) -> None:
    target = training.target[pattern, neuron]
    beyond = 1.08 if training.outputs[pattern, neuron] == 1 else -1.08
    values = training.activation[:, pattern, neuron]
    axes.axhspan(target, beyond, color=plot.GREEN, alpha=0.16, linewidth=0)
    axes.axhline(target, color=plot.GREEN, linewidth=0.9, linestyle="--")
    axes.plot(training.epoch, values, color=plot.BLUE)
    short = training.shortfall[-1, pattern, neuron] > 0
    marker, colour = ("X", plot.VERMILION) if short else ("o", plot.GREEN)
    axes.plot(
        training.epoch[-1:], values[-1:], marker=marker, color=colour, markersize=6, clip_on=False
    )


def _activation_map(training: Training) -> NamedFigure:
    patterns, neurons = training.outputs.shape
    lines = training.shortfall.transpose(1, 2, 0).reshape(-1, len(training.epoch))
    figure = plot.new_figure(8.0, min(2.0 + 0.03 * patterns * neurons, 9.0))
    axes = figure.subplots()
    image = plot.map_of(axes, lines, span=(0.0, plot.finite_span(lines)[1]))
    _epoch_ticks(axes, training)
    names = pattern_names(training.patterns)
    shown = plot.thinned(patterns)
    axes.set_yticks([i * neurons for i in shown], [f"pattern {names[i]}" for i in shown])
    axes.set_xlabel("Epoch")
    figure.colorbar(image, ax=axes, label="Activation short of its target by")
    return NamedFigure(
        "activations",
        "How far the activations fall short of their targets",
        "One line for each pattern and neuron: pattern by pattern, and within a pattern neuron by"
        f" neuron. 0 is at or past the target; the training has converged {_when(training)}.",
        figure,
    )


def _when(training: Training) -> str:
    if training.stop == "targets":
        return "when every activation has reached its target"
    return "when in every pattern the wanted neuron has the largest"


def error_figure(training: Training) -> NamedFigure:
    """Draw the total error over the epochs, and how many activations or patterns miss."""
    if training.stop == "targets":
        count, name = (training.shortfall > 0).sum(axis=(-2, -1)), "Short of target"
        count_label = f"how many of the {training.outputs.size} fall short"
    else:
        count, name = training.wrong.sum(axis=-1), "Patterns wrong"
        count_label = f"how many of the {len(training.outputs)} patterns are classified wrong"
    figure = plot.new_figure(7.0, 4.2)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    above.plot(training.epoch, training.total_error, color=plot.BLUE, marker="o", markersize=3)
    above.set_ylabel("Total error")
    above.set_ylim(bottom=-0.02 * float(training.total_error.max()))
    below.step(training.epoch, count, where="mid", color=plot.VERMILION)
    below.set_ylabel(name)
    below.set_ylim(bottom=-0.05 * max(float(count.max()), 1.0))
    plot.whole_numbers(below, y=True, at_most=5)
    below.set_xlabel("Epoch")
    if training.converged.any():
        for axes in (above, below):
            axes.axvline(float(training.convergence_epoch), color=plot.GREEN, linestyle="--")
        above.set_title(
            f"converged at epoch {training.convergence_epoch:g}", loc="right", color=plot.GREEN
        )
    return NamedFigure(
        "error",
        "Total error",
        "Above: how far the activations fall short of their targets, summed over patterns and"
        f" neurons. Below: {count_label}.",
        figure,
    )


def final_figure(training: Training) -> NamedFigure:
    """Draw maps of the conductances and of their weights before and after the training."""
    moments = {"before": training.conductance_s[0], "after": training.final_conductance_s}
    both_conductance_s = np.array(list(moments.values()))
    rows, cols = both_conductance_s.shape[1:]
    height = min(1.6 + 0.5 * rows, 8.0)
    figure = plot.new_figure(min(3.6 + 0.85 * cols, 11.0), min(1.4 * height, 10.0))
    panels = figure.subplots(2, 2, width_ratios=(1.6, 1))
    spans = (
        plot.finite_span(both_conductance_s),
        plot.symmetric_span(differential(both_conductance_s)),
    )
    units = (
        plot.AxisScale.of(both_conductance_s, "S"),
        plot.AxisScale.of(differential(both_conductance_s), "S"),
    )
    for (left, right), (when, conductance_s) in zip(panels, moments.items(), strict=True):
        weight_conductance_s = differential(conductance_s)
        _final_map(left, conductance_s, f"Conductance {when}", plot.SEQUENTIAL, spans[0], units[0])
        _final_map(
            right, weight_conductance_s, f"Weight {when}", plot.DIVERGING, spans[1], units[1]
        )
        left.set_ylabel("Row")
    names = [f"{col // 2}{'⁻' if col % 2 else '⁺'}" for col in range(cols)]
    for left in panels[:, 0]:
        left.set_xticks(plot.thinned(cols), [names[col] for col in plot.thinned(cols)])
    panels[1, 0].set_xlabel("Column (neuron and sign)")
    panels[1, 1].set_xlabel("Neuron")
    return NamedFigure(
        "final_conductance",
        "Conductances and weights before and after",
        "Above: as read before the first update. Below: as last read, after the last update where"
        " the run got that far, else in the last epoch. A weight is G⁺ − G⁻; the colours of both"
        " rows are the same.",
        figure,
    )


def _final_map(
    axes: Axes,
    values_conductance_s: FloatArray,
    name: str,
    cmap: str,
    span_conductance_s: tuple[float, float],
    scale: plot.AxisScale,
) -> None:
    span = (span_conductance_s[0] * scale.factor, span_conductance_s[1] * scale.factor)
    image = plot.map_of(axes, values_conductance_s * scale.factor, cmap=cmap, span=span)
    rows, cols = values_conductance_s.shape
    axes.set_yticks(plot.thinned(rows))
    axes.set_xticks(plot.thinned(cols))
    if max(rows, cols) <= LARGEST_GRID:
        texts = np.array([[_digits(v) for v in row] for row in values_conductance_s * scale.factor])
        plot.write_numbers(axes, image, texts)
        axes.set_title(scale.label(name))
    else:
        axes.set_title(name)
        axes.figure.colorbar(image, ax=axes, label=scale.unit)


def _digits(value: float) -> str:
    """Format with three significant digits and a proper minus; a dash if not measured."""
    if not np.isfinite(value):
        return "–"
    decimals = max(2 - int(np.floor(np.log10(abs(value)))), 0) if value else 0
    return f"{value:.{min(decimals, 3)}f}".replace("-", "−")


def prediction_figure(training: Training) -> NamedFigure | None:
    """Draw the predictions of the trained array for the held-out patterns."""
    held_out = training.predictions
    if held_out is None:
        return None
    patterns, neurons = held_out.prediction.shape
    figure = plot.new_figure(max(1.1 * neurons + 3.2, 5.2), min(1.2 + 0.3 * patterns, 9.0))
    axes = figure.subplots()
    image = plot.map_of(axes, held_out.activation, cmap=plot.DIVERGING, span=(-1.0, 1.0))
    crowded = held_out.prediction.size > LARGEST_GRID**2 or neurons > LARGEST_GRID
    labels = {1: "1", 0: "0", -1: "" if crowded else "undecided"}
    texts = np.array([[labels[int(value)] for value in row] for row in held_out.prediction])
    plot.write_numbers(axes, image, texts)
    shown = plot.thinned(patterns, at_most=40)
    axes.set_yticks(shown, [held_out.names()[index] for index in shown])
    axes.set_xticks(plot.thinned(neurons))
    axes.set_xlabel("Neuron")
    axes.set_ylabel("Held-out pattern")
    figure.colorbar(image, ax=axes, label="Activation")
    return NamedFigure(
        "predictions",
        "Predictions for the held-out patterns",
        "Patterns that the training did not see. 1 or 0 where the activation is at or past the"
        f" target of that output ({training.target_1:g}, {training.target_0:g}), undecided"
        f"{' (left empty)' if crowded else ''} between them; the colour is the activation.",
        figure,
    )


FIGURES: tuple[Draw, ...] = (
    conductance_figure,
    weight_figure,
    activation_figure,
    error_figure,
    final_figure,
    table_figure,
    prediction_figure,
)


def _epoch_ticks(axes: Axes, training: Training) -> None:
    shown = plot.thinned(len(training.epoch), at_most=11)
    axes.set_xticks(shown, [str(training.epoch[index]) for index in shown])
