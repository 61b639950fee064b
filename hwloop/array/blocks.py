"""Vectors for blocks of cells on several tiles, multiplied by one operation.

A layer of a network is cut into blocks that stand on tiles. Its input vectors are given once: as
they are, or as images over which a window is moved, so that no patch is written out before it is
driven.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from hwloop.messages import first_place
from hwloop.types import FloatArray

DrivenLines = Literal["rows", "cols"]
"""Lines that a multiplication drives; it measures the others."""

Keep = Literal["all", "answers", "summary"]
"""What a record keeps of a multiplication: every voltage and current, the answers, or figures."""


@dataclass(frozen=True)
class CellBlock:
    """Rectangle of cells on a tile, and the entries of a vector that drive its rows.

    ``top``, ``left``: its first row and column. ``rows``: for each of its rows from the top, the
    index of an entry. In a batch that drives the columns, what is said of rows here is meant of
    columns and the other way round.
    """

    tile: int
    top: int
    left: int
    width: int
    rows: tuple[int, ...]

    @property
    def row_slice(self) -> slice:
        """Return the rows of the tile that the block takes."""
        return slice(self.top, self.top + len(self.rows))

    @property
    def col_slice(self) -> slice:
        """Return the columns of the tile that the block takes."""
        return slice(self.left, self.left + self.width)


@dataclass(frozen=True)
class MovingWindow:
    """Window that is moved over images; each of its places gives a vector, channel by channel.

    ``padding``: lines of 0 V around an image. ``stride``: steps of the window.
    """

    height: int
    width: int
    padding: int = 0
    stride: int = 1

    def places(self, image: tuple[int, int]) -> tuple[int, int]:
        """Return how many places there are down and across an image (height, width)."""
        down, across = (
            (size + 2 * self.padding - own) // self.stride + 1
            for size, own in zip(image, (self.height, self.width), strict=True)
        )
        return down, across

    def vectors(self, images: FloatArray) -> FloatArray:
        """Return (..., images · places, channels · height · width) of (..., images, c, h, w)."""
        edge = [(0, 0)] * (images.ndim - 2) + [(self.padding, self.padding)] * 2
        view = np.lib.stride_tricks.sliding_window_view(
            np.pad(images, edge), (self.height, self.width), axis=(-2, -1)
        )[..., :: self.stride, :: self.stride, :, :]
        moved = np.moveaxis(view, -5, -3)  # (..., images, down, across, channels, height, width)
        *outer, count, down, across, channels, height, width = moved.shape
        return moved.reshape(*outer, count * down * across, channels * height * width)


@dataclass(frozen=True, eq=False)
class BlockBatch:
    """Row voltage vectors for blocks of cells, which are measured together.

    ``voltage_v``: vectors (..., batch, entries), volts, or with ``windows`` images (..., images,
    channels, height, width); the axes in front are those of a population without its tiles, or
    none. ``constant_v``: one more entry at the end of every vector. Blocks on different tiles are
    driven at once, those of one tile one after the other; every other row of a tile is at 0 V. The
    answer is the currents (..., vectors, columns), the columns of the blocks side by side.

    ``tiles``: of the array; 1: it has no axis of tiles. ``calibrate``: the converters of these
    blocks take their range from this batch. ``keep``: what a record keeps of it. ``driven``: with
    ``cols`` the vectors are on the columns, and the currents those of the rows.
    """

    voltage_v: FloatArray
    blocks: tuple[CellBlock, ...]
    tiles: int = 1
    windows: MovingWindow | None = None
    constant_v: float | None = None
    calibrate: bool = False
    keep: Keep = "all"
    driven: DrivenLines = "rows"
    _entries_v: tuple[float, float] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        owned_v, extremes_v = _owned(self.voltage_v, self.windows)
        object.__setattr__(self, "voltage_v", owned_v)
        object.__setattr__(self, "_entries_v", extremes_v)
        if self.driven not in get_args(DrivenLines):
            raise ValueError(f"driven {self.driven!r} is neither rows nor cols")
        if not self.blocks:
            raise ValueError("blocks is empty: nothing would be multiplied")
        if self.constant_v is not None and not np.isfinite(self.constant_v):
            raise ValueError(f"constant_v {self.constant_v} is not finite")
        self._refuse_small_images()
        for number, block in enumerate(self.blocks):
            self._check_block(number, block)

    @property
    def extremes_v(self) -> tuple[float, float]:
        """Return the lowest and the highest voltage of any row, 0 V of other rows included."""
        constant_v = self.constant_v or 0.0
        low_v, high_v = self._entries_v
        return min(low_v, constant_v, 0.0), max(high_v, constant_v, 0.0)

    @property
    def outer(self) -> tuple[int, ...]:
        """Return the axes in front of the vectors or images."""
        return self.voltage_v.shape[: -2 if self.windows is None else -4]

    @property
    def samples(self) -> int:
        """Return the number of images, or of vectors where there are no windows."""
        return int(self.voltage_v.shape[-2 if self.windows is None else -4])

    @property
    def places(self) -> tuple[int, int]:
        """Return the places of the window down and across an image; (1, 1) without windows."""
        if self.windows is None:
            return 1, 1
        return self.windows.places((self.voltage_v.shape[-2], self.voltage_v.shape[-1]))

    @property
    def vectors(self) -> int:
        """Return the number of vectors of each array."""
        down, across = self.places
        return self.samples * down * across

    @property
    def entries(self) -> int:
        """Return the length of a vector."""
        own = self.voltage_v.shape[-1]
        if self.windows is not None:
            own = self.voltage_v.shape[-3] * self.windows.height * self.windows.width
        return int(own) + (self.constant_v is not None)

    @property
    def columns(self) -> int:
        """Return the number of currents that a vector is answered with."""
        return sum(block.width for block in self.blocks)

    @cached_property
    def digest(self) -> bytes:
        """Return a digest of 16 bytes of all voltages, in their order."""
        return digest_of(self.voltage_v)

    @cached_property
    def rounds(self) -> tuple[tuple[tuple[int, CellBlock], ...], ...]:
        """Return the blocks that are driven at once, each with its first column in the answer."""
        left, column = [], 0
        for block in self.blocks:
            left.append((column, block))
            column += block.width
        rounds = []
        while left:
            first = {block.tile: (at, block) for at, block in reversed(left)}
            rounds.append(tuple(sorted(first.values(), key=lambda item: item[0])))
            left = [item for item in left if item not in first.values()]
        return tuple(rounds)

    def pieces(self, samples: int) -> Iterator[tuple[slice, FloatArray]]:
        """Yield vectors (..., n, entries) of so many samples at a time, and their places."""
        down, across = self.places
        for begin in range(0, self.samples, samples):
            end = min(begin + samples, self.samples)
            if self.windows is None:
                own_v = self.voltage_v[..., begin:end, :]
            else:
                own_v = self.windows.vectors(self.voltage_v[..., begin:end, :, :, :])
            if self.constant_v is not None:
                one_v = np.full((*own_v.shape[:-1], 1), self.constant_v)
                own_v = np.concatenate([own_v, one_v], axis=-1)
            yield slice(begin * down * across, end * down * across), own_v

    def layout(self) -> str:
        """Return all but the voltages as JSON: what is multiplied, and how."""
        windows = self.windows
        return json.dumps(
            {
                "blocks": [[b.tile, b.top, b.left, b.width, _ranges(b.rows)] for b in self.blocks],
                "tiles": self.tiles,
                "windows": windows
                and [windows.height, windows.width, windows.padding, windows.stride],
                "constant_v": self.constant_v,
                "calibrate": self.calibrate,
                **({} if self.driven == "rows" else {"driven": self.driven}),
            }
        )

    @classmethod
    def with_layout(cls, layout: str, voltage_v: ArrayLike, *, keep: Keep = "all") -> BlockBatch:
        """Return a batch of :meth:`layout`; raises :class:`ValueError` where the two do not fit."""
        data = json.loads(layout)
        windows = data["windows"]
        return cls(
            np.asarray(voltage_v),
            tuple(
                CellBlock(tile, top, left, width, _indices(rows))
                for tile, top, left, width, rows in data["blocks"]
            ),
            data["tiles"],
            None if windows is None else MovingWindow(*windows),
            data["constant_v"],
            data["calibrate"],
            keep,
            data.get("driven", "rows"),
        )

    def _refuse_small_images(self) -> None:
        if min(self.places) < 1:
            raise ValueError(
                f"voltage_v has images of {self.voltage_v.shape[-2:]}: smaller than their window"
            )

    def _check_block(self, number: int, block: CellBlock) -> None:
        if not 0 <= block.tile < self.tiles:
            raise ValueError(f"block {number}: tile {block.tile} of {self.tiles} tiles")
        if not block.rows or block.width < 1 or min(block.top, block.left) < 0:
            raise ValueError(f"block {number}: has no cells, or begins outside its tile: {block}")
        if not 0 <= min(block.rows) <= max(block.rows) < self.entries:
            raise ValueError(f"block {number}: a row of no entry; vectors have {self.entries}")


def digest_of(values: np.ndarray) -> bytes:
    """Return the first 16 bytes of the SHA-256 of an array's entries in order."""
    return hashlib.sha256(np.ascontiguousarray(values).data).digest()[:16]


def _owned(
    values: ArrayLike, windows: MovingWindow | None
) -> tuple[FloatArray, tuple[float, float]]:
    """Return voltages that nobody can write to, and the lowest and highest of them.

    An array that is read-only already, and no view of another, is taken as it is.
    """
    if isinstance(values, np.ndarray) and _is_settled(values):
        array = values
    else:
        array = np.array(values, dtype=np.float64, order="C")
    least = 2 if windows is None else 4
    if array.ndim < least:
        raise ValueError(f"voltage_v has {array.ndim} axes; the last {least} must be there")
    ends_v = (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
    # Of the two extremes one is NaN or infinite if any entry is.
    if not np.isfinite(ends_v).all():
        place = first_place(~np.isfinite(array))
        raise ValueError(f"voltage_v at {place} is {array[place]}: every entry must be finite")
    array.setflags(write=False)
    return array, ends_v


def _is_settled(values: np.ndarray) -> bool:
    kept = values.flags.c_contiguous and not values.flags.writeable and values.base is None
    return bool(kept) and type(values) is np.ndarray and values.dtype == np.float64


def _ranges(rows: Sequence[int]) -> list[int] | list[list[int]]:
    """Return [[first, count]] of rows in order, or the rows where they are permuted."""
    first = rows[0]
    if list(rows) == list(range(first, first + len(rows))):
        return [[first, len(rows)]]
    return list(rows)


def _indices(rows: Sequence[int] | Sequence[Sequence[int]]) -> tuple[int, ...]:
    head = rows[0]
    if isinstance(head, int):
        return tuple(int(row) for row in rows)  # type: ignore[arg-type]
    return tuple(range(head[0], head[0] + head[1]))
