"""Pieces of a multiplication of blocks, and their way through products and converters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hwloop.array.blocks import BlockBatch
from hwloop.array.codes import Codes, smallest_type
from hwloop.array.operations import Flag, Reading
from hwloop.types import FlagArray, FloatArray
from hwloop_sim.emulator.converters import memtorch_levels_a

if TYPE_CHECKING:
    from hwloop_sim.compiled.block_products import Conversion, DrawnNoise, Gathered, Pieces


@dataclass(frozen=True)
class Piece:
    """Part of a block in one tile of converters; ``column``: its first in the answer.

    ``row_tile``: index of the row of tiles. ``entries``: of a vector, for each of its rows.
    """

    tile: int
    rows: slice
    cols: slice
    entries: tuple[int, ...]
    column: int
    row_tile: int

    @property
    def key(self) -> tuple[int, ...]:
        """Return the place of its cells, by which its converters are known."""
        return self.tile, self.rows.start, self.rows.stop, self.cols.start

    @property
    def width(self) -> int:
        """Return the number of columns."""
        return int(self.cols.stop - self.cols.start)


def pieces_of(
    batch: BlockBatch, row_slices: Sequence[slice], col_slices: Sequence[slice]
) -> Iterator[Piece]:
    """Yield the parts of the blocks in each tile of converters, in the order of conversion."""
    first = 0
    for block in batch.blocks:
        for row_tile, own in enumerate(row_slices):
            rows = _common(block.row_slice, own)
            if rows is None:
                continue
            entries = block.rows[rows.start - block.top : rows.stop - block.top]
            for tile_cols in col_slices:
                cols = _common(block.col_slice, tile_cols)
                if cols is not None:
                    column = first + cols.start - block.left
                    yield Piece(block.tile, rows, cols, entries, column, row_tile)
        first += block.width


@dataclass(frozen=True, eq=False)
class BlockProduct:
    """Product of one array of the population, ready to be computed."""

    gathered: Gathered
    pieces: Pieces
    vectors: int
    noise: DrawnNoise

    def currents(self) -> FloatArray:
        """Return the noisy currents (vectors, conversions), amperes."""
        from hwloop_sim.compiled import block_products as compiled

        return compiled.multiply(self.gathered, self.pieces, vectors=self.vectors, noise=self.noise)

    def metered(self, bound_a: float) -> tuple[FloatArray, FlagArray]:
        """Return the noisy currents and their flags: NaN and flagged beyond ± ``bound_a``."""
        from hwloop_sim.compiled import block_products as compiled

        return compiled.multiply_and_meter(
            self.gathered,
            self.pieces,
            vectors=self.vectors,
            bound_a=bound_a,
            at_bound=Flag.COMPLIANCE,
            noise=self.noise,
        )


@dataclass(frozen=True, eq=False)
class Conversions:
    """Converters of a product: errors (..., conversions), the rest (conversions,).

    ``bound_a``: largest current that is measured.
    """

    gain: FloatArray
    offset_a: FloatArray
    low_a: FloatArray
    high_a: FloatArray
    top: FloatArray
    column: np.ndarray
    bound_a: float

    @property
    def code_type(self) -> type[np.unsignedinteger]:
        """Return the smallest type that holds every code."""
        return smallest_type(int(self.top.max()))

    def at(self, place: tuple[int, ...]) -> Conversion:
        """Return the converters of one array of the population."""
        from hwloop_sim.compiled import block_products as compiled

        return compiled.Conversion(
            self.gain[place], self.offset_a[place], self.low_a, self.high_a, self.top,
            self.bound_a, Flag.COMPLIANCE, Flag.OVER_RANGE,
        )  # fmt: skip

    def codes(self, values: np.ndarray) -> Codes:
        """Return codes (..., vectors, conversions) with their levels."""
        return Codes(values, self.column, self.low_a, self.high_a, self.top)


def in_one_pass(
    products: list[BlockProduct], conversions: Conversions, population: tuple[int, ...]
) -> Reading:
    """Multiply and convert without the currents in between: the same, to the last bit."""
    from hwloop_sim.compiled import block_products as compiled

    values, found = [], []
    for one, place in zip(products, np.ndindex(*population), strict=True):
        shape = (one.vectors, one.pieces.conversions)
        values.append(np.empty(shape, conversions.code_type))
        found.append(
            compiled.multiply_and_convert(
                one.gathered, one.pieces, conversions.at(place), values[-1], noise=one.noise
            )
        )
    return Reading(
        stacked([level_a for level_a, _ in found], population),
        stacked([flags for _, flags in found], population),
        conversions.codes(stacked(values, population)),
    )


def metered(
    products: list[BlockProduct], population: tuple[int, ...], *, bound_a: float
) -> Reading:
    """Multiply and meter in one pass: NaN and a flag beyond ± ``bound_a``."""
    current_a, flags = zip(*(one.metered(bound_a) for one in products), strict=True)
    return Reading(stacked(list(current_a), population), stacked(list(flags), population))


def stacked(parts: list[np.ndarray], population: tuple[int, ...]) -> np.ndarray:
    """Return what the arrays of a population have, (..., vectors, conversions)."""
    if not population:
        return parts[0]
    return np.stack(parts).reshape(*population, *parts[0].shape)


def floating(whole_a: FloatArray, pieces: list[Piece], bits: int, bound_a: float) -> Reading:
    """Return the levels of converters whose range is another for each vector and piece."""
    beyond = np.abs(whole_a) > bound_a
    found_a, first = np.empty(whole_a.shape), 0
    for one in pieces:
        own = slice(first, first + one.width)
        found_a[..., own] = memtorch_levels_a(whole_a[..., own], bits)
        first += one.width
    return Reading(np.where(beyond, np.nan, found_a), beyond * np.uint8(Flag.COMPLIANCE))


def gathered(batch: BlockBatch, driven_v: FloatArray, constant_v: float) -> Gathered:
    """Return where the entries of the vectors are among the padded images of one array."""
    from hwloop_sim.compiled import block_products as compiled

    windows = batch.windows
    if windows is None:
        own = np.arange(driven_v.shape[-1])
        images, places, steps = driven_v, (1, 1), (0, 0)
    else:
        edge = (windows.padding, windows.padding)
        padded = np.pad(driven_v, ((0, 0), (0, 0), edge, edge)) if windows.padding else driven_v
        _, channels, height, width = padded.shape
        corner = np.arange(windows.height)[:, None] * width + np.arange(windows.width)
        own = (np.arange(channels)[:, None, None] * height * width + corner).ravel()
        images, places = padded.reshape(len(padded), -1), batch.places
        steps = (windows.stride * width, windows.stride)
    if batch.constant_v is not None:
        own = np.append(own, -1)
    return compiled.Gathered(
        np.ascontiguousarray(images), own.astype(np.int64), places, *steps, constant_v
    )


def columns_of(pieces: list[Piece]) -> np.ndarray:
    """Return the column of the answer of each conversion."""
    return np.concatenate([np.arange(one.column, one.column + one.width) for one in pieces])


def by_piece(whole_a: FloatArray, pieces: list[Piece], bound_a: float) -> Iterator[FloatArray]:
    """Yield the currents of each piece within the compliance, which a range is calibrated on."""
    first = 0
    for one in pieces:
        own_a = whole_a[..., first : first + one.width]
        yield np.where(np.abs(own_a) <= bound_a, own_a, np.nan)
        first += one.width


def _common(first: slice, second: slice) -> slice | None:
    """Return what two slices share; None where nothing."""
    begin, end = max(first.start, second.start), min(first.stop, second.stop)
    return slice(begin, end) if begin < end else None
