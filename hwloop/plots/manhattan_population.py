"""The figures of a population: N arrays trained with the same settings."""

from __future__ import annotations

import numpy as np

from hwloop import plot
from hwloop.plots.manhattan_array import Draw
from hwloop.plots.manhattan_data import Training, pattern_names
from hwloop.plots.manhattan_table import table_figure
from hwloop.step import NamedFigure

_QUANTILES = (5, 25, 50, 75, 95)


def epoch_figure(training: Training) -> NamedFigure:
    """How many arrays converged, and in which epochs."""
    reached = training.convergence_epoch
    epochs = reached[np.isfinite(reached)]
    figure = plot.new_figure(7.5, 3.2)
    axes = figure.subplots()
    last = int(training.epoch[-1])
    axes.hist(epochs, bins=(np.arange(0, last + 1) + 0.5).tolist(), color=plot.BLUE)
    axes.set_xlim(0.5, last + 0.5)
    axes.set_xlabel("Epoch of convergence")
    axes.set_ylabel("Arrays")
    plot.whole_numbers(axes, y=True, at_most=11)
    share = epochs.size / reached.size
    axes.set_title(f"{epochs.size} of {reached.size} arrays converged ({share:.1%})", loc="right")
    return NamedFigure(
        "epochs",
        "Epochs of convergence",
        f"Arrays that converged, by the epoch in which they did; {reached.size - epochs.size}"
        f" did not within {training.max_updates} updates and are not in the histogram.",
        figure,
    )


def error_figure(training: Training) -> NamedFigure:
    """Total error over the epochs: median and quantile bands over the arrays."""
    low, lower, middle, upper, high = np.percentile(training.total_error, _QUANTILES, axis=1)
    figure = plot.new_figure(7.5, 3.4)
    axes = figure.subplots()
    axes.fill_between(training.epoch, low, high, color=plot.SKY, alpha=0.35, label="5 to 95 %")
    axes.fill_between(training.epoch, lower, upper, color=plot.SKY, alpha=0.8, label="25 to 75 %")
    axes.plot(training.epoch, middle, color=plot.BLUE, label="median")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("Epoch")
    axes.set_ylabel("Total error")
    axes.legend(loc="upper right")
    plot.whole_numbers(axes, at_most=11)
    return NamedFigure(
        "error",
        "Total error",
        "How far the activations of an array fall short of their targets, summed; over all arrays."
        " Arrays that have converged get no more pulses and stay at 0.",
        figure,
    )


def shortfall_figure(training: Training) -> NamedFigure | None:
    """What the arrays that did not converge lack: which activations, and by how much."""
    failed = ~training.converged[-1]
    if not failed.any():
        return None
    shortfall = training.shortfall[-1][failed]
    share = 100 * (shortfall > 0).mean(axis=0)
    figure = plot.new_figure(9.0, max(2.6, 1.4 + 0.3 * len(share)))
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.3))
    image = plot.map_of(left, share, span=(0.0, max(float(share.max()), 1.0)))
    if share.size <= 64:
        texts = np.array([[f"{value:.0f} %" for value in row] for row in share])
        plot.write_numbers(left, image, texts)
    else:
        figure.colorbar(image, ax=left, label="%")
    names = pattern_names(training.patterns)
    shown = plot.thinned(len(names))
    left.set_yticks(shown, [names[index] for index in shown])
    left.set_xticks(plot.thinned(training.neurons))
    left.set_xlabel("Neuron")
    left.set_ylabel("Pattern")
    left.set_title("short of the target")
    right.hist(training.total_error[-1][failed], bins=40, color=plot.VERMILION)
    right.set_xlabel("Total error in the last epoch")
    right.set_ylabel("Arrays")
    right.set_xlim(left=0)
    return NamedFigure(
        "shortfall",
        "What the arrays that did not converge lack",
        f"Of the {int(failed.sum())} arrays that did not converge. Left: in what share of them an"
        " activation falls short of its target in the last epoch. Right: by how much in all."
        " Small errors ask for a steeper activation (β), a larger gain or more updates; large ones"
        " for a smaller spread of the cells or a pulse with a larger range.",
        figure,
    )


def conductance_figure(training: Training) -> NamedFigure:
    """Conductances at the beginning and at the end."""
    first = training.conductance_s[0].ravel()
    final = training.final_conductance_s.ravel()
    scale = plot.Scale.of(final, "S")
    edges = np.histogram_bin_edges(np.concatenate([first, final]) * scale.factor, bins=60)
    figure = plot.new_figure(7.5, 3.2)
    axes = figure.subplots()
    for values, colour, name in ((first, plot.GREY, "before"), (final, plot.BLUE, "after")):
        axes.hist(
            values * scale.factor,
            bins=edges.tolist(),
            histtype="stepfilled",
            alpha=0.6,
            color=colour,
            label=name,
        )
    axes.set_xlabel(scale.label("Conductance"))
    axes.set_ylabel("Cells")
    axes.legend(loc="upper right")
    return NamedFigure(
        "final_conductance",
        "Conductances before and after the training",
        "Of every cell of every array.",
        figure,
    )


def prediction_figure(training: Training) -> NamedFigure | None:
    """How often each output was given for the held-out patterns, by arrays that converged."""
    said = training.predictions
    chosen = training.converged[-1]
    if said is None or not chosen.any():
        return None
    answers = said.prediction[:, chosen]
    patterns, _, neurons = answers.shape
    figure = plot.new_figure(min(2.6 * neurons + 1.6, 11.0), 1.3 + 0.28 * patterns)
    panels = figure.subplots(1, neurons, sharey=True, squeeze=False)[0]
    meanings = ((0, plot.ORANGE, "0"), (-1, "#cccccc", "undecided"), (1, plot.BLUE, "1"))
    for neuron, axes in enumerate(panels):
        begin = np.zeros(patterns)
        for value, colour, name in meanings:
            share = 100 * (answers[:, :, neuron] == value).mean(axis=1)
            axes.barh(range(patterns), share, left=begin, color=colour, label=name, height=0.75)
            begin += share
        axes.set_title(f"neuron {neuron}")
        axes.set_xlim(0, 100)
        axes.grid(visible=False, axis="y")
    shown = plot.thinned(patterns, at_most=40)
    panels[0].set_yticks(shown, [said.names()[index] for index in shown])
    panels[0].invert_yaxis()
    panels[0].set_ylabel("Held-out pattern")
    figure.supxlabel("Arrays (%)")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=3)
    return NamedFigure(
        "predictions",
        "Predictions for the held-out patterns",
        f"By the {int(chosen.sum())} arrays that converged; the training did not see these"
        " patterns.",
        figure,
    )


FIGURES: tuple[Draw, ...] = (
    epoch_figure,
    error_figure,
    shortfall_figure,
    conductance_figure,
    table_figure,
    prediction_figure,
)
