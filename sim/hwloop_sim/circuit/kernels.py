"""Compiled: the iteration of the solver; imported only when something is solved.

Unknowns are the nodes of both kinds of line, (rows, cols) each: ``word`` and ``bit``. With the bit
line nodes given, every word line is a ladder of its own, solved exactly (A); the remaining system
for the bit lines, S = B - G A^-1 G with their own ladders B, is solved by conjugate gradients
preconditioned by B^-1, and by the islands of floating lines where there are any.

Every function is deterministic, and the solution of a vector does not depend on its neighbours.
"""

from __future__ import annotations

import numpy as np
from numba import types

from hwloop_sim.circuit.islands import lift, reduce_islands
from hwloop_sim.circuit.ladders import (
    begin,
    climb_words,
    compiled,
    factor_bits,
    factor_words,
    fill,
    gather,
    image_of,
    largest,
    largest_magnitude,
    once,
    put_in,
    settle,
    words,
)

# The one entry is compiled for what it is given, read-only or not, once and for all.
GIVEN = [types.Array(types.float64, axes, "C", readonly=True) for axes in (0, 1, 2, 3)]
FILLED = [types.Array(types.float64, axes, "C") for axes in (0, 1, 2, 3)]
ENTRY = types.void(
    GIVEN[3],
    GIVEN[3],
    GIVEN[1],
    GIVEN[1],
    GIVEN[3],
    GIVEN[3],
    types.int64,
    types.int64,
    types.UniTuple(FILLED[3], 3),
    types.UniTuple(FILLED[2], 2),
    FILLED[2],
    types.Tuple((types.float64, types.int64)),
)


@compiled
def turn(g, share, inverse, ohm, z, moved, direction, r, image, pushed, beta, none, pile):
    """Compute the new search direction, its image under the bit lines, and the words' response.

    direction = z + beta direction; image = B direction; pushed = G A^-1 G direction. Returns
    direction · (image - pushed).
    """
    rows, cols = g.shape
    total = 0.0
    empty = none[0]
    for start in range(0, rows, 4):
        stop = min(start + 4, rows)
        for i in range(start, stop):
            for j in range(cols):
                direction[i, j] = z[i, j] + beta * direction[i, j]
                # B z is r, and for what the islands added their cells' share alone.
                image[i, j] = r[i, j] + g[i, j] * moved[j] + beta * image[i, j]
        climb_words(
            g, share, inverse, ohm, direction, start, empty, empty, empty, none, pushed, pile
        )
        for i in range(start, stop):
            for j in range(cols):
                push = g[i, j] * pushed[i, j]
                pushed[i, j] = push
                total += direction[i, j] * (image[i, j] - push)
    return total


@compiled
def advance(share, direction, image, pushed, bit, r, z, alpha):
    """Step along the direction, and begin to solve the bit lines for the new residual."""
    rows, cols = share.shape
    for i in range(rows):
        for j in range(cols):
            bit[i, j] += alpha * direction[i, j]
        for j in range(cols):
            r[i, j] -= alpha * (image[i, j] - pushed[i, j])
        if i == 0:
            for j in range(cols):
                z[0, j] = r[0, j]
            continue
        for j in range(cols):
            z[i, j] = r[i, j] + z[i - 1, j] * share[i - 1, j]


@compiled
def least_ritz(alpha, beta, count):
    """Return a lower estimate of the least eigenvalue of I - M, from the steps made (Lanczos)."""
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = 0.5 * (low + high)
        pivot = 1.0
        below = False
        for k in range(count):
            pivot_before = pivot
            pivot = 1.0 / alpha[k] - middle
            if k > 0:
                pivot += beta[k - 1] / alpha[k - 1]
                pivot -= beta[k - 1] / (alpha[k - 1] * alpha[k - 1]) / pivot_before
            if pivot <= 0.0:
                below = True
                break
        if below:
            high = middle
        else:
            low = middle
    return high


@compiled
def precondition(bits_of, ohm, islands, r, z, moved):
    """Finish z = P r, begun by ``begin``; return r · z and the largest magnitude of z, volts."""
    energy, peak = settle(bits_of[0], bits_of[1], ohm, r, z)
    if islands[0].size > 0:
        energy += lift(islands, r, z, moved)
        peak = largest_magnitude(z)
    return energy, peak


@once
def conjugate_gradients(g, wires, words_of, bits_of, islands, bit, work, scale, control, pile):
    """Improve ``bit`` from the residual in ``work[0]``; return steps and least eigenvalue.

    The residual is a voltage, z = P r, relative to ``scale``; divided by the least eigenvalue of P
    S it bounds the error. Ends there, or where rounding lets it fall no further.
    """
    share_w, inverse_w = words_of
    r, z, direction, image, pushed = work
    stop, limit = control
    alphas = np.empty(limit)
    betas = np.empty(limit)
    none = np.empty((1, 0))
    moved = np.zeros(g.shape[1])
    for i in range(g.shape[0]):
        fill(direction[i], 0.0)
        fill(image[i], 0.0)
    begin(bits_of[0], r, z)
    energy, peak = precondition(bits_of, wires[1], islands, r, z, moved)
    beta, least, steps = 0.0, 1.0, 0
    best, since = energy, 0
    while steps < limit and energy > 0.0:
        if peak <= stop * scale:
            least = least_ritz(alphas, betas, steps) if steps > 0 else 1.0
            # Beyond what rounding allows, further steps would only add noise.
            if peak <= max(stop * least, 1e-15) * scale or since >= 4:
                break
        curvature = turn(
            g, share_w, inverse_w, wires[0], z, moved, direction, r, image, pushed, beta, none, pile
        )
        if not curvature > 0.0:
            break
        alpha = energy / curvature
        advance(bits_of[0], direction, image, pushed, bit, r, z, alpha)
        new_energy, peak = precondition(bits_of, wires[1], islands, r, z, moved)
        beta = new_energy / energy
        energy = new_energy
        alphas[steps] = alpha
        betas[steps] = beta
        steps += 1
        since = 0 if energy < 0.1 * best else since + 1
        best = min(best, energy)
    return steps, least


@compiled
def compare(z, held_v, bit):
    """Replace z, the voltages that follow from ``bit``, by the difference; return its largest."""
    rows, cols = z.shape
    peak, total = np.zeros(cols), 0.0
    for i in range(rows):
        for j in range(cols):
            change = z[i, j] + held_v[j] - bit[i, j]
            z[i, j] = change
            size = abs(change)
            peak[j] = size if size > peak[j] else peak[j]  # noqa: FURB136
            total += size
    # The comparison in a maximum loses NaN, the sum does not.
    return np.inf if np.isnan(total) else largest(peak)


@once
def solve_vector(g, source, wires, ends, row_v, col_v, factors, fields, work, control):
    """Solve one vector of one array into ``fields`` (word, bit); return steps, residual, error.

    The residual is computed afresh from the solution, as the change by one more plain step bit =
    B^-1 (J + G word), and not from the recurrences of the iteration; where these have drifted from
    it, the iteration begins anew there. That last step, and the islands', is then made.
    """
    rows, cols = g.shape
    words_of, bits_of, islands = factors
    word, bit = fields
    stop, limit = control
    r, z = work[0], work[1]
    first_a, last_a, held_w = put_in(row_v, ends[0], ends[1])
    top_a, bottom_a, held_b = put_in(col_v, ends[2], ends[3])
    floats = floating(col_v)
    moved = np.empty(cols)
    pile = np.empty((cols, 4))
    for i in range(rows):
        for j in range(cols):
            bit[i, j] = held_b[j]
    drive = (first_a, last_a, held_w)
    words(g, words_of, wires[0], bit, drive, source, word, pile)
    gather(g, word, source, top_a, bottom_a, r)
    scale = scale_of(row_v, col_v, word)
    steps, least, error = 0, 1.0, np.inf
    for _ in range(5):
        made, eigenvalue = conjugate_gradients(
            g, wires, words_of, bits_of, islands, bit, work, scale, (stop, limit - steps), pile
        )
        steps += made
        least = min(least, eigenvalue)
        words(g, words_of, wires[0], bit, drive, source, word, pile)
        gather(g, word, source, top_a, bottom_a, r)
        begin(bits_of[0], r, z)
        settle(bits_of[0], bits_of[1], wires[1], r, z)
        residual = compare(z, held_b, bit) / scale
        before, error = error, residual
        if islands[0].size > 0 and residual < np.inf:
            image_of(g, ends[2], ends[3], wires[1], floats, z, r)
            lift(islands, r, z, moved)
            error = largest_magnitude(z) / scale
        elif residual > 2.0 * stop:
            image_of(g, ends[2], ends[3], wires[1], floats, z, r)
        if error <= 2.0 * stop or not error < 0.5 * before or steps >= limit:
            break
    for i in range(rows):
        for j in range(cols):
            bit[i, j] += z[i, j]
    return steps, residual, max(error, 1e-15, 2e-16 * islands[3]) / least


@compiled
def floating(line_v):
    """Return which lines float, as booleans (lines,)."""
    floats = np.empty(line_v.size, dtype=np.bool_)
    for k in range(line_v.size):
        floats[k] = np.isnan(line_v[k])
    return floats


@compiled
def differ(one, other):
    """Return whether any element of two arrays differs."""
    changed = False
    for k in range(one.size):
        changed |= one[k] != other[k]
    return changed


@compiled
def scale_of(row_v, col_v, word):
    """Return the largest terminal voltage; without any, the largest that the sources cause."""
    scale = 0.0
    for v in row_v:
        if abs(v) > scale:
            scale = abs(v)
    for v in col_v:
        if abs(v) > scale:
            scale = abs(v)
    if scale == 0.0:
        scale = largest_magnitude(word)
    return scale if scale > 0.0 else 1.0


@compiled
def currents(g, source, word, bit, cell_a, row_a, col_a):
    """Compute cell currents, and their sums along the lines, which the terminals carry."""
    rows, cols = g.shape
    keep = cell_a.size > 0
    fill(col_a, 0.0)
    for i in range(rows):
        total = 0.0
        for j in range(cols):
            ampere = g[i, j] * (word[i, j] - bit[i, j])
            if source.size > 0:
                ampere += source[i, j]
            if keep:
                cell_a[i, j] = ampere
            total += ampere
            col_a[j] += ampere
        row_a[i] = total


@compiled
def all_jobs(g, source, wires, ends, row_v, col_v, first, last, fields, lines, report, control):
    """Solve jobs ``first`` to ``last``: vector ``job % vectors`` of array ``job // vectors``.

    ``g``: (arrays, rows, cols), siemens; ``row_v``, ``col_v``: (arrays, vectors, lines), volts, NaN
    floats; ``fields``: word_v, bit_v, cell_a, each (jobs, rows, cols), or (0, rows, cols) where
    they are not wanted; ``lines``: row_a, col_a; ``report``: (jobs, 3) steps, residual, error.
    """
    _, rows, cols = g.shape
    vectors = row_v.shape[1]
    word_v, bit_v, cell_a = fields
    row_a, col_a = lines
    words_of = (np.empty((rows, cols)), np.empty(rows))
    bits_of = (np.empty((rows, cols)), np.empty(cols))
    work = np.empty((5, rows, cols))
    parts = (work[0], work[1], work[2], work[3], work[4])
    spare = np.empty((2 if word_v.size == 0 else 0, rows, cols))
    rows_float = np.zeros(rows, dtype=np.bool_)
    cols_float = np.zeros(cols, dtype=np.bool_)
    no_source = np.empty((0, 0))
    no_cells = np.empty((0, 0))
    islands = reduce_islands(g[0], rows_float, cols_float)
    factored = -1
    for job in range(first, last):
        a, v = job // vectors, job % vectors
        rows_now, cols_now = floating(row_v[a, v]), floating(col_v[a, v])
        if a != factored or differ(rows_now, rows_float) or differ(cols_now, cols_float):
            rows_float, cols_float, factored = rows_now, cols_now, a
            factor_words(g[a], ends[0], ends[1], wires[0], rows_now, words_of[0], words_of[1])
            factor_bits(g[a], ends[2], ends[3], wires[1], cols_now, bits_of[0], bits_of[1])
            islands = reduce_islands(g[a], rows_now, cols_now)
        put = source[a] if source.size > 0 else no_source
        word = spare[0] if word_v.size == 0 else word_v[job]
        bit = spare[1] if word_v.size == 0 else bit_v[job]
        report[job, 0], report[job, 1], report[job, 2] = solve_vector(
            g[a], put, wires, ends, row_v[a, v], col_v[a, v],
            (words_of, bits_of, islands), (word, bit), parts, control,
        )  # fmt: skip
        cells = no_cells if cell_a.size == 0 else cell_a[job]
        currents(g[a], put, word, bit, cells, row_a[job], col_a[job])
