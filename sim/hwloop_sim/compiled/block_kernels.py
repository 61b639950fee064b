"""Kernels of :mod:`hwloop_sim.compiled.block_products`: vectors are worked on side by side.

A group of :data:`LANES` vectors is gathered from the images so that each entry of all of them lies
together: one instruction then works on several vectors, however few columns there are. What is
gathered serves all pieces in a row that take the same entries. A product is added row by row, and
its operations are the same in every lane and every group: neither the number of threads nor that of
vectors in a call changes a bit. Entries at 0 V in a whole group are left out, which adds exactly
nothing. Other threads may work meanwhile: Python's lock is let go.

Indices are unsigned: numba then spares the look whether they count from the end, and the loops
become vector instructions.
"""

from __future__ import annotations

import numba
import numpy as np

from hwloop_sim.compiled.counter_based_random import fill_normals_from

LANES = 32
"""Vectors of a group; its numbers and the sums of a tile stay in the processor's first cache."""

_AT_ONCE = 8
"""Entries that are read of one vector before the next: what a line of the cache holds."""

_MOST_RUNS = 8
"""Of neighbouring vectors in a group; where there are more, vectors are read one by one."""

_U = np.uint64


@numba.njit(cache=True, nogil=True)
def _runs(corner, begins):
    """Fill in where runs of lanes begin whose corners are neighbours, and the end; count them."""
    runs = 0
    for lane in range(LANES):
        if lane == 0 or corner[lane] != corner[lane - 1] + 1:
            begins[runs] = lane
            runs += 1
    begins[runs] = LANES
    return runs


@numba.njit(cache=True, nogil=True)
def _read(images, corner, begins, runs, at, values):
    """Fill in a few entries of a group, ``at`` so many numbers from the corners."""
    if runs <= _MOST_RUNS:
        for entry in range(at.size):
            for run in range(runs):
                first = begins[run]
                source, target = corner[first] + at[entry], entry * LANES + first
                for lane in range(begins[run + 1] - first):
                    values[_U(target + lane)] = images[_U(source + lane)]
        return
    for lane in range(LANES):
        for entry in range(at.size):
            values[_U(entry * LANES + lane)] = images[_U(corner[lane] + at[entry])]


@numba.njit(cache=True, nogil=True)
def _gather(images, corner, begins, runs, offset, rows, constant, values, where):
    """Fill in the entries of a group, and the row of cells that each drives; return their number.

    Entries that are 0 for every vector are left out; up to a multiple of four there are zeros.
    """
    count = 0
    at = np.empty(_AT_ONCE, np.int64)
    for row in range(0, rows.size, _AT_ONCE):
        some = min(_AT_ONCE, rows.size - row)
        for entry in range(some):
            at[entry] = max(offset[rows[row + entry]], 0)
        _read(images, corner, begins, runs, at[:some], values[count * LANES :])
        kept = count
        for entry in range(some):
            own = values[(count + entry) * LANES : (count + entry + 1) * LANES]
            if offset[rows[row + entry]] < 0:
                own[:] = constant
            largest = 0.0
            for lane in range(LANES):
                largest = max(largest, abs(own[lane]))
            if largest > 0.0:
                if kept < count + entry:
                    values[kept * LANES : (kept + 1) * LANES] = own
                where[kept] = row + entry
                kept += 1
        count = kept
    whole = (count + 3) // 4 * 4
    for row in range(count, whole):
        values[row * LANES : (row + 1) * LANES] = 0.0
        where[row] = 0
    return whole


@numba.njit(cache=True, nogil=True, fastmath={"contract"})
def _add_products(total, values, count, matrix, where, width):
    """Add Σ values · matrix to ``total``, both lane by lane; two columns and four rows at a time.

    There is room for one more column in ``total`` where ``width`` is odd.
    """
    one, two, three = _U(LANES), _U(2 * LANES), _U(3 * LANES)
    for column in range(0, width, 2):
        other = min(column + 1, width - 1)
        left, right = _U(column * LANES), _U((column + 1) * LANES)
        for row in range(0, count, 4):
            i, j, k, l = (  # noqa: E741
                where[row] * width, where[row + 1] * width,
                where[row + 2] * width, where[row + 3] * width,
            )  # fmt: skip
            i0, j0, k0, l0 = (
                matrix[i + column], matrix[j + column], matrix[k + column], matrix[l + column],
            )  # fmt: skip
            i1, j1, k1, l1 = (
                matrix[i + other], matrix[j + other], matrix[k + other], matrix[l + other],
            )  # fmt: skip
            begin = _U(row * LANES)
            for number in range(LANES):
                lane = _U(number)
                a, b = values[begin + lane], values[begin + one + lane]
                c, d = values[begin + two + lane], values[begin + three + lane]
                first = total[left + lane]
                total[left + lane] = (((first + a * i0) + b * j0) + c * k0) + d * l0
                second = total[right + lane]
                total[right + lane] = (((second + a * i1) + b * j1) + c * k1) + d * l1


@numba.njit(cache=True, nogil=True)
def _converted(value, gain, offset, low, high, top, bound, at_bound, beyond):
    """Return level, code and flag of a current; in the operations of NumPy, bit for bit."""
    step = (high - low) / top
    complies = abs(value) <= bound
    code = np.rint((value * gain + offset - low) / step)
    inside = 0.0 <= code <= top
    # Not a number is over range as well; its code is 0.
    held = min(max(code, 0.0), top) if code == code else 0.0
    flag = np.uint8(0) if inside else np.uint8(beyond)
    level = (high + low) / 2 + (held - top / 2) * step
    return (
        level if inside and complies else np.nan,
        held,
        flag if complies else np.uint8(at_bound),
    )


@numba.njit(cache=True, nogil=True)
def _convert_lanes(total, code_of, flag_of, gain, offset, low, high, top, bound, at_bound, beyond):
    """Convert the sums of columns, lane by lane, to levels in place; fill in codes and flags.

    Whether a flag is set is returned; where none is, none is filled in.
    """
    flagged = False
    for column in range(gain.size):
        own = total[column * LANES : (column + 1) * LANES]
        codes = code_of[column * LANES : (column + 1) * LANES]
        own_gain, own_offset = gain[column], offset[column]
        own_low, own_high, own_top = low[column], high[column], top[column]
        step = (own_high - own_low) / own_top
        middle, half = (own_high + own_low) / 2, own_top / 2
        wrong = 0
        for lane in range(LANES):
            code = np.rint((own[lane] * own_gain + own_offset - own_low) / step)
            codes[lane] = code
            wrong += not (0.0 <= code <= own_top and abs(own[lane]) <= bound)
        if wrong and not flagged:
            flagged = True
            flag_of[: column * LANES] = 0
        if wrong:
            flags = flag_of[column * LANES : (column + 1) * LANES]
            for lane in range(LANES):
                own[lane], codes[lane], flags[lane] = _converted(
                    own[lane], own_gain, own_offset, own_low, own_high, own_top,
                    bound, at_bound, beyond,
                )  # fmt: skip
            continue
        if flagged:
            flag_of[column * LANES : (column + 1) * LANES] = 0
        for lane in range(LANES):
            own[lane] = middle + (codes[lane] - half) * step
    return flagged


@numba.njit(cache=True, nogil=True)
def _meter_lanes(total, flag_of, bound, at_bound):
    """Make NaN and flag what is beyond ± ``bound``; return whether anything is."""
    largest = 0.0
    for i in range(flag_of.size):
        largest = max(largest, abs(total[i]))
    if largest <= bound:
        return False
    for i in range(flag_of.size):
        beyond = abs(total[i]) > bound
        flag_of[i] = at_bound if beyond else 0
        total[i] = np.nan if beyond else total[i]
    return True


@numba.njit(cache=True, nogil=True)
def _add_normals(total, spread, normals):
    for i in range(normals.size):
        total[i] += np.sqrt(spread[i]) * normals[i]


@numba.njit(cache=True, nogil=True, fastmath={"contract"})
def multiply_few(
    images, numbers, offset, constant, rows, begin, widths, matrix, bound, at_bound, out, flags
):
    """Fill in the currents of vectors (vectors, conversions) without noise, one by one.

    The operations of a column are those of :func:`multiply`, bit for bit; a group of lanes costs as
    much for a few vectors as for all. Nothing is flagged where ``flags`` is empty.
    """
    for vector in range(out.shape[0]):
        column, cell = 0, 0
        for piece in range(widths.size):
            width = widths[piece]
            total = out[vector, column : column + width]
            total[:] = 0.0
            for entry in rows[begin[piece] : begin[piece + 1]]:
                at = offset[entry]
                value = constant if at < 0 else images[vector * numbers + at]
                if value != 0.0:
                    own = matrix[cell : cell + width]
                    for i in range(width):
                        total[_U(i)] = total[_U(i)] + value * own[_U(i)]
                cell += width
            column += width
        if flags.size:
            for i in range(column):
                beyond = abs(out[vector, i]) > bound
                flags[vector, i] = at_bound if beyond else 0
                out[vector, i] = np.nan if beyond else out[vector, i]


@numba.njit(parallel=True, cache=True, nogil=True)
def multiply(  # noqa: C901 - one pass: what is split off is compiled apart
    images, numbers, offset, across, places, row_step, col_step, constant,
    rows, begin, widths, matrix, variance, fixed_variance, key, draw, first,
    gain, shift, low, high, top, bound, at_bound, beyond,
    out, codes, flags,
):  # fmt: skip
    """Fill in the currents of vectors (vectors, conversions), or levels, codes and flags.

    ``images``: side by side, ``numbers`` each. Nothing is converted where ``codes`` is empty, and
    nothing is flagged where ``flags`` is; else ``flags`` are 0 where nothing is to be flagged.
    """
    vectors, conversions = out.shape
    noisy = variance.size > 0 or fixed_variance > 0
    converts, meters = codes.size > 0, codes.size == 0 and flags.size > 0
    longest, widest = 0, 0
    for piece in range(widths.size):
        longest = max(longest, begin[piece + 1] - begin[piece])
        widest = max(widest, widths[piece])
    for group in numba.prange(first // LANES, (first + vectors + LANES - 1) // LANES):
        corner = np.empty(LANES, np.int64)
        for lane in range(LANES):
            # Lanes without a vector repeat the nearest: their answers are left behind.
            vector = min(max(group * LANES + lane - first, 0), vectors - 1)
            within = vector % places
            start = (within // across) * row_step + (within % across) * col_step
            corner[lane] = (vector // places) * numbers + start
        begins = np.empty(LANES + 1, np.int64)
        runs = _runs(corner, begins)
        values = np.empty((longest + _AT_ONCE) * LANES)
        where = np.empty(longest + _AT_ONCE, np.int64)
        total = np.empty((widest + 1) * LANES)
        spread = np.empty((widest + 1) * LANES if noisy else 0)
        normals = np.empty(widest * LANES if noisy else 0, np.float32)
        code_of = np.empty(widest * LANES if converts else 0)
        flag_of = np.empty(widest * LANES if converts or meters else 0, np.uint8)
        low_lane = max(first - group * LANES, 0)
        high_lane = min(first + vectors - group * LANES, LANES)
        column, cell, count, gathered = 0, 0, 0, rows[:0]
        for piece in range(widths.size):
            width, height = widths[piece], begin[piece + 1] - begin[piece]
            own_rows = rows[begin[piece] : begin[piece + 1]]
            own = slice(cell, cell + width * height)
            if not np.array_equal(own_rows, gathered):
                count = _gather(
                    images, corner, begins, runs, offset, own_rows, constant, values, where
                )
                gathered = own_rows
            total[: (width + 1) * LANES] = 0.0
            _add_products(total, values, count, matrix[own], where, width)
            if noisy:
                spread[: (width + 1) * LANES] = fixed_variance
                if variance.size:
                    for i in range(count * LANES):
                        values[i] *= values[i]
                    gathered = rows[:0]
                    _add_products(spread, values, count, variance[own], where, width)
                drawn = normals[: width * LANES]
                number = np.uint64((group * conversions + column) * (LANES // 4))
                fill_normals_from(drawn, number, draw, key)
                _add_normals(total, spread, drawn)
            end = column + width
            flagged = False
            if converts:
                flagged = _convert_lanes(
                    total, code_of, flag_of, gain[column:end], shift[column:end],
                    low[column:end], high[column:end], top[column:end], bound, at_bound, beyond,
                )  # fmt: skip
            elif meters:
                flagged = _meter_lanes(total, flag_of[: width * LANES], bound, at_bound)
            for lane in range(low_lane, high_lane):
                place = group * LANES + lane - first
                own_out = out[place, column:end]
                for i in range(width):
                    own_out[_U(i)] = total[_U(i * LANES + lane)]
                if converts:
                    own_codes = codes[place, column:end]
                    for i in range(width):
                        own_codes[_U(i)] = np.uint32(code_of[_U(i * LANES + lane)])
                if flagged:
                    own_flags = flags[place, column:end]
                    for i in range(width):
                        own_flags[_U(i)] = flag_of[_U(i * LANES + lane)]
            column, cell = end, own.stop


@numba.njit(parallel=True, cache=True, nogil=True)
def convert(values, gain, shift, low, high, top, bound, at_bound, beyond, codes, flags):
    """Convert currents (vectors, conversions) to levels, in place; fill in codes and flags."""
    vectors, conversions = values.shape
    size = 64
    for group in numba.prange((vectors + size - 1) // size):
        for vector in range(group * size, min((group + 1) * size, vectors)):
            for i in range(conversions):
                level, code, flag = _converted(
                    values[vector, i], gain[i], shift[i], low[i], high[i], top[i],
                    bound, at_bound, beyond,
                )  # fmt: skip
                values[vector, i], flags[vector, i] = level, flag
                codes[vector, i] = np.uint32(code)
