"""Multiplication of blocks in one compiled pass, where cells and lines allow it.

Linear cells that do not change from one vector to the next, on lines that are held, multiply by a
matrix: their conductances, or with wires the transfer matrix of their tile. Each block has a range
of its converters, calibrated on a batch that says so, else on the first. The noise of a block's
currents is drawn by the number of the vector, counted from the first that the block has seen: how
many vectors come at a time changes no bit. For other cells and lines see
:mod:`hwloop.backend.by_vectors`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from hwloop.array.blocks import BlockBatch, CellBlock
from hwloop.array.codes import Codes, smallest_type
from hwloop.array.operations import Flag, Reading
from hwloop.types import FloatArray
from hwloop_sim.cells.composed import NonIdealDevice
from hwloop_sim.emulator.converters import memtorch_levels_a
from hwloop_sim.emulator.lines import ArrayLines
from hwloop_sim.emulator.readout import Readout, metered

if TYPE_CHECKING:
    from hwloop_sim.compiled.block_products import Conversion, Gathered, Pieces

_Blocks = tuple[CellBlock, ...]


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
    def width(self) -> int:
        """Return the number of columns."""
        return int(self.cols.stop - self.cols.start)


@dataclass
class _Seen:
    """Number of vectors that some blocks have multiplied, and the key of their noise."""

    key: int
    vectors: int = field(default=0)


class BlockProducts:
    """Products of blocks with the cells of an emulated population.

    ``fraction``: noise of each cell's current as a fraction of it. ``rng``: gives the keys of the
    noise.
    """

    def __init__(
        self, lines: ArrayLines, readout: Readout, *, fraction: float, rng: np.random.Generator
    ) -> None:
        self._lines, self._readout = lines, readout
        self._fraction = fraction
        self._rng = rng
        self._seen: dict[_Blocks, _Seen] = {}
        self._conductance_s: FloatArray | None = None
        self._matrix: FloatArray | None = None
        self._variance: FloatArray | None = None
        self._made: dict[tuple[_Blocks, tuple[int, ...]], Pieces] = {}

    def can(self, cells: NonIdealDevice, batch: BlockBatch, *, bound_a: float) -> bool:
        """Return whether these cells multiply by a matrix, no row beyond its compliance."""
        if not cells.linear or cells.time_varying or cells.changed_by_reads:
            return False
        if self._lines.one_by_one or not self._readout.drives_alike:
            return False
        if any(noise.fixed_variance_a2() is None for noise in cells.read_noise):
            return False
        low_v, high_v = batch.extremes_v
        highest_v = max(-low_v, high_v)
        if not self._lines.rows_within(cells, highest_v, bound_a=bound_a):
            return False
        self._know(cells)
        return self._matrix is not None

    def answer(self, cells: NonIdealDevice, batch: BlockBatch, *, bound_a: float) -> Reading:
        """Return the currents, and the codes of the converters where there are some."""
        self._know(cells)
        pieces = list(self._pieces(batch))
        population = cells.conductance_s.shape[: -3 if batch.tiles > 1 else -2]
        fixed_a2 = self._fixed_variance_a2(cells)
        seen = self._counted(batch)
        raw_a = [
            self._product(batch, pieces, place, number, seen, fixed_a2)
            for number, place in enumerate(np.ndindex(*population))
        ]
        whole_a = np.stack(raw_a).reshape(*population, *raw_a[0].shape) if population else raw_a[0]
        seen.vectors += batch.vectors
        if self._readout.adc is None:
            return self._summed(metered(whole_a, bound_a), batch, pieces)
        return self._converted(whole_a, batch, pieces, bound_a)

    def _know(self, cells: NonIdealDevice) -> None:
        """Keep the matrix and the variances of unchanged conductances."""
        conductance_s = cells.conductance_s
        if conductance_s is self._conductance_s:
            return
        self._conductance_s, self._made = conductance_s, {}
        matrix = self._lines.transfer_conductance_s(cells)
        self._matrix = matrix if np.isfinite(matrix).all() else None
        variance = np.zeros(conductance_s.shape)
        if self._fraction:
            variance += np.square(self._fraction * conductance_s)
        for noise in cells.read_noise:
            variance += noise.conductance_variance_s2(conductance_s)
        self._variance = variance if variance.any() else None

    def _fixed_variance_a2(self, cells: NonIdealDevice) -> float:
        own_a2 = sum(noise.fixed_variance_a2() or 0.0 for noise in cells.read_noise)
        adc = self._readout.adc
        return float(own_a2 + (0.0 if adc is None else adc.noise_a**2))

    def _counted(self, batch: BlockBatch) -> _Seen:
        if batch.blocks not in self._seen:
            self._seen[batch.blocks] = _Seen(int(self._rng.integers(2**63)))
        return self._seen[batch.blocks]

    def _pieces(self, batch: BlockBatch) -> Iterator[Piece]:
        """Yield the parts of the blocks in each tile of converters, in the order of conversion."""
        first = 0
        for block in batch.blocks:
            for row_tile, own in enumerate(self._readout.row_slices):
                rows = _common(block.row_slice, own)
                if rows is None:
                    continue
                entries = block.rows[rows.start - block.top : rows.stop - block.top]
                for tile_cols in self._readout.col_slices:
                    cols = _common(block.col_slice, tile_cols)
                    if cols is not None:
                        column = first + cols.start - block.left
                        yield Piece(block.tile, rows, cols, entries, column, row_tile)
            first += block.width

    def _product(
        self,
        batch: BlockBatch,
        pieces: list[Piece],
        place: tuple[int, ...],
        number: int,
        seen: _Seen,
        fixed_a2: float,
    ) -> FloatArray:
        """Return the noisy currents (vectors, conversions) of the array at ``place``."""
        from hwloop_sim.compiled import block_products as compiled

        own_v = batch.voltage_v[place] if batch.outer else batch.voltage_v
        if (batch.blocks, place) not in self._made:
            self._made[batch.blocks, place] = self._compiled(batch, pieces, place)
        return compiled.multiply(
            gathered(batch, self._readout.drive(own_v), self._constant_v(batch)),
            self._made[batch.blocks, place],
            vectors=batch.vectors,
            first=seen.vectors,
            key=seen.key,
            draw=number,
            fixed_variance_a2=fixed_a2,
        )

    def _constant_v(self, batch: BlockBatch) -> float:
        if batch.constant_v is None:
            return 0.0
        return float(self._readout.drive(np.full((1, 1), batch.constant_v))[0, 0])

    def _compiled(self, batch: BlockBatch, pieces: list[Piece], place: tuple[int, ...]) -> Pieces:
        from hwloop_sim.compiled import block_products as compiled

        def cells_of(values: FloatArray | None) -> FloatArray:
            if values is None:
                return np.empty(0)
            own = values[place] if batch.tiles > 1 else values[place][None]
            return np.concatenate([own[one.tile, one.rows, one.cols].ravel() for one in pieces])

        return compiled.Pieces(
            np.concatenate([np.array(one.entries, dtype=np.int64) for one in pieces]),
            np.cumsum([0, *(len(one.entries) for one in pieces)]),
            np.array([one.width for one in pieces], dtype=np.int64),
            cells_of(self._matrix),
            cells_of(self._variance),
        )

    def _converted(
        self, whole_a: FloatArray, batch: BlockBatch, pieces: list[Piece], bound_a: float
    ) -> Reading:
        """Return the levels of the converters, and their codes."""
        from hwloop_sim.compiled import block_products as compiled

        gain, offset_a = self._readout.errors_of(
            [(one.row_tile, one.tile, one.cols) for one in pieces], tiled=batch.tiles > 1
        )
        adc = self._readout.adc
        if adc is not None and adc.each_vector:
            own_a = whole_a * gain[..., None, :] + offset_a[..., None, :]
            reading = _floating(own_a, pieces, adc.bits, bound_a)
            return self._summed(reading, batch, pieces)
        levels = self._readout.levels_of(
            [(one.tile, one.rows.start, one.rows.stop, one.cols.start) for one in pieces],
            _by_piece(whole_a, pieces, bound_a),
            anew=batch.calibrate,
        )
        widths = [one.width for one in pieces]
        low_a, high_a, top = (
            np.repeat([getattr(one, name) for one in levels], widths).astype(np.float64)
            for name in ("low", "high", "top")
        )
        values = np.empty(whole_a.shape, smallest_type(int(top.max())))
        flags = np.empty(whole_a.shape, np.uint8)
        for place in np.ndindex(*whole_a.shape[:-2]):
            own = compiled.Conversion(gain[place], offset_a[place], low_a, high_a, top)
            flags[place] = _convert(whole_a[place], own, values[place], bound_a)
        codes = Codes(values, columns_of(pieces), low_a, high_a, top)
        return self._summed(Reading(whole_a, flags, codes), batch, pieces)

    def _summed(self, reading: Reading, batch: BlockBatch, pieces: list[Piece]) -> Reading:
        """Add the partial currents of blocks that are higher than a tile of converters."""
        column = columns_of(pieces)
        if len(column) == batch.columns:
            return reading
        shape = (*reading.current_a.shape[:-1], batch.columns)
        current_a, flags = np.zeros(shape), np.zeros(shape, np.uint8)
        for conversion, at in enumerate(column):
            current_a[..., at] += reading.current_a[..., conversion]
            flags[..., at] |= reading.flags[..., conversion]
        return Reading(current_a, flags, reading.codes)


def _floating(whole_a: FloatArray, pieces: list[Piece], bits: int, bound_a: float) -> Reading:
    """Return the levels of converters whose range is another for each vector and piece."""
    beyond = np.abs(whole_a) > bound_a
    found_a, first = np.empty(whole_a.shape), 0
    for one in pieces:
        own = slice(first, first + one.width)
        found_a[..., own] = memtorch_levels_a(whole_a[..., own], bits)
        first += one.width
    return Reading(np.where(beyond, np.nan, found_a), beyond * np.uint8(Flag.COMPLIANCE))


def _convert(
    current_a: FloatArray, conversion: Conversion, codes: np.ndarray, bound_a: float
) -> np.ndarray:
    from hwloop_sim.compiled import block_products as compiled

    return compiled.convert(
        current_a,
        conversion,
        codes,
        bound_a=bound_a,
        at_bound=Flag.COMPLIANCE,
        beyond=Flag.OVER_RANGE,
    )


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


def _by_piece(whole_a: FloatArray, pieces: list[Piece], bound_a: float) -> Iterator[FloatArray]:
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
