"""The interface of a rule: what a layer's inputs and errors do to its cells."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from hwloop.array.blocks import BlockBatch, Keep
from hwloop.array.operations import PulseMap
from hwloop.errors import StepError
from hwloop.messages import first_place
from hwloop.settings.model import Settings
from hwloop.steps.learning.placed_layer import Place, PlacedLayer
from hwloop.steps.learning.pulses import CellPulses
from hwloop.types import FloatArray


class LayerRule(ABC):
    """A rule at work on one layer, with what it keeps between updates."""

    @abstractmethod
    def update(self, inputs: FloatArray, errors: FloatArray) -> None:
        """Pulse the cells of the layer for a batch of samples.

        ``inputs``: (..., samples, inputs). ``errors``: δ = −∂loss/∂u of each sample times the
        slope of the layer, (..., samples, outputs). Arrays that have ended are left alone by the
        layer: see :attr:`hwloop.steps.learning.placed_layer.PlacedLayer.at_work`.
        """


class RuleSettings(Settings, ABC):
    """Settings of a rule; ``name`` chooses it.

    ``copies``: places of cells that a layer takes, side by side: the first holds its weights.
    """

    copies: ClassVar[int] = 1
    name: str

    def refuse_pulses(self, pulses: CellPulses) -> None:
        """Raise :class:`ValueError` for pulses that the rule cannot work with."""

    @property
    @abstractmethod
    def most_of_a_cell(self) -> int:
        """Return how many pulses a cell gets at most in one round of an update."""

    @abstractmethod
    def begin(self, layers: list[PlacedLayer], rng: np.random.Generator) -> LayerRule:
        """Return the rule at work on a layer; ``layers``: its copies."""

    @abstractmethod
    def worst(self, pulses: CellPulses, place: Place, shape: tuple[int, int]) -> Iterator[PulseMap]:
        """Yield pulses for an array of ``shape`` that no round of an update of a layer exceeds."""

    def rounds(self, samples: int) -> int:  # noqa: ARG002 - most rules pulse once
        """Return how many rounds of reads and pulses an update of so many samples makes."""
        return 1

    def reads(
        self,
        places: tuple[Place, ...],  # noqa: ARG002 - most rules read nothing
        *,
        input_v: float,  # noqa: ARG002
        keep: Keep,  # noqa: ARG002
    ) -> Iterator[BlockBatch]:
        """Yield the multiplications of a round, for the places of a layer's copies."""
        return iter(())


def mean_gradient(inputs: FloatArray, errors: FloatArray) -> FloatArray:
    """Return −∂loss/∂w averaged over the samples, (..., inputs, outputs).

    Raises :class:`StepError` where it is not finite.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # it is judged below
        gradient: FloatArray = np.swapaxes(inputs, -1, -2) @ errors / errors.shape[-2]
    if not np.isfinite(gradient).all():
        place = first_place(~np.isfinite(gradient))
        raise StepError(
            f"train_in_situ: the gradient of weight {place} is {gradient[place]}: lower gain or"
            " rate"
        )
    return gradient
