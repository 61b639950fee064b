"""The one compiled entry of the solver, cached under a checksum of all its source files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

from numba import njit

from hwloop_sim.circuit.kernels import ENTRY, all_jobs
from hwloop_sim.circuit.ladders import OPTIONS


def _entry(made_of: int) -> Callable[..., None]:
    """Compile the entry, cached under the checksum ``made_of`` of all the files it is made of.

    numba looks at the file of a cached function alone, not at the files of the functions it calls:
    an upgrade that changes only these would go on with the old ones. It does compare the value of a
    closure's variable.
    """

    @njit(ENTRY, cache=True, **OPTIONS)
    def solve_jobs(
        g, source, wires, ends, row_v, col_v, first, last, fields, lines, report, control
    ):
        if made_of != 0:
            all_jobs(
                g, source, wires, ends, row_v, col_v, first, last, fields, lines, report, control
            )

    entry: Callable[..., Any] = solve_jobs
    return entry


def _checksum() -> int:
    """Compute the checksum of the compiled files, never 0."""
    here = Path(__file__).parent
    names = ("islands.py", "kernels.py", "ladders.py")
    return 1 + crc32(b"".join((here / name).read_bytes() for name in names))


solve_jobs = _entry(_checksum())
