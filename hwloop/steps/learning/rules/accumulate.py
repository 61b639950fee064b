"""Gradients that are accumulated beside the array until they are worth a pulse.

Our reading of Z. Dong et al., Neurocomputing 494, 89 (2022), doi:10.1016/j.neucom.2022.04.008, of
which the rule itself is not public: weights are trapped at their bounds while their gradient goes
on accumulating. A ← A + rate · gradient; n = round(A / step_weight) pulses, at most ``most_pulses``
either way. With ``reset: never`` A is not cleared, so that a weight gets pulses in every update
until its accumulated gradient turns; with ``remainder`` A ← A − n · step_weight.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from typing_extensions import override

from hwloop.array.operations import PulseMap
from hwloop.settings.units import Count
from hwloop.steps.learning.placed_layer import Place, PlacedLayer
from hwloop.steps.learning.pulses import CellPulses, worst_maps
from hwloop.steps.learning.rules.delta_pulses import Rate, StepWeight
from hwloop.steps.learning.rules.rule import LayerRule, RuleSettings, mean_gradient
from hwloop.types import FloatArray


class Accumulate(RuleSettings):
    """Settings of accumulated gradients; ``reset``: what a pulse takes from the sum.

    ``rate``, ``step_weight``, ``most_pulses``: as of ``delta_pulses``.
    """

    name: Literal["accumulate"]
    rate: Rate
    step_weight: StepWeight
    reset: Literal["never", "remainder"] = "never"
    most_pulses: Count = 64

    @property
    @override
    def most_of_a_cell(self) -> int:
        return self.most_pulses

    @override
    def begin(self, layers: list[PlacedLayer], rng: np.random.Generator) -> LayerRule:
        return _Accumulating(self, layers[0])

    @override
    def worst(self, pulses: CellPulses, place: Place, shape: tuple[int, int]) -> Iterator[PulseMap]:
        return worst_maps(self.most_pulses, shape, pulses)


class _Accumulating(LayerRule):
    def __init__(self, settings: Accumulate, layer: PlacedLayer) -> None:
        self._settings, self._layer = settings, layer
        self._sum = np.zeros(layer.shape)

    @override
    def update(self, inputs: FloatArray, errors: FloatArray) -> None:
        settings = self._settings
        self._sum += settings.rate * mean_gradient(inputs, errors)
        wanted = np.rint(self._sum / settings.step_weight)
        steps = self._layer.bounded(wanted, settings.most_pulses)
        if settings.reset == "remainder":
            self._sum -= steps * settings.step_weight
        self._layer.step(steps)
