"""Operations and record of an inference, as far as they are known before a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hwloop.array.blocks import BlockBatch, Keep
from hwloop.backend.base import CrossbarBackend, Description
from hwloop.errors import ConfigError, StepError
from hwloop.steps.contract import PlannedBatch, PlannedOperation
from hwloop.steps.network.inference.layer_product import LayerBlocks
from hwloop.steps.network.inference.sizes import (
    LayerSize,
    chosen_kind,
    layer_sizes,
    record_bytes,
    sample_batches,
    text_of_bytes,
)
from hwloop.steps.network.mapping.placement import Placement
from hwloop.steps.network.network import Network
from hwloop.types import FloatArray

LONG_PER_UNIT_V = -1.2345678901234567e-05
"""Volts of a unit of input with as many characters as any, for a layout as long as any."""

UNKNOWN = "the network is trained in the run: counted is one multiplication a sample, at least"
"""Remark of a plan where no network is known before the run."""


@dataclass(frozen=True, eq=False)
class UntrainedNetwork:
    """Network that a step will train: its sizes are known before the run, its weights are not."""

    network: Network


@dataclass(frozen=True, eq=False)
class PlannedNetwork:
    """Network that a step will leave, and the blocks of its layers; found faults move only rows."""

    network: Network
    layers: tuple[LayerBlocks, ...]


def planned_network(network: Network, placement: Placement) -> PlannedNetwork:
    """Return a network as it will be placed."""
    layers = [
        LayerBlocks(matrix, tuple(placement.of_layer(index)), placement.tiles)
        for index, matrix in enumerate(network.matrices)
    ]
    return PlannedNetwork(network, tuple(layers))


def known_network(before: Mapping[type, object] | None) -> PlannedNetwork | None:
    """Return the network that an earlier step will leave, where it is known before the run."""
    known = (before or {}).get(PlannedNetwork)
    return known if isinstance(known, PlannedNetwork) else None


def planned_products(
    planned: PlannedNetwork, x: FloatArray, *, level_v: float
) -> tuple[list[PlannedOperation], list[LayerSize]]:
    """Return one multiplication of each layer for each sample, and the sizes of the layers.

    Every input is at ``level_v``. Raises :class:`ConfigError` where the samples do not fit the
    network.
    """
    try:
        batches = sample_batches(
            planned.network, planned.layers, x[0], per_unit_v=level_v, level=1.0
        )
    except StepError as exc:
        raise ConfigError(str(exc), key="data") from None
    return [PlannedOperation(one, len(x)) for one in batches], layer_sizes(batches)


def planned_vectors(
    planned: PlannedNetwork, vectors: int, *, level_v: float
) -> list[PlannedOperation]:
    """Return so many row vectors for each layer that has cells, every row at ``level_v``."""
    found = []
    for layer in planned.layers:
        plain = replace(layer, matrix=replace(layer.matrix, bias=False, kernel=None))
        rows_v = np.full((1, layer.matrix.weights.shape[0]), level_v)
        if layer.blocks:
            found.append(PlannedOperation(plain.batch(rows_v, per_unit_v=1.0), vectors))
    return found


def chunks_of(samples: int, *, first: int, at_once: int) -> list[tuple[bool, int, int]]:
    """Return how samples go through a network: whether they calibrate it, how many, how often."""
    calibrating = min(first, samples)
    whole, rest = divmod(samples - calibrating, at_once)
    chunks = [(True, calibrating, 1), (False, at_once, whole), (False, rest, 1)]
    return [chunk for chunk in chunks if chunk[1] and chunk[2]]


def foreseen_batches(
    ones: Sequence[BlockBatch],
    chunks: Sequence[tuple[bool, int, int]],
    *,
    outer: tuple[int, ...],
    keep: Keep,
) -> list[PlannedBatch]:
    """Return the batches of each layer for chunks of samples, see :func:`chunks_of`.

    ``ones``: of one sample. ``outer``: the axes of the population, which the samples do not have.
    """
    return [
        PlannedBatch(
            replace(one, keep=keep, calibrate=calibrate), samples, count, outer if layer else ()
        )
        for calibrate, samples, count in chunks
        for layer, one in enumerate(ones)
    ]


def outer_of(description: Description, tiles: int) -> tuple[int, ...]:
    """Return the axes of the population, without that of the tiles of an array."""
    population = tuple(description.population)
    return population[:-1] if tiles > 1 else population


@dataclass(frozen=True)
class KeptRecord:
    """Kind of record of an inference, and how many bytes its samples take in each kind."""

    kind: Keep
    sizes_bytes: Mapping[Keep, int]

    @property
    def text(self) -> str:
        """Return the two in words, such as ``"record: answers (62 MB)"``."""
        if self.kind == "summary":
            return "record: summary"
        return f"record: {self.kind} ({text_of_bytes(self.sizes_bytes[self.kind])})"


def kept_record(
    sizes: Sequence[LayerSize],
    samples: int,
    *,
    description: Description,
    tiles: int,
    wanted: Keep | None,
) -> KeptRecord:
    """Return what is kept of so many samples on a backend; ``wanted``: the kind that was asked."""
    arrays = arrays_of(description, tiles)
    each = record_bytes(sizes, arrays=arrays, code_bits=description.code_bits)
    kind = chosen_kind(each, samples, wanted=wanted)
    return KeptRecord(kind, {one: samples * size for one, size in each.items()})


def arrays_of(description: Description, tiles: int) -> int:
    """Return the number of arrays of the population, each with all of its tiles."""
    return int(np.prod(description.population)) // tiles


def record_remark(
    sizes: Sequence[LayerSize], samples: int, *, tiles: int, wanted: Keep | None
) -> Callable[[CrossbarBackend], str]:
    """Return what a preview says of the record, once the backend is known."""

    def remark(backend: CrossbarBackend) -> str:
        seen = backend.description
        kept = kept_record(sizes, samples, description=seen, tiles=tiles, wanted=wanted)
        others = ", ".join(
            f"{kind} would take {text_of_bytes(size)}"
            for kind, size in kept.sizes_bytes.items()
            if kind not in (kept.kind, "summary")
        )
        return f"{samples} samples; {kept.text}; {others}"

    return remark
