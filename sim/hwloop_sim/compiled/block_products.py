"""One compiled pass from input vectors to codes: windows, products, noise, and conversion.

The vectors of a convolution are gathered from the images, so that no patch is written to memory.
Each vector is worked on alone and in one order of operations: neither the number of threads nor the
number of vectors of a call changes a bit of it. Its noise is drawn by its number; see
:mod:`hwloop_sim.compiled.counter_based_random`.

Import this module where it is used: it loads numba.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from hwloop.types import FlagArray, FloatArray
from hwloop_sim.compiled.counter_based_random import fill_normals
from hwloop_sim.compiled.kernels import THREADS

_GROUP = 1024  # currents that one thread draws noise for at a time


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

    Each converts I · ``gain`` + ``offset`` to ``top`` + 1 levels from ``low`` to ``high``.
    """

    gain: FloatArray
    offset: FloatArray
    low: FloatArray
    high: FloatArray
    top: FloatArray


@numba.njit(parallel=True, cache=True, fastmath={"contract"})
def _multiply(  # noqa: C901 - one pass: what is split off is compiled apart
    images, offset, across, places, row_step, col_step, constant,
    rows, begin, widths, matrix, variance,
    fixed_variance, key, draw, first, out,
):  # fmt: skip
    vectors, conversions = out.shape
    padded = (conversions + 3) // 4 * 4
    each = max(1, _GROUP // padded)
    noisy = variance.size > 0 or fixed_variance > 0
    begin_group, end_group = first // each, (first + vectors + each - 1) // each
    longest = 0
    for piece in range(widths.size):
        longest = max(longest, begin[piece + 1] - begin[piece])
    for group in numba.prange(begin_group, end_group):
        normals = np.empty(each * padded if noisy else 4, np.float32)
        if noisy:
            fill_normals(normals, group, draw, key)
        values = np.empty(longest + 4)
        where = np.empty(longest + 4, np.int64)
        spread = np.empty(conversions)
        for vector in range(max(group * each, first), min((group + 1) * each, first + vectors)):
            place = vector - first
            image = images[place // places]
            within = place % places
            corner = (within // across) * row_step + (within % across) * col_step
            total = out[place]
            total[:] = 0.0
            spread[:] = fixed_variance
            column, cell = 0, 0
            for piece in range(widths.size):
                width = widths[piece]
                own = total[column : column + width]
                count = 0
                for row in range(begin[piece], begin[piece + 1]):
                    at = offset[rows[row]]
                    value = image[corner + at] if at >= 0 else constant
                    values[count] = value
                    where[count] = cell
                    count += value != 0.0
                    cell += width
                for more in range(count, count + 4):  # up to a multiple of four, at 0 V
                    values[more] = 0.0
                    where[more] = where[0] if count else cell - width
                for four in range(0, count, 4):
                    a, b, c, d = values[four], values[four + 1], values[four + 2], values[four + 3]
                    ma = matrix[where[four] : where[four] + width]
                    mb = matrix[where[four + 1] : where[four + 1] + width]
                    mc = matrix[where[four + 2] : where[four + 2] + width]
                    md = matrix[where[four + 3] : where[four + 3] + width]
                    for i in range(width):
                        own[i] += a * ma[i] + b * mb[i] + c * mc[i] + d * md[i]
                if variance.size:
                    of_piece = spread[column : column + width]
                    for one in range(count):
                        square = values[one] * values[one]
                        cells = variance[where[one] : where[one] + width]
                        for i in range(width):
                            of_piece[i] += square * cells[i]
                column += width
            if noisy:
                drawn = normals[(vector - group * each) * padded :]
                for i in range(conversions):
                    total[i] += np.sqrt(spread[i]) * drawn[i]


@numba.njit(parallel=True, cache=True)
def _convert(values, gain, offset, low, high, top, bound, at_bound, beyond, codes, flags):
    vectors, conversions = values.shape
    size = 64
    for group in numba.prange((vectors + size - 1) // size):
        for vector in range(group * size, min((group + 1) * size, vectors)):
            value, code_of, flag_of = values[vector], codes[vector], flags[vector]
            for i in range(conversions):
                step = (high[i] - low[i]) / top[i]
                complies = np.abs(value[i]) <= bound
                code = np.rint((value[i] * gain[i] + offset[i] - low[i]) / step)
                inside = 0.0 <= code <= top[i]
                # Not a number is over range as well; its code is 0.
                held = min(max(code, 0.0), top[i]) if code == code else 0.0
                code_of[i] = np.uint32(held)
                flag = np.uint8(0) if inside else np.uint8(beyond)
                flag_of[i] = flag if complies else np.uint8(at_bound)
                level = (high[i] + low[i]) / 2 + (held - top[i] / 2) * step
                value[i] = level if inside and complies else np.nan


def multiply(
    gathered: Gathered,
    pieces: Pieces,
    *,
    vectors: int,
    first: int = 0,
    key: int = 0,
    draw: int = 0,
    fixed_variance_a2: float = 0.0,
) -> FloatArray:
    """Return the currents (vectors, conversions), amperes, with noise.

    ``first``: number of the first vector, by which its noise is drawn. ``fixed_variance_a2``: of
    each current, besides that of its cells.
    """
    out = np.empty((vectors, pieces.conversions))
    down, across = gathered.places
    with THREADS:
        _multiply(
            gathered.images, gathered.offset, across, down * across,
            gathered.row_step, gathered.col_step, gathered.constant,
            pieces.rows, pieces.begin, pieces.widths, pieces.matrix, pieces.variance,
            fixed_variance_a2, np.uint64(key), np.uint64(draw), first, out,
        )  # fmt: skip
    return out


def convert(
    current_a: FloatArray,
    conversion: Conversion,
    codes: NDArray[np.unsignedinteger],
    *,
    bound_a: float,
    at_bound: int,
    beyond: int,
) -> FlagArray:
    """Convert currents (vectors, conversions) to levels, in place; fill ``codes``, return flags.

    A current not within ± ``bound_a`` is flagged ``at_bound``, any other that is over range
    ``beyond``; either becomes NaN, and its code the nearest end.
    """
    flags = np.empty(current_a.shape, np.uint8)
    part = conversion
    with THREADS:
        _convert(
            current_a, part.gain, part.offset, part.low, part.high, part.top,
            bound_a, at_bound, beyond, codes, flags,
        )  # fmt: skip
    return flags
