"""Compare the reads of a dummy, known resistors in the array's place, with what they should be."""

from __future__ import annotations

import numpy as np

from hwloop.messages import cell_name
from hwloop.types import FloatArray
from hwloop_drivers.station.wired_circuit import WiredCircuit


def dummy_faults(circuit: WiredCircuit, seen_conductance_s: FloatArray) -> list[str]:
    """Return faults of lines that carry another line's resistors; none without a dummy.

    ``seen_conductance_s``: current over voltage of the read of every cell, (rows, cols).
    """
    test = circuit.station.self_test
    if test.dummy_ohm is None:
        return []
    dummy_conductance_s = 1.0 / np.array(test.dummy_ohm)
    wanted_conductance_s = circuit.read_conductance_s(dummy_conductance_s)
    tolerance = test.tolerance
    if _close(seen_conductance_s, wanted_conductance_s, tolerance):
        return []
    rows, cols = dummy_conductance_s.shape
    if rows == cols and _close(
        seen_conductance_s, circuit.read_conductance_s(dummy_conductance_s.T), tolerance
    ):
        return ["rows and columns are exchanged: every cell reads its mirror's resistor"]
    for kind, axis in (("row", 0), ("col", 1)):
        order = _order(seen_conductance_s, wanted_conductance_s, axis, tolerance)
        if order is not None:
            moved = ", ".join(
                f"{kind}{n} is on {kind}{was}" for n, was in enumerate(order) if n != was
            )
            return [f"{kind} lines are exchanged: {moved} of the dummy"]
    return [_worst(circuit, seen_conductance_s, wanted_conductance_s)]


def _worst(circuit: WiredCircuit, seen: FloatArray, wanted: FloatArray) -> str:
    """Return what the worst cell reads, in place of what it should."""
    test = circuit.station.self_test
    error = np.abs(seen / wanted - 1)
    row, col = (int(n) for n in np.unravel_index(error.argmax(), error.shape))
    reads = f"{1 / seen[row, col]:.4g} ohm" if seen[row, col] else "nothing"
    has = f"the dummy has {(test.dummy_ohm or ())[row][col]:g} ohm"
    if not circuit.is_plain:
        has += f", which reads {1 / wanted[row, col]:.4g} ohm as it is wired"
    found = f"{cell_name((row, col))}: reads {reads}, {has}"
    if (error > test.tolerance).all():
        return (
            f"{found}, and no cell reads what it should: the dummy is not in the array's place"
            " (a virtual bench has it there with --dummy), or lines of both kinds are exchanged"
        )
    return f"{found}; row{row} or col{col} is wired wrongly"


def _close(
    seen_conductance_s: FloatArray, wanted_conductance_s: FloatArray, tolerance: float
) -> bool:
    return bool(np.allclose(seen_conductance_s, wanted_conductance_s, rtol=tolerance, atol=0))


def _order(
    seen_conductance_s: FloatArray, wanted_conductance_s: FloatArray, axis: int, tolerance: float
) -> list[int] | None:
    """Return for each seen line the wanted line that it is; None if that is no permutation."""
    seen, wanted = (
        np.moveaxis(seen_conductance_s, axis, 0),
        np.moveaxis(wanted_conductance_s, axis, 0),
    )
    order = []
    for line in seen:
        fits = [n for n, known in enumerate(wanted) if _close(line, known, tolerance)]
        if len(fits) != 1 or fits[0] in order:
            return None
        order.append(fits[0])
    return order
