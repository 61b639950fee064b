"""The same circuit as one sparse matrix, for general solvers; lines driven left, sensed below."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def by_superlu(cells_conductance_s: Floats, row_v: Floats, segment_ohm: float) -> Floats:
    """Column currents, (vectors, cols), by scipy's SuperLU."""
    from scipy.sparse.linalg import splu

    matrix, sources = _system(cells_conductance_s, row_v, segment_ohm)
    return _currents(splu(matrix).solve(sources), cells_conductance_s.shape, segment_ohm)


def by_cholmod(cells_conductance_s: Floats, row_v: Floats, segment_ohm: float) -> Floats:
    """Column currents, (vectors, cols), by SuiteSparse's CHOLMOD."""
    from sksparse.cholmod import cholesky

    matrix, sources = _system(cells_conductance_s, row_v, segment_ohm)
    return _currents(cholesky(matrix)(sources), cells_conductance_s.shape, segment_ohm)


def _system(cells_conductance_s: Floats, row_v: Floats, segment_ohm: float) -> tuple[Any, Floats]:
    from scipy.sparse import csc_matrix

    rows, cols = cells_conductance_s.shape
    word = np.arange(cells_conductance_s.size).reshape(rows, cols)
    bit = word + cells_conductance_s.size
    wire_conductance_s = 1 / segment_ohm
    start = np.concatenate([word.ravel(), word[:, :-1].ravel(), bit[:-1].ravel()])
    end = np.concatenate([bit.ravel(), word[:, 1:].ravel(), bit[1:].ravel()])
    siemens = np.concatenate(
        [
            cells_conductance_s.ravel(),
            np.full(start.size - cells_conductance_s.size, wire_conductance_s),
        ]
    )
    nodes = 2 * cells_conductance_s.size
    total = np.bincount(start, siemens, nodes) + np.bincount(end, siemens, nodes)
    total[word[:, 0]] += wire_conductance_s
    total[bit[-1]] += wire_conductance_s
    index = np.arange(nodes)
    entries = np.concatenate([-siemens, -siemens, total])
    places = (np.concatenate([start, end, index]), np.concatenate([end, start, index]))
    sources = np.zeros((nodes, len(row_v)))
    sources[word[:, 0]] = row_v.T * wire_conductance_s
    return csc_matrix((entries, places)), sources


def _currents(node_v: Floats, shape: tuple[int, int], segment_ohm: float) -> Floats:
    currents_a: Floats = node_v[-shape[1] :].T / segment_ohm
    return currents_a
