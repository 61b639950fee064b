"""Figures of the step ``inference_cost``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwloop.plotting import style as plot
from hwloop.plotting.style import NamedFigure
from hwloop.record.reader import Record
from hwloop.settings.units import format_quantity

_PARTS = (
    ("cell_energy_j", "cells", plot.BLUE),
    ("dac_energy_j", "DACs", plot.ORANGE),
    ("adc_energy_j", "ADCs", plot.GREEN),
)


def cost(record: Record, label: str) -> Iterator[NamedFigure]:
    """Draw multiplications and energy of each layer for one sample, means over a population."""
    total = record.results(label)
    if not total or not len(total["energy_j"]):
        return
    rows = record.results(label, "layers")
    layers = rows["layer"]
    energy_j = {name: rows[name].reshape(len(layers), -1).mean(axis=1) for name, _, _ in _PARTS}
    with plot.style():
        figure = plot.new_figure(8.4, 3.4)
        left, right = figure.subplots(1, 2)
        stack = np.zeros(len(layers))
        scale = plot.AxisScale.of(np.sum(list(energy_j.values()), axis=0), "J")
        for name, text, colour in _PARTS:
            height = energy_j[name] * scale.factor
            left.bar(layers, height, bottom=stack, width=0.6, color=colour, label=text)
            stack += height
        left.set_ylabel(scale.label("Energy of a sample"))
        needed = rows["multiplications"] / 1e3
        zeros = rows["zero_multiplications"] / 1e3
        right.bar(layers, needed, width=0.6, color=plot.BLUE, label="by weights other than 0")
        right.bar(layers, zeros, bottom=needed, width=0.6, color=plot.SKY, label="by 0")
        right.set_ylabel("Multiplications of a sample (thousand)")
        for axes in (left, right):
            axes.set_xticks(layers)
            axes.set_xlabel("Layer")
            axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    mean_j = float(np.mean(total["energy_j"][0]))
    yield NamedFigure(
        "cost",
        "Energy and multiplications of an inference (estimate)",
        f"{format_quantity(mean_j, 'J', digits=3)} and"
        f" {format_quantity(float(total['time_s'][0]), 's', digits=3)} a sample, of cells and"
        " converters alone: drivers, amplifiers, wires, digital work and programming are left out.",
        figure,
    )
