"""Compiled: every line as a ladder of its own, factored and solved, and the currents into it.

A ladder is eliminated from its first node to its last, in the form that never subtracts: node k has
the conductance y to ground seen backwards, and passes the share f = 1 / (1 + ohm y) on. So wires of
0 ohm are no special case, and lines that hang on 1e-8 S cells are as accurate as others.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

# Sums may be reordered and fused, so that they vectorise; NaN and infinity keep their meaning,
# but for isfinite, which numba writes as x - x == 0.
OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"contract", "reassoc", "nsz"},
    "no_cfunc_wrapper": True,
}
# What takes long to compile is left out: wrappers for Python, where functions are called by each
# other alone; expressions of whole arrays, which are loops here; and the big functions that are
# called in one place are put there, since each is optimised again in all that call it.
INNER: dict[str, Any] = {**OPTIONS, "no_cpython_wrapper": True}
compiled = njit(**INNER)
once = njit(**INNER, inline="always")


@compiled
def fill(values, value):
    """Set every element of an array to one value."""
    for i in range(values.size):
        values[i] = value


@compiled
def largest(values):
    """Return the largest of some non-negative numbers."""
    top = 0.0
    for value in values:
        top = value if value > top else top  # noqa: FURB136
    return top


@compiled
def largest_magnitude(field):
    """Return the largest magnitude in a field (rows, cols); infinity if any value is NaN."""
    top, total = 0.0, 0.0
    for i in range(field.shape[0]):
        for j in range(field.shape[1]):
            size = abs(field[i, j])
            top = size if size > top else top  # noqa: FURB136
            total += size
    # The comparison in a maximum loses NaN, the sum does not.
    return np.inf if np.isnan(total) else top


@compiled
def factor_words(g, first_conductance_s, last_conductance_s, ohm, floats, share, inverse):
    """Factor the ladders along the rows: ``share`` (rows, cols), ``inverse`` (rows,).

    Four rows at once: the divisions of a single row would wait for each other.
    """
    rows, cols = g.shape
    held = np.isinf(first_conductance_s) or np.isinf(last_conductance_s)
    seen = np.empty(rows)
    for i in range(rows):
        seen[i] = 0.0 if floats[i] or held else first_conductance_s
    for start in range(0, rows, 4):
        p, q = start, min(start + 1, rows - 1)
        r, s = min(start + 2, rows - 1), min(start + 3, rows - 1)
        a, b, c, d = seen[p], seen[q], seen[r], seen[s]
        for j in range(cols):
            a, b, c, d = a + g[p, j], b + g[q, j], c + g[r, j], d + g[s, j]
            if j == cols - 1:
                inverse[p], inverse[q], inverse[r], inverse[s] = a, b, c, d
            share[p, j] = 1.0 / (1.0 + ohm * a)
            share[q, j] = 1.0 / (1.0 + ohm * b)
            share[r, j] = 1.0 / (1.0 + ohm * c)
            share[s, j] = 1.0 / (1.0 + ohm * d)
            a, b, c, d = a * share[p, j], b * share[q, j], c * share[r, j], d * share[s, j]
    for i in range(rows):
        if held and not floats[i]:
            fill(share[i], 1.0)
            inverse[i] = 0.0
            continue
        total = inverse[i] if floats[i] else inverse[i] + last_conductance_s
        inverse[i] = 1.0 / total if total > 0.0 else 0.0


@compiled
def factor_bits(g, first_conductance_s, last_conductance_s, ohm, floats, share, inverse):
    """Factor the ladders along the columns: ``share`` (rows, cols), ``inverse`` (cols,)."""
    rows, cols = g.shape
    held = np.isinf(first_conductance_s) or np.isinf(last_conductance_s)
    seen = np.empty(cols)
    for j in range(cols):
        seen[j] = 0.0 if floats[j] else first_conductance_s
    for i in range(rows):
        for j in range(cols):
            value = g[i, j] + (seen[j] * share[i - 1, j] if i > 0 else seen[j])
            if i == rows - 1 and not floats[j]:
                value += last_conductance_s
            seen[j] = value
            share[i, j] = 1.0 / (1.0 + ohm * value)
    for j in range(cols):
        if held and not floats[j]:
            for i in range(rows):
                share[i, j] = 1.0
            inverse[j] = 0.0
        else:
            inverse[j] = 1.0 / seen[j] if seen[j] > 0 else 0.0


@compiled
def climb_words(g, share, inverse, ohm, known, start, first_a, last_a, held_v, source, out, pile):
    """Solve four word lines at once, from row ``start``: four chains hide each other's latency.

    ``known``: bit line voltages; ``first_a``, ``last_a``, ``source``: currents put in (or empty);
    ``held_v``: voltage of lines that are held. Rows past the last are the last again.
    """
    rows, cols = g.shape
    p, q = start, min(start + 1, rows - 1)
    r, s = min(start + 2, rows - 1), min(start + 3, rows - 1)
    driven = first_a.size > 0
    a, b, c, d = (0.0, 0.0, 0.0, 0.0)
    if driven:
        a, b, c, d = first_a[p], first_a[q], first_a[r], first_a[s]
    sourced = source.size > 0
    fa, fb, fc, fd = (1.0, 1.0, 1.0, 1.0)
    for j in range(cols):
        a = g[p, j] * known[p, j] + a * fa
        b = g[q, j] * known[q, j] + b * fb
        c = g[r, j] * known[r, j] + c * fc
        d = g[s, j] * known[s, j] + d * fd
        if sourced:
            a, b, c, d = a - source[p, j], b - source[q, j], c - source[r, j], d - source[s, j]
        pile[j, 0], pile[j, 1], pile[j, 2], pile[j, 3] = a, b, c, d
        fa, fb, fc, fd = share[p, j], share[q, j], share[r, j], share[s, j]
    if driven:
        a, b, c, d = a + last_a[p], b + last_a[q], c + last_a[r], d + last_a[s]
    a, b, c, d = a * inverse[p], b * inverse[q], c * inverse[r], d * inverse[s]
    if driven:
        a, b, c, d = a + held_v[p], b + held_v[q], c + held_v[r], d + held_v[s]
    last = cols - 1
    out[p, last], out[q, last], out[r, last], out[s, last] = a, b, c, d
    for j in range(cols - 2, -1, -1):
        a = share[p, j] * (ohm * pile[j, 0] + a)
        b = share[q, j] * (ohm * pile[j, 1] + b)
        c = share[r, j] * (ohm * pile[j, 2] + c)
        d = share[s, j] * (ohm * pile[j, 3] + d)
        out[p, j], out[q, j], out[r, j], out[s, j] = a, b, c, d


@compiled
def words(g, words_of, ohm, known, drive, source, out, pile):
    """Solve the voltages of every word line, given those of the bit lines."""
    share, inverse = words_of
    first_a, last_a, held_v = drive
    for start in range(0, g.shape[0], 4):
        climb_words(
            g, share, inverse, ohm, known, start, first_a, last_a, held_v, source, out, pile
        )


@compiled
def begin(share, r, z):
    """Begin to solve the bit lines for a residual."""
    rows, cols = share.shape
    for j in range(cols):
        z[0, j] = r[0, j]
    for i in range(1, rows):
        for j in range(cols):
            z[i, j] = r[i, j] + z[i - 1, j] * share[i - 1, j]


@compiled
def settle(share, inverse, ohm, r, z):
    """Finish the bit lines: z = B^-1 r. Return r · z and the largest magnitude of z, volts."""
    rows, cols = share.shape
    total = 0.0
    peak = np.zeros(cols)  # by column, by comparing, apart: else it would not vectorise
    for j in range(cols):
        z[rows - 1, j] *= inverse[j]
    for i in range(rows - 1, -1, -1):
        if i < rows - 1:
            for j in range(cols):
                z[i, j] = share[i, j] * (ohm * z[i, j] + z[i + 1, j])
        for j in range(cols):
            total += r[i, j] * z[i, j]
        for j in range(cols):
            size = abs(z[i, j])
            peak[j] = size if size > peak[j] else peak[j]  # noqa: FURB136
    return total, largest(peak)


@compiled
def image_of(g, first_conductance_s, last_conductance_s, ohm, floats, z, r):
    """Compute r = B z, the currents that the bit lines need for the voltages z."""
    rows, cols = g.shape
    for i in range(rows):
        for j in range(cols):
            r[i, j] = g[i, j] * z[i, j]
            if ohm > 0.0 and i > 0:
                flow = (z[i, j] - z[i - 1, j]) / ohm
                r[i, j] += flow
                r[i - 1, j] -= flow
    for j in range(cols):
        if not (floats[j] or np.isinf(first_conductance_s) or np.isinf(last_conductance_s)):
            r[0, j] += first_conductance_s * z[0, j]
            r[rows - 1, j] += last_conductance_s * z[rows - 1, j]


@compiled
def put_in(line_v, first_conductance_s, last_conductance_s):
    """Return currents put into the first and last node of each line, and voltages held.

    A line with an end of no resistance is held at its terminal's voltage instead.
    """
    first_a = np.zeros(line_v.size)
    last_a = np.zeros(line_v.size)
    held_v = np.zeros(line_v.size)
    for k in range(line_v.size):
        if np.isnan(line_v[k]):
            continue
        if np.isinf(first_conductance_s) or np.isinf(last_conductance_s):
            held_v[k] = line_v[k]
        else:
            first_a[k] = first_conductance_s * line_v[k]
            last_a[k] = last_conductance_s * line_v[k]
    return first_a, last_a, held_v


@compiled
def gather(g, word, source, top_a, bottom_a, r):
    """Compute the current into every bit line node if that node were at 0 V."""
    rows, cols = g.shape
    for i in range(rows):
        for j in range(cols):
            r[i, j] = g[i, j] * word[i, j]
        if source.size > 0:
            for j in range(cols):
                r[i, j] += source[i, j]
    for j in range(cols):
        r[0, j] += top_a[j]
        r[rows - 1, j] += bottom_a[j]
