"""Sizes of an inference before it runs: memory of a sample, and of each kind of record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from hwloop.array.blocks import BlockBatch, Keep
from hwloop.steps.network.inference.layer_product import LayerBlocks
from hwloop.steps.network.network import Network
from hwloop.types import FloatArray

RECORD_BYTES = 200_000_000
"""Size below which the record of an inference is kept where no kind is chosen."""

_SUMMARY_BYTES = 1024
"""Of one operation, about."""


@dataclass(frozen=True)
class LayerSize:
    """Numbers of one layer for one sample of one array: ``voltages``, ``vectors``, ``columns``."""

    voltages: int
    vectors: int
    columns: int

    @property
    def currents(self) -> int:
        """Return the number of column currents."""
        return self.vectors * self.columns


def sample_batches(
    network: Network,
    layers: Sequence[LayerBlocks],
    sample: FloatArray,
    *,
    per_unit_v: float = 1.0,
    level: float | None = None,
) -> list[BlockBatch]:
    """Return the operation of every layer with cells for a ``sample`` (…), sent through in NumPy.

    ``level``: in place of every input. Raises :class:`hwloop.errors.StepError` where the sample
    does not fit a layer.
    """
    found: list[BlockBatch] = []

    def layer(index: int, x: FloatArray) -> FloatArray:
        own = layers[index]
        own.matrix.check_inputs(x)
        if own.blocks:
            driven = x if level is None else np.full(x.shape, level)
            found.append(own.batch(driven, per_unit_v=per_unit_v))
        return own.matrix.exact(x)

    network.through(sample[None], layer)
    return found


def layer_sizes(batches: Sequence[BlockBatch]) -> list[LayerSize]:
    """Return the size of every layer from its operation for one sample."""
    return [LayerSize(one.voltage_v.size, one.vectors, one.columns) for one in batches]


def record_bytes(
    sizes: Sequence[LayerSize], *, arrays: int, code_bits: int | None
) -> dict[Keep, int]:
    """Return the bytes of one sample in each kind of record; of a summary none.

    ``code_bits``: of the converters; None: currents are kept as they are. Flags come on top where
    one is set.
    """
    bits = 8 * 8 if code_bits is None else code_bits
    currents = arrays * sum(one.currents for one in sizes)
    # The inputs of the first layer are the same for every array of a population.
    voltages = sizes[0].voltages + arrays * sum(one.voltages for one in sizes[1:])
    return {"all": 8 * (voltages + currents), "answers": -(-bits * currents // 8), "summary": 0}


def chosen_kind(each_bytes: dict[Keep, int], samples: int, *, wanted: Keep | None) -> Keep:
    """Return the kind of record: the one wanted, else the fullest below :data:`RECORD_BYTES`."""
    if wanted is not None:
        return wanted
    kinds: tuple[Keep, ...] = get_args(Keep)
    return next(kind for kind in kinds if samples * each_bytes[kind] <= RECORD_BYTES)


def samples_at_once(sizes: Sequence[LayerSize], *, arrays: int, memory_bytes: int) -> int:
    """Return how many samples go through the network at once, at least one.

    Of the largest layer they take the inputs and voltages of three layers' worth, the currents
    with flags and codes, and the sums before and after.
    """
    largest = max(arrays * (5 * 8 * one.voltages + 40 * one.currents) for one in sizes)
    return max(1, memory_bytes // largest)


def text_of_bytes(size: float) -> str:
    """Return a size in words, such as ``"12 MB"``."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size:.0f} B"
