"""Parts of a layer that are placed in blocks of their own, and weights that are left out.

A layer is one part; a convolution whose loop is the ``kernel_element`` has one for each of them. A
row (a channel of a kernel element) or an output of a part whose weights are all 0 contributes
nothing to any sum: left out, it has no cells and is not driven.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from hwloop.steps.network.convolution import element_rows
from hwloop.steps.network.mapping.placement import Part
from hwloop.steps.network.network import Matrix

Zeros = Literal["placed", "left_out", "split"]
"""Whether weights of 0 have cells: all; not those of whole rows and outputs of a part; none."""


def parts_of(matrix: Matrix, *, zeros: Zeros) -> list[Part]:
    """Return the parts of a layer; a kernel element always without its rows and outputs of zeros.

    The bias is a row of the kernel element with most outputs. With ``split`` outputs that need
    different rows are parts of their own, so that no weight of 0 is in any.
    """
    rows, outputs = matrix.weights.shape
    every = tuple(range(outputs))
    if matrix.kernel is not None and matrix.loop == "kernel_element":
        elements = [Part(one, every) for one in element_rows(matrix.kernel)]
        parts = _without_zeros(matrix, elements)
        parts = _with_bias(matrix, parts) if matrix.bias else parts
    else:
        whole = [Part(tuple(range(rows)), every)]
        parts = whole if zeros == "placed" else _without_zeros(matrix, whole)
    return _split(matrix, parts) if zeros == "split" else parts


def _split(matrix: Matrix, parts: list[Part]) -> list[Part]:
    """Return a part for each set of rows that some outputs of a part need."""
    found = []
    for part in parts:
        needed: dict[tuple[int, ...], list[int]] = {}
        for output in part.outputs:
            rows = tuple(row for row in part.rows if matrix.weights[row, output] != 0)
            needed.setdefault(rows, []).append(output)
        found += [Part(rows, tuple(outputs)) for rows, outputs in needed.items() if rows]
    return found


def _without_zeros(matrix: Matrix, parts: list[Part]) -> list[Part]:
    """Return the parts without rows and outputs whose weights are all 0, empty parts left out."""
    kept = []
    for part in parts:
        used = matrix.weights[np.ix_(part.rows, part.outputs)] != 0
        rows = tuple(row for row, any_ in zip(part.rows, used.any(axis=1), strict=True) if any_)
        outputs = tuple(
            output for output, any_ in zip(part.outputs, used.any(axis=0), strict=True) if any_
        )
        if rows:
            kept.append(Part(rows, outputs))
    return kept


def _with_bias(matrix: Matrix, parts: list[Part]) -> list[Part]:
    bias = len(matrix.weights) - 1
    biased = {int(output) for output in np.flatnonzero(matrix.weights[bias])}
    if not biased:
        return parts
    if not parts:
        return [Part((bias,), tuple(sorted(biased)))]
    widest = max(range(len(parts)), key=lambda index: len(parts[index].outputs))
    joined = replace(
        parts[widest],
        rows=(*parts[widest].rows, bias),
        outputs=tuple(sorted(biased.union(parts[widest].outputs))),
    )
    return [*parts[:widest], joined, *parts[widest + 1 :]]
