"""Pulses in proportion to the gradient: n = round(rate · gradient / step_weight).

Number or width of the pulses follows the gradient, as in R. Hasan and T. M. Taha, IJCNN 2014, 21,
doi:10.1109/IJCNN.2014.6889893, where the duration of a pulse is proportional to η δ x. Rounded to
the nearest, a gradient below half a step is lost, and a training may stand still; rounded at
random, up with the probability of what is left, n is right on average.
:mod:`hwloop.steps.learning.rules.accumulate` keeps what is left.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from typing_extensions import override

from hwloop.array.operations import PulseMap
from hwloop.settings.units import Count, Number
from hwloop.steps.learning.placed_layer import Place, PlacedLayer
from hwloop.steps.learning.pulses import CellPulses, worst_maps
from hwloop.steps.learning.rules.rule import LayerRule, RuleSettings, mean_gradient
from hwloop.types import FloatArray

Rate = Annotated[Number, Field(gt=0)]
StepWeight = Annotated[Number, Field(gt=0, le=2)]


class DeltaPulses(RuleSettings):
    """Settings of pulses in proportion to the gradient.

    ``rate``: η. ``step_weight``: by how much one step moves a weight, of which the range is −1 to
    1: 2/P for pairs of cells with P states. ``most_pulses``: that a cell gets in one update.
    ``rounding``: of the number of pulses.
    """

    name: Literal["delta_pulses"]
    rate: Rate
    step_weight: StepWeight
    most_pulses: Count = 64
    rounding: Literal["nearest", "random"] = "nearest"

    @property
    @override
    def most_of_a_cell(self) -> int:
        return self.most_pulses

    @override
    def begin(self, layers: list[PlacedLayer], rng: np.random.Generator) -> LayerRule:
        return _Proportional(self, layers[0], rng)

    @override
    def worst(self, pulses: CellPulses, place: Place, shape: tuple[int, int]) -> Iterator[PulseMap]:
        return worst_maps(self.most_pulses, shape, pulses)


class _Proportional(LayerRule):
    def __init__(self, settings: DeltaPulses, layer: PlacedLayer, rng: np.random.Generator) -> None:
        self._settings, self._layer, self._rng = settings, layer, rng

    @override
    def update(self, inputs: FloatArray, errors: FloatArray) -> None:
        settings = self._settings
        wanted = settings.rate * mean_gradient(inputs, errors) / settings.step_weight
        if settings.rounding == "random":
            steps = np.floor(wanted + self._rng.random(wanted.shape))
        else:
            steps = np.rint(wanted)
        self._layer.step(self._layer.bounded(steps, settings.most_pulses))
