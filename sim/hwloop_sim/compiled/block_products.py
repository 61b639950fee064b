"""One compiled pass from input vectors to codes: windows, products, noise, and conversion.

The vectors of a convolution are gathered from the images, so that no patch is written to memory.
Each vector is worked on alone and in one order of operations: neither the number of threads nor the
number of vectors of a call changes a bit of it. Its noise is drawn by its number; see
:mod:`hwloop_sim.compiled.counter_based_random`.

Import this module where it is used: it loads numba.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwloop.types import FlagArray, FloatArray
from hwloop_sim.compiled import block_kernels
from hwloop_sim.compiled.kernels import THREADS

_KERNELS: Any = block_kernels  # their signatures are numba's


@dataclass(frozen=True, eq=False)
class Gathered:
    """Entries of vectors among the numbers of padded images, (images, numbers).

    ``offset``: of each entry from the corner of the window. ``places``: down and across.
    ``row_step``, ``col_step``: numbers from one place to the next. An entry of offset −1 is
    ``constant``.
    """

    images: FloatArray
    offset: NDArray[np.int64]
    places: tuple[int, int]
    row_step: int
    col_step: int
    constant: float


@dataclass(frozen=True, eq=False)
class Pieces:
    """Rectangles of cells whose columns are converted one by one, one piece after the other.

    ``rows``: entries of a vector that drive the rows of every piece, in one list; ``begin``: where
    those of a piece begin, and the end. ``widths``: columns of each. ``matrix``: siemens, row by
    row of each piece; ``variance``: siemens² of the same cells, empty without noise.
    """

    rows: NDArray[np.int64]
    begin: NDArray[np.int64]
    widths: NDArray[np.int64]
    matrix: FloatArray
    variance: FloatArray

    @property
    def conversions(self) -> int:
        """Return the number of conversions of each vector."""
        return int(self.widths.sum())


@dataclass(frozen=True, eq=False)
class Conversion:
    """Errors and ranges of the converters, (conversions,); amperes.

    Each converts I · ``gain`` + ``offset`` to ``top`` + 1 levels from ``low`` to ``high``. A
    current not within ± ``bound_a`` is flagged ``at_bound``, any other that is over range
    ``beyond``; either becomes NaN, and its code the nearest end.
    """

    gain: FloatArray
    offset: FloatArray
    low: FloatArray
    high: FloatArray
    top: FloatArray
    bound_a: float
    at_bound: int
    beyond: int

    @property
    def arguments(self) -> tuple[Any, ...]:
        """Return the arguments of the kernels."""
        return (
            self.gain, self.offset, self.low, self.high, self.top,
            self.bound_a, self.at_bound, self.beyond,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class DrawnNoise:
    """Noise of currents: each has ``fixed_variance_a2`` besides that of its cells.

    ``key``, ``draw``: of its random numbers. ``first``: number of the first vector, by which its
    noise is drawn.
    """

    fixed_variance_a2: float = 0.0
    key: int = 0
    draw: int = 0
    first: int = 0


def multiply(
    gathered: Gathered, pieces: Pieces, *, vectors: int, noise: DrawnNoise | None = None
) -> FloatArray:
    """Return the currents (vectors, conversions), amperes, with noise."""
    current_a = np.empty((vectors, pieces.conversions))
    none = np.empty((0, 0), np.uint8)
    ends = np.empty(0)
    nothing = Conversion(ends, ends, ends, ends, ends, bound_a=np.inf, at_bound=0, beyond=0)
    _multiply(gathered, pieces, noise or DrawnNoise(), nothing, (current_a, none, none))
    return current_a


def multiply_and_meter(
    gathered: Gathered,
    pieces: Pieces,
    *,
    vectors: int,
    bound_a: float,
    at_bound: int,
    noise: DrawnNoise | None = None,
) -> tuple[FloatArray, FlagArray]:
    """Return the currents (vectors, conversions), amperes, with noise, and their flags.

    A current beyond ± ``bound_a`` is NaN, and flagged ``at_bound``.
    """
    current_a = np.empty((vectors, pieces.conversions))
    flags = np.zeros(current_a.shape, np.uint8)
    ends = np.empty(0)
    meter = Conversion(ends, ends, ends, ends, ends, bound_a, at_bound, beyond=0)
    none = np.empty((0, 0), np.uint8)
    _multiply(gathered, pieces, noise or DrawnNoise(), meter, (current_a, none, flags))
    return current_a, flags


def multiply_and_convert(
    gathered: Gathered,
    pieces: Pieces,
    conversion: Conversion,
    codes: NDArray[np.unsignedinteger],
    *,
    noise: DrawnNoise | None = None,
) -> tuple[FloatArray, FlagArray]:
    """Return levels (vectors, conversions), amperes, and flags; fill in ``codes``.

    The same to the last bit as :func:`multiply` and :func:`convert` one after the other.
    """
    level_a, flags = np.empty(codes.shape), np.zeros(codes.shape, np.uint8)
    _multiply(gathered, pieces, noise or DrawnNoise(), conversion, (level_a, codes, flags))
    return level_a, flags


def _multiply(
    gathered: Gathered,
    pieces: Pieces,
    noise: DrawnNoise,
    conversion: Conversion,
    out: tuple[FloatArray, NDArray[np.unsignedinteger], FlagArray],
) -> None:
    if not out[0].size:
        return
    down, across = gathered.places
    current_a, codes, flags = out
    quiet = not pieces.variance.size and not noise.fixed_variance_a2
    if quiet and not codes.size and down * across == 1 and len(current_a) < block_kernels.LANES:
        _KERNELS.multiply_few(
            gathered.images.reshape(-1), gathered.images.shape[1],
            gathered.offset, gathered.constant,
            pieces.rows, pieces.begin, pieces.widths, pieces.matrix,
            conversion.bound_a, conversion.at_bound, current_a, flags,
        )  # fmt: skip
        return
    with THREADS:
        _KERNELS.multiply(
            gathered.images.reshape(-1), gathered.images.shape[1],
            gathered.offset, across, down * across,
            gathered.row_step, gathered.col_step, gathered.constant,
            pieces.rows, pieces.begin, pieces.widths, pieces.matrix, pieces.variance,
            noise.fixed_variance_a2, np.uint64(noise.key), np.uint64(noise.draw), noise.first,
            *conversion.arguments, *out,
        )  # fmt: skip


def convert(
    current_a: FloatArray, conversion: Conversion, codes: NDArray[np.unsignedinteger]
) -> FlagArray:
    """Convert currents (vectors, conversions) to levels, in place; fill in ``codes``, return flags.

    A current that is flagged becomes NaN.
    """
    flags = np.empty(current_a.shape, np.uint8)
    with THREADS:
        _KERNELS.convert(current_a, *conversion.arguments, codes, flags)
    return flags
