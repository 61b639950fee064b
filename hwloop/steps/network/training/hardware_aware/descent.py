"""Gradient descent in PyTorch on the weights as the cells will hold them.

In every batch the forward and backward pass see weights that are pruned, on levels, and noisy; the
update is of the clean weights behind them, to which gradients pass straight through (Y. Bengio et
al., arXiv:1308.3432, for levels; noise: M. Boquet et al., "Offline training for memristor-based
neural networks", EUSIPCO 2020).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hwloop.errors import StepError
from hwloop.steps.network.network import ConvLayer, DenseLayer, Function, LayerSettings
from hwloop.steps.network.training.hardware_aware.pruning import Masks, kept_after
from hwloop.steps.network.training.hardware_aware.quantisation import bias_name, folded, on_levels
from hwloop.steps.network.training.hardware_aware.settings import (
    DescentSettings,
    Sgd,
    WeightNoise,
)
from hwloop.steps.network.training.hardware_aware.stages import Stage, stages
from hwloop.steps.network.training.hardware_aware.start import NORM_PARTS, Samples, weighted
from hwloop.steps.network.training.hardware_aware.tiles.product import TileProduct
from hwloop.steps.network.training.hardware_aware.torch_network import (
    Held,
    Tensor,
    forward,
    normalise,
)
from hwloop.types import FloatArray

_MOST_SAMPLES = 1000
"""Samples that are evaluated at once."""


@dataclass(frozen=True)
class Epoch:
    """Result of an epoch: loss and accuracy of its noisy batches, accuracy on held-out samples.

    ``held_out``: NaN without held-out samples.
    """

    stage: int
    loss: float
    accuracy: float
    held_out: float


@dataclass(eq=False)
class Progress:
    """State of a training: stage, epochs done in it, the best of them, all epochs so far."""

    stage: int = 0
    done: int = 0
    best: float = -1.0
    since_best: int = 0
    epochs: list[Epoch] = field(default_factory=list)


@contextmanager
def threads(torch: Any, number: int) -> Iterator[None]:
    """Let PyTorch use so many threads, so that sums are rounded alike on every computer."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class NoisyDescent:
    """Training of one network; :meth:`epochs` does it, and :meth:`arrays` returns its weights."""

    def __init__(
        self,
        settings: DescentSettings,
        layers: Sequence[LayerSettings],
        arrays: Mapping[str, FloatArray],
        samples: Samples,
        seed: int,
        *,
        tiles: TileProduct | None = None,
    ) -> None:
        import torch

        self._torch: Any = torch
        self._settings = settings
        self._order = tuple(layers)
        self._layers = weighted(self._order)
        self._tiles = tiles
        self._stages = stages(settings)
        self.progress = Progress()
        self.masks: Masks = {}
        self.best_arrays: dict[str, FloatArray] = {}
        self.folded = False
        self.generator = torch.Generator().manual_seed(seed)
        x, y = self._tensor(samples[0]), torch.from_numpy(samples[1].astype(np.int64))
        order = torch.randperm(len(x), generator=self.generator)
        out = settings.held_out_of(len(x))
        self._held_out, self._train = (x[order[:out]], y[order[:out]]), (x, y)
        if out:
            self._train = (x[order[out:]], y[order[out:]])
        self.set_arrays(arrays)

    def _tensor(self, values: FloatArray) -> Tensor:
        return self._torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))

    def set_arrays(self, arrays: Mapping[str, FloatArray]) -> None:
        """Take weights and normalisations, and begin with a fresh optimiser."""
        self._tensors = {name: self._tensor(value).clone() for name, value in arrays.items()}
        learnt = [self._tensors[name].requires_grad_() for name in self._learnt()]
        chosen = self._settings.optimiser
        optim = self._torch.optim
        if isinstance(chosen, Sgd):
            self.optimiser = optim.SGD(
                learnt,
                lr=chosen.rate,
                momentum=chosen.momentum,
                nesterov=chosen.nesterov,
                weight_decay=chosen.weight_decay,
            )
        else:
            self.optimiser = optim.Adam(
                learnt,
                lr=chosen.rate,
                betas=(chosen.beta_1, chosen.beta_2),
                eps=chosen.epsilon,
                weight_decay=chosen.weight_decay,
            )

    def _learnt(self) -> list[str]:
        """Return the names of the arrays that are trained, in order."""
        names = []
        for layer in self._layers:
            bias = bias_name(layer) if self.folded else layer.bias
            names += [layer.weight] + ([] if bias is None else [bias])
            if layer.norm is not None and not self.folded:
                names += [f"{layer.norm}.{part}" for part in NORM_PARTS[:2]]
        return names

    def arrays(self) -> dict[str, FloatArray]:
        """Return the clean weights and the normalisations by name."""
        return {
            name: tensor.detach().numpy().astype(np.float64)
            for name, tensor in self._tensors.items()
        }

    def held_arrays(self) -> dict[str, FloatArray]:
        """Return the arrays with the weights on the levels of the cells, where they are asked."""
        arrays = self.arrays()
        quantisation = self._settings.quantisation
        if not self.folded or quantisation is None:
            return arrays
        for layer in self._layers:
            name = bias_name(layer)
            bias = None if name is None else arrays[name]
            held, held_bias = on_levels(layer, arrays[layer.weight], bias, quantisation.columns())
            arrays[layer.weight] = held
            if name is not None and held_bias is not None:
                arrays[name] = held_bias
        return arrays

    def epochs(self) -> Iterator[Epoch]:
        """Train to the end, yielding each epoch when it is done.

        Raises :class:`StepError` where the loss is no longer finite.
        """
        while self.progress.stage < len(self._stages):
            stage = self._stages[self.progress.stage]
            if not self.progress.done:
                self._begin(stage)
            while self.progress.done < stage.epochs and not self._out_of_patience():
                yield self._epoch()
            if self.best_arrays:
                self.set_arrays(self.best_arrays)
            self.best_arrays = {}
            now = self.progress
            self.progress = Progress(now.stage + 1, epochs=now.epochs)

    @property
    def on_tiles(self) -> TileProduct | None:
        """Return the tiles that the sums are of, in the part that sees them and after it."""
        seen = self._stages[: self.progress.stage + 1]
        return self._tiles if seen and seen[-1].on_tiles else None

    def _out_of_patience(self) -> bool:
        patience = self._settings.patience
        return patience is not None and self.progress.since_best >= patience

    def _begin(self, stage: Stage) -> None:
        arrays = self.arrays()
        if stage.folded:
            arrays = arrays if self.folded else folded(self._layers, arrays)
            self.folded = True
        elif stage.pruned and self._settings.pruning is not None:
            self.masks = kept_after(self._settings.pruning, stage.pruned, self._layers, arrays)
        self.set_arrays(
            {
                name: np.where(self.masks[name], value, 0.0) if name in self.masks else value
                for name, value in arrays.items()
            }
        )

    def _epoch(self) -> Epoch:
        torch, now = self._torch, self.progress
        x, y = self._train
        if self._tiles is not None:
            self._tiles.begin()
        order = torch.randperm(len(x), generator=self.generator)
        kept = {name: torch.from_numpy(mask) for name, mask in self.masks.items()}
        loss_sum, right = 0.0, 0
        for part in torch.split(order, self._settings.batch):
            loss, answers = self._loss(x[part], y[part])
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            with torch.no_grad():
                for name, mask in kept.items():
                    self._tensors[name].mul_(mask)
            loss_sum += float(loss.detach()) * len(part)
            right += int((answers.argmax(dim=1) == y[part]).sum())
        loss_mean = loss_sum / len(x)
        if not np.isfinite(loss_mean):
            raise StepError(
                f"epoch {len(now.epochs) + 1}: the loss is {loss_mean}: lower optimiser.rate"
                f" {self._settings.optimiser.rate:g}"
            )
        found = Epoch(now.stage, loss_mean, right / len(x), self.accuracy(*self._held_out))
        self._note(found)
        return found

    def _note(self, found: Epoch) -> None:
        now = self.progress
        now.epochs.append(found)
        now.done += 1
        now.since_best += 1
        if found.held_out > now.best:
            now.best, now.since_best = found.held_out, 0
            self.best_arrays = self.arrays()

    def _loss(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        torch, settings = self._torch, self._settings
        layers, last = self._order, self._order[-1]
        if settings.loss == "mean_square":
            answers = self._forward(x, layers, settings.noise, training=True)
            wanted = torch.nn.functional.one_hot(y, answers.shape[1]).to(answers.dtype)
            return torch.nn.functional.mse_loss(answers, wanted), answers
        if isinstance(last, Function) and last.kind == "softmax":
            layers = layers[:-1]  # part of the loss
        answers = self._forward(x, layers, settings.noise, training=True)
        return torch.nn.functional.cross_entropy(answers, y), answers

    def accuracy(self, x: Tensor, y: Tensor, noise: WeightNoise | None = None) -> float:
        """Return the fraction of right answers to tensors; NaN of no samples."""
        torch = self._torch
        if not len(x):
            return float("nan")
        if self._tiles is not None:
            self._tiles.begin()
        with torch.no_grad():
            held = self._held(noise)
            right = sum(
                int((answers.argmax(dim=1) == part_y).sum())
                for part_x, part_y in zip(
                    torch.split(x, _MOST_SAMPLES), torch.split(y, _MOST_SAMPLES), strict=True
                )
                for answers in (self._forward(part_x, self._order, held=held),)
            )
        return right / len(x)

    def test(
        self, samples: Samples, noise: WeightNoise | None = None, draws: int = 1
    ) -> FloatArray:
        """Return the accuracy on samples in each of ``draws`` draws of the noise, (draws,)."""
        x = self._tensor(samples[0])
        y = self._torch.from_numpy(samples[1].astype(np.int64))
        return np.array([self.accuracy(x, y, noise) for _ in range(draws)])

    def _forward(
        self,
        x: Tensor,
        layers: Any,
        noise: WeightNoise | None = None,
        *,
        training: bool = False,
        held: Held | None = None,
    ) -> Tensor:
        def norm(layer: DenseLayer | ConvLayer, sums: Tensor) -> Tensor:
            if self.folded:
                return sums
            return normalise(self._torch, layer, self._tensors, sums, training=training)

        return forward(
            self._torch, layers, x, held or self._held(noise), norm, product=self.on_tiles
        )

    def _held(self, noise: WeightNoise | None) -> Held:
        """Return weights and biases on levels and with one draw of noise."""
        found: dict[str, tuple[Tensor, Tensor | None]] = {}
        quantisation = self._settings.quantisation
        for layer in self._layers:
            weight = self._tensors[layer.weight]
            name = bias_name(layer) if self.folded else layer.bias
            bias = None if name is None else self._tensors[name]
            if self.folded and quantisation is not None:
                weight, bias = self._on_levels(layer, weight, bias)
            if noise is not None:
                weight, bias = self._noisy(weight, bias, noise)
            found[layer.weight] = (weight, bias)
        return lambda layer: found[layer.weight]

    def _on_levels(
        self, layer: DenseLayer | ConvLayer, weight: Tensor, bias: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        quantisation = self._settings.quantisation
        assert quantisation is not None  # noqa: S101 - narrowed for the type checker
        exact = None if bias is None else bias.detach().numpy()
        held, held_bias = on_levels(layer, weight.detach().numpy(), exact, quantisation.columns())
        weight = weight + (self._tensor(held) - weight).detach()
        if bias is not None and held_bias is not None:
            bias = bias + (self._tensor(held_bias) - bias).detach()
        return weight, bias

    def _noisy(
        self, weight: Tensor, bias: Tensor | None, noise: WeightNoise
    ) -> tuple[Tensor, Tensor | None]:
        largest = weight.detach().abs().max()
        if bias is not None:
            largest = self._torch.maximum(largest, bias.detach().abs().max())

        def noisy(clean: Tensor) -> Tensor:
            drawn = noise.sigma * self._torch.randn(clean.shape, generator=self.generator)
            scale = clean.detach() if noise.kind == "multiplicative" else largest
            return clean + drawn * scale

        return noisy(weight), None if bias is None else noisy(bias)
