"""Compiled: floating lines among each other, as single nodes.

Floating lines that are joined by conductive cells and tied to the rest by weak ones move together,
and so little current tells where to that the ladders alone would not notice. Here each floating
line is one node, every driven line is ground, and the network is reduced node by node (star-mesh),
without any subtraction. The solution corrects the mean voltage of every floating column in each
step.
"""

from __future__ import annotations

import numpy as np

from hwloop_sim.circuit.ladders import compiled


@compiled
def numbers_of(floats):
    """Return the indices of the lines that float."""
    members = np.empty(floats.size, dtype=np.int64)
    count = 0
    for line in range(floats.size):
        members[count] = line
        count += 1 if floats[line] else 0
    return members[:count]


@compiled
def reduce_islands(g, rows_float, cols_float):
    """Factor the network between the floating columns.

    Returns their indices (floating,); ``mesh``, (floating, floating), above its diagonal the
    conductance that joins each column to the later ones when it is eliminated; ``total``,
    (floating,), the whole conductance of each; and the largest amplification of rounding: the
    conductance whose currents cancel at a column, over the conductance that ties it to the rest.
    """
    rows, _ = g.shape
    members = numbers_of(cols_float)
    count = members.size
    mesh = np.zeros((count, count))
    ground = np.zeros(count)
    total = np.zeros(count)
    stray = np.zeros(count)
    mine = np.empty(count)
    for i in range(rows):
        for k in range(count):
            mine[k] = g[i, members[k]]
            stray[k] += mine[k]
        if not rows_float[i]:
            for k in range(count):
                ground[k] += mine[k]
            continue
        held = 0.0
        for j in range(g.shape[1]):
            if not cols_float[j]:
                held += g[i, j]
        spread(mine, held, 0, mesh, ground, stray, held + mine.sum())
    amplified = 1.0
    for k in range(count):
        total[k] = spread(mesh[k], ground[k], k + 1, mesh, ground, stray, stray[k])
        if total[k] > 0.0:
            amplified = max(amplified, stray[k] / total[k])
    return members, mesh, total, amplified


@compiled
def spread(arms, held, first, mesh, ground, stray, own):
    """Eliminate a node with these arms to the nodes from ``first``; return their sum, siemens.

    ``own``: the conductance whose currents cancel at the node, passed on like a current.
    """
    total = held
    for k in range(first, arms.size):
        total += arms[k]
    if total == 0.0:
        return total
    for k in range(first, arms.size):
        share = arms[k] / total
        if share == 0.0:
            continue
        ground[k] += share * held
        stray[k] += share * own
        for other in range(k + 1, arms.size):
            mesh[k, other] += share * arms[other]
    return total


@compiled
def lift(islands, r, z, moved):
    """Add to z the change of the floating columns' mean voltages due to their net currents r.

    ``moved``: (cols,), those voltages. Returns what that adds to r · z.
    """
    members, mesh, total, _ = islands
    rows, _ = r.shape
    count = members.size
    energy = 0.0
    flow = np.zeros(count)
    for i in range(rows):
        for k in range(count):
            flow[k] += r[i, members[k]]
    volts = settle_islands(mesh, total, flow)
    for k in range(count):
        energy += volts[k] * flow[k]
        moved[members[k]] = volts[k]
    for i in range(rows):
        for k in range(count):
            z[i, members[k]] += volts[k]
    return energy


@compiled
def settle_islands(mesh, total, net):
    """Return the voltages of the floating columns for the currents put into them."""
    count = net.size
    flow = net.copy()
    volts = np.zeros(count)
    for k in range(count):
        if total[k] > 0.0:
            for other in range(k + 1, count):
                flow[other] += mesh[k, other] / total[k] * flow[k]
    for k in range(count - 1, -1, -1):
        if total[k] > 0.0:
            volts[k] = flow[k]
            for other in range(k + 1, count):
                volts[k] += mesh[k, other] * volts[other]
            volts[k] /= total[k]
    return volts
