"""Refuse operations whose maps are not of the array's shape."""

from __future__ import annotations

from hwloop.array.blocks import BlockBatch
from hwloop.array.operations import Hold, Operation, PulseMap, PulsePair, Ramp, ReadMap, VectorBatch
from hwloop.errors import BackendError


def check_shape(operation: Operation, shape: tuple[int, ...]) -> None:
    """Raise :class:`BackendError` unless the operation is for an array of ``shape``.

    ``shape``: (..., rows, cols), see :attr:`hwloop.backend.base.Description.shape`. Maps are of
    that shape or of (rows, cols); vectors of (..., batch, lines) or (batch, lines).
    """
    match operation:
        case PulseMap():
            _check_map(operation.amplitude_v.shape, "amplitude_v", shape)
        case PulsePair():
            _check_map(operation.first_v.shape, "first_v", shape)
        case ReadMap():
            _check_map(operation.addressed.shape, "addressed", shape)
        case Ramp():
            _check_map(operation.start_v.shape, "start_v", shape)
        case Hold():
            _check_map(operation.conductance_s.shape, "conductance_s", shape)
        case VectorBatch():
            _check_vectors(operation, shape)
        case BlockBatch():
            _check_blocks(operation, shape)


def _check_map(given: tuple[int, ...], name: str, shape: tuple[int, ...]) -> None:
    if given not in (shape, shape[-2:]):
        raise BackendError(f"{name} has shape {given}; the array has {shape}")


def _check_vectors(batch: VectorBatch, shape: tuple[int, ...]) -> None:
    *population, _, lines = batch.voltage_v.shape
    wanted = shape[-2 if batch.driven == "rows" else -1]
    if lines != wanted:
        raise BackendError(f"voltage_v has {lines} {batch.driven}; the array has {wanted}")
    if tuple(population) not in ((), shape[:-2]):
        raise BackendError(
            f"voltage_v is for a population {tuple(population)}; the backend holds {shape[:-2]}"
        )


def _check_blocks(batch: BlockBatch, shape: tuple[int, ...]) -> None:
    *population, rows, cols = shape
    across = "columns"
    down = "rows"
    if batch.driven == "cols":
        rows, cols, down, across = cols, rows, across, down
    if batch.tiles > 1:
        tiles = population.pop() if population else 1
        if tiles != batch.tiles:
            raise BackendError(f"blocks are for {batch.tiles} tiles; the array has {tiles}")
    for number, block in enumerate(batch.blocks):
        if block.row_slice.stop > rows or block.col_slice.stop > cols:
            raise BackendError(
                f"block {number} ends at {down[:-1]} {block.row_slice.stop}, {across[:-1]}"
                f" {block.col_slice.stop}; a tile has {rows} {down}, {cols} {across}"
            )
    if batch.outer not in ((), tuple(population)):
        raise BackendError(
            f"voltage_v is for a population {batch.outer}; the backend holds {tuple(population)}"
        )
