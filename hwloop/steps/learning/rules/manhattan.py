"""Manhattan rule: one pulse for each weight, by the sign of its gradient.

Source: M. Prezioso et al., Nature 521, 61 (2015), doi:10.1038/nature14441, whose rule sums over all
patterns before each update. A weight with gradient 0 gets no pulse.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from typing_extensions import override

from hwloop.array.operations import PulseMap
from hwloop.steps.learning.placed_layer import Place, PlacedLayer
from hwloop.steps.learning.pulses import CellPulses, worst_maps
from hwloop.steps.learning.rules.rule import LayerRule, RuleSettings, mean_gradient
from hwloop.types import FloatArray

ROUNDING = 1e-12
"""A gradient below this part of the largest term that it is a sum of is 0 but for rounding."""


class ManhattanRule(RuleSettings):
    """Settings of the sign rule: it has none."""

    name: Literal["manhattan"]

    @property
    @override
    def most_of_a_cell(self) -> int:
        return 1

    @override
    def begin(self, layers: list[PlacedLayer], rng: np.random.Generator) -> LayerRule:
        return _Signs(layers[0])

    @override
    def worst(self, pulses: CellPulses, place: Place, shape: tuple[int, int]) -> Iterator[PulseMap]:
        return worst_maps(1, shape, pulses)


class _Signs(LayerRule):
    def __init__(self, layer: PlacedLayer) -> None:
        self._layer = layer

    @override
    def update(self, inputs: FloatArray, errors: FloatArray) -> None:
        gradient = mean_gradient(inputs, errors)
        largest = mean_gradient(np.abs(inputs), np.abs(errors))
        signs = np.sign(gradient) * (np.abs(gradient) > ROUNDING * largest)
        self._layer.step(signs.astype(np.int64))
