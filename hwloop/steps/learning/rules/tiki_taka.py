"""Tiki-Taka with a digital filter (TTv2): gradients into a fast array, from it into the weights.

The layer has two places of cells: C with the weights, by which it answers, and the fast array A
beside it. For each sample the outer product of inputs and errors is pulsed into A
(:mod:`hwloop.steps.learning.rules.coincidences`). After every ``transfer_every`` samples one line
of A, the next in turn, is read by a multiplication with a one-hot vector, and its values a go into
a digital filter: H ← H + transfer_rate · a. Where |H| ≥ threshold the weight in C gets one pulse of
that sign, and H ← H − (1 − momentum) · threshold · sign. Sources: T. Gokmen and W. Haensch, Front.
Neurosci. 14, 103 (2020), doi:10.3389/fnins.2020.00103 (the two arrays); T. Gokmen, Front. Artif.
Intell. 4, 699148 (2021), doi:10.3389/frai.2021.699148 (the filter).

With ``chopper`` the sign of each line's products is turned at random, with that probability after
each of its reads, and a is turned back by the same sign, so that an offset of A averages out: M. J.
Rasch, F. Carta, O. Fagbohungbe and T. Gokmen, Nat. Commun. 15, 7133 (2024),
doi:10.1038/s41467-024-51221-z.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field
from typing_extensions import override

from hwloop.array.blocks import BlockBatch, Keep
from hwloop.array.operations import PulseMap
from hwloop.settings.units import Count, Fraction
from hwloop.steps.learning.placed_layer import Place, PlacedLayer
from hwloop.steps.learning.pulses import CellPulses, worst_maps
from hwloop.steps.learning.rules.coincidences import coincidences
from hwloop.steps.learning.rules.delta_pulses import Rate, StepWeight
from hwloop.steps.learning.rules.rule import LayerRule, RuleSettings, mean_gradient
from hwloop.types import FloatArray


class TikiTaka(RuleSettings):
    """Settings of Tiki-Taka with a digital filter.

    ``rate``: η of the products that are pulsed into A. ``step_weight``: by how much one step moves
    a weight of A. ``train_length``: slots of a pulse train, the most pulses of a cell for a sample.
    ``transfer_every``: samples between two reads of a line. ``lines``: rows of A (one input, all
    outputs) or columns (one output, all inputs). ``transfer_rate``: of a into H. ``threshold``: of
    H, for one pulse of C. ``momentum``: share of the threshold that stays in H. ``chopper``:
    probability of a turn of a line's sign after its read.
    """

    copies: ClassVar[int] = 2
    name: Literal["tiki_taka"]
    rate: Rate
    step_weight: StepWeight
    train_length: Count = 31
    transfer_every: Count = 1
    lines: Literal["rows", "columns"] = "rows"
    transfer_rate: Rate = 1.0
    threshold: Rate
    momentum: Annotated[Fraction, Field(ge=0, lt=1)] = 0.0
    chopper: Annotated[Fraction, Field(le=1)] = 0.0

    @property
    @override
    def most_of_a_cell(self) -> int:
        return self.train_length

    @override
    def begin(self, layers: list[PlacedLayer], rng: np.random.Generator) -> LayerRule:
        return _Transferring(self, layers, rng)

    @override
    def worst(self, pulses: CellPulses, place: Place, shape: tuple[int, int]) -> Iterator[PulseMap]:
        yield from worst_maps(self.train_length, shape, pulses)
        yield from worst_maps(1, shape, pulses)

    @override
    def rounds(self, samples: int) -> int:
        return samples

    @override
    def reads(
        self, places: tuple[Place, ...], *, input_v: float, keep: Keep
    ) -> Iterator[BlockBatch]:
        fast = places[1]
        if self.lines == "rows":
            one_v = np.eye(1, fast.inputs) * input_v
            yield BlockBatch(one_v, (fast.forward,), keep=keep)
        else:
            pair_v = np.zeros((1, 2 * fast.outputs))
            pair_v[0, :2] = input_v, -input_v
            yield BlockBatch(pair_v, (fast.backward,), keep=keep, driven="cols")


class _Transferring(LayerRule):
    def __init__(
        self, settings: TikiTaka, layers: list[PlacedLayer], rng: np.random.Generator
    ) -> None:
        self._settings, self._rng = settings, rng
        self._weights, self._fast = layers
        shape = self._weights.shape
        self._axis = -2 if settings.lines == "rows" else -1
        self._filter = np.zeros(shape)
        self._signs = np.ones((*shape[:-2], shape[self._axis]))
        self._next = 0
        self._waited = 0

    @override
    def update(self, inputs: FloatArray, errors: FloatArray) -> None:
        mean_gradient(inputs, errors)  # raises where it is not finite
        samples = errors.shape[-2]
        for number in range(samples):
            self._into_fast(inputs[..., number, :], errors[..., number, :] / samples)
            self._waited += 1
            if self._waited == self._settings.transfer_every:
                self._waited = 0
                self._transfer()

    def _into_fast(self, inputs: FloatArray, errors: FloatArray) -> None:
        settings = self._settings
        rows = self._axis == -2
        steps = coincidences(
            inputs * self._signs if rows else inputs,
            errors if rows else errors * self._signs,
            steps_of_1=settings.rate / settings.step_weight,
            train_length=settings.train_length,
            rng=self._rng,
        )
        self._fast.step(np.broadcast_to(steps, self._fast.shape))

    def _transfer(self) -> None:
        settings, line = self._settings, self._next
        one = np.zeros((1, self._signs.shape[-1]))
        one[0, line] = 1.0
        found = self._fast.forward(one) if self._axis == -2 else self._fast.backward(one)
        sign = self._signs[..., line]
        chosen = (..., line, slice(None)) if self._axis == -2 else (..., line)
        held = self._filter[chosen] + settings.transfer_rate * sign[..., None] * found[..., 0, :]
        pulse = np.sign(held) * (np.abs(held) >= settings.threshold)
        self._filter[chosen] = held - (1 - settings.momentum) * settings.threshold * pulse
        steps = np.zeros(self._weights.shape, dtype=np.int64)
        steps[chosen] = pulse
        if pulse.any():
            self._weights.step(steps)
        turned = self._rng.random(sign.shape) < settings.chopper
        self._signs[..., line] = np.where(turned, -sign, sign)
        self._next = (line + 1) % self._signs.shape[-1]
