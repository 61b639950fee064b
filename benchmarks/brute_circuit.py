"""A circuit of outputs around an array, solved by trying every state of the outputs.

Independent of :mod:`hwloop.array` and of the emulator. An output is a level behind a resistance
until it would carry more than its limit; then it is a source of just that current. Of all
combinations the one is taken that contradicts itself nowhere.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

LEAD_OHM = 1e-5
LEAK_CONDUCTANCE_S = 1e-15  # of an open relay to ground: above 1e14 ohm, data sheet of the 7072
SLACK = 1e-9  # relative of a current, absolute of a voltage: rounding


@dataclass(frozen=True)
class Output:
    """A level, volts, its resistance, ohms, its limit, amperes, and the lines that it is on."""

    level_v: float
    series_ohm: float
    limit_a: float
    lines: tuple[str, ...]


def line_voltages_v(
    conductance_s: np.ndarray, outputs: Sequence[Output], grounded: Sequence[str]
) -> Mapping[str, float]:
    """The voltage of ``row0`` …, ``col0`` …; a line with neither output nor ground floats."""
    rows, cols = conductance_s.shape
    names = [*(f"row{n}" for n in range(rows)), *(f"col{n}" for n in range(cols))]
    node = {name: n for n, name in enumerate(names)}
    for output in outputs:
        node |= dict.fromkeys(output.lines, node[output.lines[0]])
    matrix = np.eye(len(names)) * LEAK_CONDUCTANCE_S
    for row, col in np.ndindex(rows, cols):
        a, b = node[f"row{row}"], node[f"col{col}"]
        matrix[[a, b], [a, b]] += conductance_s[row, col]
        matrix[[a, b], [b, a]] -= conductance_s[row, col]
    for name in grounded:
        matrix[node[name], node[name]] += 1 / LEAD_OHM
    choices = [(0, 1, -1) if np.isfinite(output.limit_a) else (0,) for output in outputs]
    for states in itertools.product(*choices):
        volts = _solved(matrix, outputs, states, node)
        if volts is not None:
            return {name: float(volts[node[name]]) for name in names}
    raise AssertionError("no state of the outputs agrees with itself")


def _solved(
    cells: np.ndarray, outputs: Sequence[Output], states: Sequence[int], node: Mapping[str, int]
) -> np.ndarray | None:
    """The voltages of all nodes; None where a state contradicts itself."""
    matrix, current_a = cells.copy(), np.zeros(len(cells))
    for output, state in zip(outputs, states, strict=True):
        at = node[output.lines[0]]
        if state:
            current_a[at] += state * output.limit_a
        else:
            conductance_s = 1 / max(output.series_ohm, LEAD_OHM)
            matrix[at, at] += conductance_s
            current_a[at] += output.level_v * conductance_s
    volts = np.linalg.solve(matrix, current_a)
    taken_a = cells @ volts  # out of each output, since no two are on one node
    for output, state in zip(outputs, states, strict=True):
        at = node[output.lines[0]]
        if state == 0 and abs(taken_a[at]) > output.limit_a * (1 + SLACK):
            return None
        drop_v = output.limit_a * max(output.series_ohm, LEAD_OHM)
        if state and (output.level_v - volts[at]) * state < drop_v - SLACK:
            return None
    return volts
