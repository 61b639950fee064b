"""Multiplication of blocks in one compiled pass, where cells and lines allow it.

Linear cells that do not change from one vector to the next, on lines that are held, multiply by a
matrix: their conductances, or with wires the transfer matrix of their tile. Each block has a range
of its converters, calibrated on a batch that says so, else on the first. The noise of a block's
currents is drawn by the number of the vector, counted from the first that the block has seen: how
many vectors come at a time changes no bit. For other cells and lines see
:mod:`hwloop.backend.by_vectors`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from hwloop.array.blocks import BlockBatch, CellBlock
from hwloop.array.converter_range import Levels
from hwloop.array.operations import Reading
from hwloop.types import FloatArray
from hwloop_sim.cells.composed import NonIdealDevice
from hwloop_sim.emulator.block_pieces import (
    BlockProduct,
    Conversions,
    Piece,
    by_piece,
    columns_of,
    floating,
    gathered,
    in_one_pass,
    metered,
    pieces_of,
    stacked,
)
from hwloop_sim.emulator.lines import ArrayLines
from hwloop_sim.emulator.readout import Readout

if TYPE_CHECKING:
    from hwloop_sim.compiled.block_products import DrawnNoise, Pieces

_Blocks = tuple[CellBlock, ...]


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
        if batch.driven != "rows":  # on their own side, vector by vector
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
        pieces = list(pieces_of(batch, self._readout.row_slices, self._readout.col_slices))
        population = cells.conductance_s.shape[: -3 if batch.tiles > 1 else -2]
        products = [
            self._product(batch, pieces, place, self._noise(cells, batch, number))
            for number, place in enumerate(np.ndindex(*population))
        ]
        adc = self._readout.adc
        if adc is not None and not adc.each_vector and not batch.calibrate:
            levels = self._readout.known_levels([one.key for one in pieces])
            if levels is not None:
                conversions = self._conversions(pieces, levels, batch, bound_a)
                reading = in_one_pass(products, conversions, population)
                self._counted(batch).vectors += batch.vectors
                return self._summed(reading, batch, pieces)
        if adc is None:
            reading = metered(products, population, bound_a=bound_a)
            self._counted(batch).vectors += batch.vectors
            return self._summed(reading, batch, pieces)
        whole_a = stacked([one.currents() for one in products], population)
        self._counted(batch).vectors += batch.vectors
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

    def _noise(self, cells: NonIdealDevice, batch: BlockBatch, draw: int) -> DrawnNoise:
        """Return the noise of the next vectors on one array of the population."""
        from hwloop_sim.compiled import block_products as compiled

        seen = self._counted(batch)
        return compiled.DrawnNoise(self._fixed_variance_a2(cells), seen.key, draw, seen.vectors)

    def _counted(self, batch: BlockBatch) -> _Seen:
        if batch.blocks not in self._seen:
            self._seen[batch.blocks] = _Seen(int(self._rng.integers(2**63)))
        return self._seen[batch.blocks]

    def _product(
        self, batch: BlockBatch, pieces: list[Piece], place: tuple[int, ...], noise: DrawnNoise
    ) -> BlockProduct:
        """Return the product of the array at ``place``, before it is computed."""
        own_v = batch.voltage_v[place] if batch.outer else batch.voltage_v
        if (batch.blocks, place) not in self._made:
            self._made[batch.blocks, place] = self._compiled(batch, pieces, place)
        return BlockProduct(
            gathered(batch, self._readout.drive(own_v), self._constant_v(batch)),
            self._made[batch.blocks, place],
            batch.vectors,
            noise,
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

        adc = self._readout.adc
        if adc is not None and adc.each_vector:
            gain, offset_a = self._errors(batch, pieces)
            own_a = whole_a * gain[..., None, :] + offset_a[..., None, :]
            reading = floating(own_a, pieces, adc.bits, bound_a)
            return self._summed(reading, batch, pieces)
        levels = self._readout.levels_of(
            [one.key for one in pieces],
            by_piece(whole_a, pieces, bound_a),
            anew=batch.calibrate,
        )
        conversions = self._conversions(pieces, levels, batch, bound_a)
        values = np.empty(whole_a.shape, conversions.code_type)
        flags = np.empty(whole_a.shape, np.uint8)
        for place in np.ndindex(*whole_a.shape[:-2]):
            flags[place] = compiled.convert(whole_a[place], conversions.at(place), values[place])
        return self._summed(Reading(whole_a, flags, conversions.codes(values)), batch, pieces)

    def _errors(self, batch: BlockBatch, pieces: list[Piece]) -> tuple[FloatArray, FloatArray]:
        return self._readout.errors_of(
            [(one.row_tile, one.tile, one.cols) for one in pieces], tiled=batch.tiles > 1
        )

    def _conversions(
        self, pieces: list[Piece], levels: list[Levels], batch: BlockBatch, bound_a: float
    ) -> Conversions:
        widths = [one.width for one in pieces]
        low_a, high_a, top = (
            np.repeat([getattr(one, name) for one in levels], widths).astype(np.float64)
            for name in ("low", "high", "top")
        )
        gain, offset_a = self._errors(batch, pieces)
        return Conversions(gain, offset_a, low_a, high_a, top, columns_of(pieces), bound_a)

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
