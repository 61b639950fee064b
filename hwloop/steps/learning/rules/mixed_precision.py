"""Mixed precision: the gradient is summed in a digital memory, and its whole steps are pulsed.

χ ← χ + rate · gradient; n = trunc(χ/ε) pulses; χ ← χ − n ε, with the threshold ε the weight that
one pulse moves. Source: S. R. Nandakumar et al., Front. Neurosci. 14, 406 (2020),
doi:10.3389/fnins.2020.00406.
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


class MixedPrecision(RuleSettings):
    """Settings of mixed precision; ``threshold``: ε, the smallest sum that is worth a pulse.

    ``rate``: η. ``most_pulses``: of a cell in one update; what is left stays in the memory.
    """

    name: Literal["mixed_precision"]
    rate: Rate
    threshold: StepWeight
    most_pulses: Count = 64

    @property
    @override
    def most_of_a_cell(self) -> int:
        return self.most_pulses

    @override
    def begin(self, layers: list[PlacedLayer], rng: np.random.Generator) -> LayerRule:
        return _Remembering(self, layers[0])

    @override
    def worst(self, pulses: CellPulses, place: Place, shape: tuple[int, int]) -> Iterator[PulseMap]:
        return worst_maps(self.most_pulses, shape, pulses)


class _Remembering(LayerRule):
    def __init__(self, settings: MixedPrecision, layer: PlacedLayer) -> None:
        self._settings, self._layer = settings, layer
        self._memory = np.zeros(layer.shape)

    @override
    def update(self, inputs: FloatArray, errors: FloatArray) -> None:
        settings = self._settings
        self._memory += settings.rate * mean_gradient(inputs, errors)
        wanted = np.trunc(self._memory / settings.threshold)
        steps = self._layer.bounded(wanted, settings.most_pulses)
        self._memory -= steps * settings.threshold
        self._layer.step(steps)
