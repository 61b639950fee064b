"""The same circuit written down anew: nodes, edges and held nodes, for solvers that are not ours."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.sparse import csc_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

from hwloop.types import FloatArray
from hwloop_sim.circuit import Wires


@dataclass(frozen=True)
class Network:
    """Resistors between nodes; ``word`` and ``bit``: (rows, cols) node numbers.

    ``edges``: (from, to, siemens); the cells come first, row by row, open ones included.
    ``held``: volts of the nodes that are sources.
    """

    nodes: int
    edges: list[tuple[int, int, float]]
    held: dict[int, float]
    word: np.ndarray
    bit: np.ndarray

    def volts(self, node_v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return node_v[self.word], node_v[self.bit]


class _Builder:
    def __init__(self) -> None:
        self.count = 0
        self.edges: list[tuple[int, int, float]] = []
        self.held: dict[int, float] = {}

    def node(self) -> int:
        self.count += 1
        return self.count - 1

    def line(self, cells: int, ohm: float) -> list[int]:
        if ohm == 0:
            return [self.node()] * cells
        nodes = [self.node() for _ in range(cells)]
        self.edges += [(a, b, 1 / ohm) for a, b in pairwise(nodes)]
        return nodes

    def terminal(self, node: int, ohm: float, volts: float) -> None:
        if np.isnan(volts):
            return
        if ohm == 0:
            self.held[node] = volts
            return
        source = self.node()
        self.held[source] = volts
        self.edges.append((source, node, 1 / ohm))


def network(
    conductance_s: FloatArray, row_v: FloatArray, col_v: FloatArray, wires: Wires
) -> Network:
    rows, cols = conductance_s.shape
    build = _Builder()
    word = np.array([build.line(cols, wires.row_ohm) for _ in range(rows)])
    bit = np.array([build.line(rows, wires.col_ohm) for _ in range(cols)]).T
    wiring, build.edges = build.edges, []
    for i, j in np.ndindex(rows, cols):
        build.edges.append((word[i, j], bit[i, j], float(conductance_s[i, j])))
    build.edges += wiring
    row_ohm = wires.row_ohm + wires.selector_ohm + wires.driver_ohm
    col_ohm = wires.col_ohm + wires.selector_ohm + wires.sense_ohm
    for i in range(rows):
        for end in {"left": [0], "right": [-1], "both": [0, -1]}[wires.row_ends]:
            build.terminal(word[i, end], row_ohm, row_v[i])
    for j in range(cols):
        for end in {"top": [0], "bottom": [-1], "both": [0, -1]}[wires.col_ends]:
            build.terminal(bit[end, j], col_ohm, col_v[j])
    return Network(build.count, build.edges, build.held, word, bit)


def by_sparse_lu(circuit: Network) -> np.ndarray:
    """Node voltages by SuperLU, refined with residuals in extended precision; (nodes,) volts.

    NaN for nodes that no path joins to a source.
    """
    start, end, siemens = (np.array(part) for part in zip(*circuit.edges, strict=True))
    lost = _lost(circuit, start, end, siemens)
    free = np.setdiff1d(np.flatnonzero(~lost), list(circuit.held))
    place = np.full(circuit.nodes, -1)
    place[free] = np.arange(len(free))
    diagonal = np.bincount(start, siemens, circuit.nodes) + np.bincount(end, siemens, circuit.nodes)
    inside = (place[start] >= 0) & (place[end] >= 0)
    a, b, c = place[start[inside]], place[end[inside]], -siemens[inside]
    index = np.arange(len(free))
    entries = np.concatenate([c, c, diagonal[free]])
    places = (np.concatenate([a, b, index]), np.concatenate([b, a, index]))
    factors = splu(csc_matrix((entries, places))) if len(free) else None
    node_v = np.zeros(circuit.nodes, dtype=np.longdouble)
    for node, volts in circuit.held.items():
        node_v[node] = volts
    for _ in range(8 if factors else 0):
        flow = siemens.astype(np.longdouble) * (node_v[start] - node_v[end])
        short = np.zeros(circuit.nodes, dtype=np.longdouble)
        np.add.at(short, start, flow)
        np.add.at(short, end, -flow)
        node_v[free] -= factors.solve(short[free].astype(np.float64))
    node_v[lost] = np.nan
    return node_v


def _lost(circuit: Network, start: np.ndarray, end: np.ndarray, siemens: np.ndarray) -> np.ndarray:
    joined = siemens > 0
    shape = (circuit.nodes, circuit.nodes)
    graph = csr_matrix((siemens[joined], (start[joined], end[joined])), shape)
    part = connected_components(graph, directed=False)[1]
    return ~np.isin(part, part[list(circuit.held)])
