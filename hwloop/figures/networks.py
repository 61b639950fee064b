"""Figures of the steps that train, map, multiply and evaluate networks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from hwloop.plotting import style as plot
from hwloop.plotting.maps import first_array, map_panel
from hwloop.plotting.style import NamedFigure
from hwloop.record.reader import Record
from hwloop.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_TILES = 6
_MOST_WRITTEN_CLASSES = 12
_MOST_BARS_APART = 60


def training(
    record: Record,
    label: str,
    *,
    each: str = "Iteration",
    loss: str = "Binary cross-entropy",
    caption: str = "On the training samples, before each update.",
) -> Iterator[NamedFigure]:
    """Draw accuracy and loss over the iterations; ``each`` names another unit of the x axis."""
    rows = record.results(label)
    if not rows or not len(rows["loss"]):
        return
    with plot.style():
        figure = plot.new_figure(6.4, 3.4)
        left, right = figure.subplots(1, 2)
        for axes, name, quantity in (
            (left, "accuracy", "Training accuracy"),
            (right, "loss", loss),
        ):
            axes.plot(np.arange(1, len(rows[name][0]) + 1), rows[name][0], color=plot.BLUE)
            axes.set_xlabel(each)
            axes.set_ylabel(quantity)
    yield NamedFigure("training", "Training in software", caption, figure)


def mapping(record: Record, label: str) -> Iterator[NamedFigure]:
    """Draw the maps of the tiles, and the distribution of the targets."""
    rows = record.results(label)
    if not rows or not len(rows["target_conductance_s"]):
        return
    tiled = len(record.shape) > 2 and int(record.resolved["array"].get("tiles", 1)) > 1
    target_conductance_s = rows["target_conductance_s"][0]
    tiles_conductance_s = target_conductance_s.reshape(-1, *target_conductance_s.shape[-2:])
    count = target_conductance_s.shape[-3] if tiled else 1
    with plot.style():
        shown = min(count, _MOST_TILES)
        figure = plot.new_figure(4.4 * min(shown, 3) + 0.4, 3.6 * (1 + (shown - 1) // 3))
        panels = figure.subplots(1 + (shown - 1) // 3, min(shown, 3), squeeze=False).ravel()
        for axes in panels[shown:]:
            axes.set_axis_off()
        for tile, axes in zip(range(shown), panels, strict=False):
            map_panel(
                axes,
                tiles_conductance_s[tile],
                "Target conductance",
                "S",
                among=tiles_conductance_s[:count],
            )
            axes.set_title(f"Tile {tile}")
    more = f" The first {shown} of {count} tiles." if count > shown else ""
    yield NamedFigure(
        "targets", "Target conductances", f"White or –: no cell of the network.{more}", figure
    )
    with plot.style():
        yield _histogram(tiles_conductance_s[:count])
    yield from _occupation(record, label)


def _occupation(record: Record, label: str) -> Iterator[NamedFigure]:
    """Draw which fraction of the cells of each tile the network takes."""
    if "tiles" not in record.tables(label):
        return
    rows = record.results(label, "tiles")
    if len(rows["tile"]) < 2:
        return
    occupied = 100 * rows["occupied"]
    with plot.style():
        figure = plot.new_figure(6.0, 3.2)
        axes = figure.subplots()
        width = 0.85 if len(occupied) <= _MOST_BARS_APART else 1.0
        axes.bar(rows["tile"], occupied, width=width, color=plot.BLUE)
        used = occupied[occupied > 0]
        axes.axhline(float(used.mean()), color=plot.VERMILION, label="mean of the tiles in use")
        axes.set_ylim(0, 100)
        axes.set_xlabel("Tile")
        axes.set_ylabel("Occupied cells (%)")
        plot.whole_numbers(axes)
        axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0))
    yield NamedFigure(
        "occupation",
        "Occupation of the tiles",
        f"{int(rows['cells'].sum())} cells on {len(used)} of {len(occupied)} tiles.",
        figure,
    )


def _histogram(tiles_conductance_s: FloatArray) -> NamedFigure:
    figure = plot.new_figure(5.6, 3.4)
    axes = figure.subplots()
    scale = plot.AxisScale.of(tiles_conductance_s, "S")
    values = tiles_conductance_s[np.isfinite(tiles_conductance_s)] * scale.factor
    axes.hist(values, bins=60, color=plot.BLUE, log=True)
    axes.set_xlabel(scale.label("Target conductance"))
    axes.set_ylabel("Cells")
    floor = float(np.mean(values == values.min()))
    return NamedFigure(
        "distribution",
        "Distribution of the targets",
        f"{len(values)} cells, {floor:.0%} of them at the least conductance.",
        figure,
    )


def inference(record: Record, label: str) -> Iterator[NamedFigure]:
    """Draw the confusion matrix of the first array, and the effective bits of each layer."""
    rows = record.results(label)
    if not rows or not len(rows["confusion"]):
        return
    if not rows["confusion"].size:  # left out, so many classes are there
        yield from _bits(record, label)
        return
    accuracy = float(np.ravel(rows["accuracy"][0])[0])
    with plot.style():
        figure = _confusion(first_array(rows["confusion"][0].astype(np.float64)))
    yield NamedFigure(
        "confusion",
        "Confusion matrix",
        f"{int(rows['samples'][0])} samples, accuracy {accuracy:.4g}; in software"
        f" {float(rows['software_accuracy'][0]):.4g}.",
        figure,
    )
    yield from _bits(record, label)


def _confusion(confusion: FloatArray) -> Figure:
    classes = len(confusion)
    figure = plot.new_figure(4.6, 3.8)
    axes = figure.subplots()
    image = plot.map_of(axes, confusion, span=(0.0, float(confusion.max())))
    if classes <= _MOST_WRITTEN_CLASSES:
        texts = np.array([[f"{value:.0f}" for value in row] for row in confusion])
        plot.write_numbers(axes, image, texts, size=8.0 if confusion.max() < 1000 else 6.5)
    axes.set_xticks(plot.thinned(classes, at_most=_MOST_WRITTEN_CLASSES))
    axes.set_yticks(plot.thinned(classes, at_most=_MOST_WRITTEN_CLASSES))
    axes.set_xlabel("Answer of the array")
    axes.set_ylabel("True class")
    colours = figure.colorbar(image, ax=axes, label="Samples")
    plot.whole_numbers(colours.ax, x=False, y=True)
    return figure


def _bits(record: Record, label: str) -> Iterator[NamedFigure]:
    """Draw the effective bits of each layer, with each array of a population."""
    rows = record.results(label, "layers") if "layers" in record.tables(label) else {}
    if not rows or not np.isfinite(rows["bits"]).any():
        return
    bits = rows["bits"].reshape(len(rows["layer"]), -1)
    shown = np.where(np.isfinite(bits), bits, np.nan)
    measured = np.isfinite(shown).any(axis=1)
    with plot.style():
        figure = plot.new_figure(5.2, 3.4)
        axes = figure.subplots()
        middle = [float(np.nanmedian(line)) for line in shown[measured]]
        axes.bar(rows["layer"][measured], middle, width=0.6, color=plot.BLUE)
        if shown.shape[1] > 1:
            layers = np.repeat(rows["layer"], shown.shape[1])
            axes.plot(layers, shown.ravel(), ".", color=plot.GREY, markersize=3)
        axes.set_xticks(rows["layer"])
        axes.set_xlabel("Layer")
        axes.set_ylabel("Effective bits")
    yield NamedFigure(
        "bits",
        "Error of each layer in bits",
        "Of the sums by the array against those of the conductances as read back; an ideal"
        " converter of n bits over the range of the sums has n. A layer without error has no bar.",
        figure,
    )


def multiplication(record: Record, label: str) -> Iterator[NamedFigure]:
    """Draw measured against expected currents, and the effective bits of the columns."""
    rows = record.results(label)
    if not rows or not len(rows["current_a"]):
        return
    measured, expected = (first_array(rows[name][0]) for name in ("current_a", "expected_a"))
    bits = rows["bits"][0].reshape(-1, measured.shape[-1])[0]
    with plot.style():
        figure = plot.new_figure(8.4, 3.6)
        left, right = figure.subplots(1, 2)
        scale = plot.AxisScale.of(expected, "A")
        error = plot.AxisScale.of(measured - expected, "A")
        left.plot(
            expected.ravel() * scale.factor,
            (measured - expected).ravel() * error.factor,
            ".",
            color=plot.BLUE,
            markersize=3,
            alpha=0.5,
        )
        left.set_xlabel(scale.label("Expected current"))
        left.set_ylabel(error.label("Measured − expected"))
        shown = np.where(np.isfinite(bits), bits, np.nan)
        right.bar(range(len(bits)), shown, color=plot.BLUE)
        plot.whole_numbers(right)
        right.set_xlabel("Column")
        right.set_ylabel("Effective bits")
    yield NamedFigure(
        "multiply",
        "Error of the multiplication",
        "Against the conductances as read back; a column without error has no bar.",
        figure,
    )


def noise(record: Record, label: str) -> Iterator[NamedFigure]:
    """Draw accuracy against σ with every execution, or its distribution for a single σ."""
    rows = record.results(label)
    if not rows or not len(rows["accuracy"]):
        return
    with plot.style():
        figure = plot.new_figure(6.0, 3.8)
        axes = figure.subplots()
        if len(rows["accuracy"]) > 1:
            _sweep(axes, rows)
        else:
            values, counts = np.unique(np.round(rows["accuracy"][0], 9), return_counts=True)
            axes.vlines(values, 0, counts, color=plot.BLUE, linewidth=6)
            axes.set_xlabel("Accuracy")
            axes.set_ylabel("Executions")
            plot.whole_numbers(axes, x=False, y=True)
        always = float(rows["always"][0])
        if len(rows["accuracy"]) == 1:
            axes.axvline(float(rows["noiseless"][0]), color=plot.VERMILION, label="without scatter")
            axes.axvline(always, color=plot.GREY, linestyle=":", label="always the same class")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    mean, deviation = float(rows["mean"][-1]), float(rows["deviation"][-1])
    yield NamedFigure(
        "accuracy",
        "Accuracy under programming scatter (software draw)",
        f"{rows['accuracy'].shape[1]} executions; {mean:.3f} ± {deviation:.3f}"
        f"{' at the largest σ' if len(rows['mean']) > 1 else ''}. No device is emulated.",
        figure,
    )


def _sweep(axes: Axes, rows: dict[str, FloatArray]) -> None:
    scale = plot.AxisScale.of(rows["sigma_conductance_s"], "S")
    x = rows["sigma_conductance_s"] * scale.factor
    axes.plot(
        np.repeat(x, rows["accuracy"].shape[1]),
        rows["accuracy"].ravel(),
        ".",
        color=plot.GREY,
        markersize=2,
        alpha=0.4,
        label="executions",
    )
    mean, deviation = rows["mean"], rows["deviation"]
    axes.fill_between(
        x, mean - deviation, mean + deviation, color=plot.BLUE, alpha=0.2, linewidth=0
    )
    axes.plot(x, mean, color=plot.BLUE, label="mean ± standard deviation")
    axes.axhline(float(rows["noiseless"][0]), color=plot.VERMILION, label="without scatter")
    axes.axhline(float(rows["always"][0]), color=plot.GREY, linestyle=":", label="always one class")
    axes.set_xlabel(scale.label("σ of every programmed cell"))
    axes.set_ylabel("Accuracy")


def binary_training(record: Record, label: str) -> Iterator[NamedFigure]:
    """Draw accuracy and loss of a binary training over the epochs."""
    caption = "On the noisy training samples of each epoch, cells between off and on."
    return training(record, label, each="Epoch", loss="Cross-entropy", caption=caption)
