"""Parts of a layer that are placed in blocks of their own, and weights that are left out.

A layer is one part; a convolution whose loop is the ``kernel_element`` has one for each of them. A
row (a channel of a kernel element) or an output of a part whose weights are all 0 contributes
nothing to any sum: left out, it has no cells and is not driven.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwloop.steps.network.convolution import element_rows
from hwloop.steps.network.mapping.placement import Part
from hwloop.steps.network.network import Matrix


def parts_of(matrix: Matrix, *, leave_out_zeros: bool) -> list[Part]:
    """Return the parts of a layer; a kernel element always without its rows and outputs of zeros.

    The bias is a row of the kernel element with most outputs.
    """
    rows, outputs = matrix.weights.shape
    if matrix.kernel is None or matrix.loop == "patches":
        whole = Part(tuple(range(rows)), tuple(range(outputs)))
        return _without_zeros(matrix, [whole]) if leave_out_zeros else [whole]
    every = tuple(range(outputs))
    elements = [Part(one, every) for one in element_rows(matrix.kernel)]
    found = _without_zeros(matrix, elements)
    return _with_bias(matrix, found) if matrix.bias else found


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
