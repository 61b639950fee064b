"""Training of a network in software that knows the hardware which will hold it, for map_network.

Nothing is done to the array. Needs PyTorch: ``pip install 'hwloop[torch]'``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from typing_extensions import override

from hwloop.array.settings import ArraySettings
from hwloop.statistics import wilson_interval
from hwloop.steps.array import Array
from hwloop.steps.contract import Plan, Step
from hwloop.steps.network.inference.forethought import UntrainedNetwork
from hwloop.steps.network.network import Network, build
from hwloop.steps.network.training.hardware_aware.checkpoint import (
    read_checkpoint,
    write_checkpoint,
)
from hwloop.steps.network.training.hardware_aware.descent import Epoch, NoisyDescent, threads
from hwloop.steps.network.training.hardware_aware.result import ModelCard, write_result
from hwloop.steps.network.training.hardware_aware.resume import restore, state_of
from hwloop.steps.network.training.hardware_aware.settings import TrainCnnSettings
from hwloop.steps.network.training.hardware_aware.start import (
    Samples,
    fitting_network,
    load_samples,
    multiplications,
    refuse_without_torch,
    start_arrays,
)
from hwloop.steps.network.training.hardware_aware.tiles.product import (
    TileProduct,
    whole_blocks,
)
from hwloop.steps.rows import Outcome, Row, Yield, column
from hwloop.types import FloatArray


@dataclass(frozen=True, eq=False)
class TrainingEpochRow(Row):
    """Loss and accuracies of one epoch of the training."""

    stage: int = column("1", "part of the training, from 0: plain, pruning steps, levels")
    loss: float = column("1", "mean over the training samples, weights as they were held")
    accuracy: float = column("1", "of the same answers")
    held_out_accuracy: float = column("1", "on the held-out samples, without noise; NaN: none")

    @override
    def headline(self) -> dict[str, str | float | int]:
        return {"accuracy": round(self.accuracy, 4), "loss": round(self.loss, 4)}


@dataclass(frozen=True, eq=False)
class TrainedRow(Row):
    """Accuracy of the trained network in software, and what pruning has saved."""

    table: ClassVar[str] = "trained"

    test_accuracy: float = column("1", "on the test samples, without noise; NaN without any")
    noisy_accuracy: FloatArray = column("1", "on the test samples, in each draw of noise; (draws,)")
    weights: int = column("1", "weights, without biases")
    weights_left: int = column("1", "those that are not 0")
    multiplications: float = column("1", "of weights with inputs, for one sample")
    multiplications_left: float = column("1", "those with weights that are not 0")

    def summary(self, tested: int) -> str:
        """Return accuracy and savings as a message; ``tested``: number of test samples."""
        parts = []
        if tested:
            low, high = wilson_interval(round(self.test_accuracy * tested), tested)
            parts.append(f"test accuracy {self.test_accuracy:.4f} (95 %: {low:.3f} to {high:.3f})")
        if len(self.noisy_accuracy):
            spread = f" ± {self.noisy_accuracy.std():.4f}" if len(self.noisy_accuracy) > 1 else ""
            parts.append(f"{self.noisy_accuracy.mean():.4f}{spread} under noise")
        if self.weights_left < self.weights:
            parts.append(
                f"{self.weights_left} of {self.weights} weights and"
                f" {self.multiplications_left / self.multiplications:.1%} of the multiplications"
                " left"
            )
        return "; ".join(parts)


def run(settings: TrainCnnSettings, array: Array) -> Iterator[Yield]:
    """Train, leave the network for later steps, and write it beside the record.

    Raises :class:`ConfigError` for samples or weights that do not fit the layers.
    """
    import torch

    seed = int(array.rng.integers(2**31))
    samples, arrays, began = _loaded(settings, array.rng)
    tiles = None
    if settings.tiles is not None:
        blocks = whole_blocks(settings.tiles, array.settings, began)
        tiles = TileProduct(settings.tiles, array.settings, blocks)
    with threads(torch, settings.threads):
        descent = NoisyDescent(
            settings, settings.layers, arrays, samples["data"], seed, tiles=tiles
        )
        yield from _epochs(settings, descent, seed, array)
        held = descent.held_arrays()
        network = build(settings.layers, held)
        array.leave(network)
        row = _evaluated(settings, descent, network, samples)
    yield row
    epochs = descent.progress.epochs
    message = f"{len(epochs)} epochs"
    if epochs:
        message += f"; training accuracy {epochs[-1].accuracy:.4f}"
    message = "; ".join(
        part for part in (message, row.summary(len(samples.get("test", ((),))[0]))) if part
    )
    path = array.beside_record(".npz")
    if path is not None:
        card = ModelCard(
            settings, seed, {key: len(one[0]) for key, one in samples.items()}, _figures(row)
        )
        write_result(path, held, card, str(torch.__version__))
        message += f"; weights in {path.name}"
    if settings.checkpoint is not None and path is not None:
        settings.checkpoint.unlink(missing_ok=True)
    yield Outcome(True, message)


def _loaded(
    settings: TrainCnnSettings, rng: np.random.Generator
) -> tuple[dict[str, Samples], dict[str, FloatArray], Network]:
    """Return samples by setting, and arrays and network to start from; all fit each other."""
    data = load_samples(settings.data, "data")
    settings.held_out_of(len(data[0]))
    samples = {"data": data}
    if settings.test is not None:
        samples["test"] = load_samples(settings.test, "test", like=data)
    arrays = start_arrays(settings, rng)
    return samples, arrays, fitting_network(settings, arrays, samples)


def _epochs(
    settings: TrainCnnSettings, descent: NoisyDescent, seed: int, array: Array
) -> Iterator[TrainingEpochRow]:
    """Train and yield rows; those of a checkpoint first, then what it lacks.

    A run that is not recorded, such as a replay, neither reads nor writes a checkpoint.
    """
    file = settings.checkpoint if array.record is not None else None
    digest = _digest(settings, seed)
    if file is not None:
        found = read_checkpoint(file, digest)
        if found is not None:
            restore(descent, *found)
    yield from (_row(epoch) for epoch in list(descent.progress.epochs))
    for epoch in descent.epochs():
        if file is not None:
            arrays, notes = state_of(descent)
            write_checkpoint(file, arrays, {"digest": digest, **notes})
        yield _row(epoch)


def _digest(settings: TrainCnnSettings, seed: int) -> str:
    text = settings.model_dump_json(exclude={"checkpoint"})
    return hashlib.sha256(f"{seed} {text}".encode()).hexdigest()


def _row(epoch: Epoch) -> TrainingEpochRow:
    return TrainingEpochRow(
        stage=epoch.stage,
        loss=epoch.loss,
        accuracy=epoch.accuracy,
        held_out_accuracy=epoch.held_out,
    )


def _evaluated(
    settings: TrainCnnSettings,
    descent: NoisyDescent,
    network: Network,
    samples: dict[str, Samples],
) -> TrainedRow:
    counts = multiplications(network, samples["data"][0][:1])
    weights = [one.weights[:-1] if one.bias else one.weights for one in network.matrices]
    left = [weight != 0 for weight in weights]
    times = [float(one.flat[0]) for one in counts]
    test = samples.get("test")
    noise = settings.test_noise
    return TrainedRow(
        test_accuracy=float("nan") if test is None else float(descent.test(test)[0]),
        noisy_accuracy=np.zeros(0)
        if test is None or noise is None
        else descent.test(test, noise, noise.draws),
        weights=sum(one.size for one in weights),
        weights_left=sum(int(one.sum()) for one in left),
        multiplications=sum(n * one.size for n, one in zip(times, weights, strict=True)),
        multiplications_left=sum(n * float(one.sum()) for n, one in zip(times, left, strict=True)),
    )


def _figures(row: TrainedRow) -> dict[str, float | int | None]:
    """Return the figures of the row for the card, None where there are none."""
    noisy = row.noisy_accuracy
    found: dict[str, float | int | None] = {
        "test_accuracy": None if np.isnan(row.test_accuracy) else row.test_accuracy,
        "noisy_accuracy": float(noisy.mean()) if len(noisy) else None,
        "noisy_accuracy_deviation": float(noisy.std()) if len(noisy) else None,
    }
    for name in ("weights", "weights_left", "multiplications", "multiplications_left"):
        found[name] = getattr(row, name)
    return found


def plan(settings: TrainCnnSettings, array: ArraySettings) -> Plan:
    """Return the plan: nothing is done to the array; the sizes of the network are known.

    Raises :class:`ConfigError` without PyTorch, and for samples or weights that do not fit.
    """
    refuse_without_torch()
    _, _, network = _loaded(settings, np.random.default_rng(0))
    if settings.tiles is not None:
        whole_blocks(settings.tiles, array, network)
    leaves: dict[type, object] = {UntrainedNetwork: UntrainedNetwork(network)}
    return Plan([], rows=settings.most_epochs, leaves=leaves)


TRAIN_CNN = Step(
    name="train_cnn",
    summary="Train a network in software under weight noise, pruned and on levels, for map_network",
    settings=TrainCnnSettings,
    run=run,
    plan=plan,
    figures="hwloop.figures.hardware_aware:training",
    libraries=("torch",),
)
