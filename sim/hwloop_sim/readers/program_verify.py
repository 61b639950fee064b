"""Program-and-verify results: one cell and target per row, eleven columns separated by tabs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hwloop.datasets.importing import Extract, Reader, fault
from hwloop_sim.readers.tables import cells_in, check_whole, inverse, starts_with_numbers, table_of

_NAMES = (
    "address",
    "reads",
    "SET pulses",
    "RESET pulses",
    "final resistance",
    "initial resistance",
    "target low",
    "target high",
    "success",
    "attempts",
    "attempts of the second kind",
)


def recognises(path: Path) -> bool:
    """Return whether rows are eleven numbers: counts in columns 2 to 4, 0 or 1 in column 9."""
    rows = starts_with_numbers(path, columns=len(_NAMES), separator="\t")
    return rows is not None and all(
        row[8] in (0, 1) and all(value == round(value) >= 0 for value in row[1:4]) for row in rows
    )


def read(path: Path, options: Mapping[str, str]) -> Extract:  # noqa: ARG001 - no options
    """Return conductances; the upper resistance of a target is its lower conductance."""
    table, lines = table_of(path, _NAMES, "\t")
    for column in (0, 1, 2, 3):
        check_whole(path, table[:, column], lines, _NAMES[column])
    final_conductance_s = inverse(path, table[:, 4], lines, "final resistance")
    low_conductance_s = inverse(path, table[:, 7], lines, "target high")
    wrong = (table[:, 6] < 0) | (table[:, 6] >= table[:, 7])
    if wrong.any():
        row = int(np.argmax(wrong))
        raise fault(
            path, int(lines[row]), f"target low {table[row, 6]:g} ohm", f"below {table[row, 7]:g}"
        )
    # A window that begins at 0 ohm has no upper end: the largest number, since all are finite.
    most_conductance_s = np.finfo(np.float64).max
    high_conductance_s = np.where(
        table[:, 6] > 0, 1 / np.where(table[:, 6] > 0, table[:, 6], 1.0), most_conductance_s
    )
    reached = (final_conductance_s >= low_conductance_s) & (
        final_conductance_s <= high_conductance_s
    )
    columns = {
        "cell": table[:, 0],
        "reads": table[:, 1],
        "set_pulses": table[:, 2],
        "reset_pulses": table[:, 3],
        "conductance_s": final_conductance_s,
        "target_low_conductance_s": low_conductance_s,
        "target_high_conductance_s": high_conductance_s,
        "success": table[:, 8],
    }
    return Extract("programming", columns, {}, _messages(path, table, reached))


def _messages(path: Path, table: np.ndarray, reached: np.ndarray) -> list[str]:
    success = table[:, 8] != 0
    disagree = int((success != reached).sum())
    targets = len(np.unique(table[:, 6:8], axis=0))
    messages = [
        f"{len(table)} rows of {cells_in(table[:, 0])}, {targets} targets; final resistance and"
        " targets from ohm to siemens",
        f"success {success.mean():.1%} by the file; the final resistance is in its target in"
        f" {reached.mean():.1%}, and says otherwise than the file in {disagree} rows",
    ]
    if (table[:, 5] == 0).all():
        messages.append(f"column 6, initial resistance, is 0 throughout and left out: {path.name}")
    messages.append("columns 10 and 11, attempts, left out; no row was dropped")
    return messages


PROGRAM_VERIFY = Reader(
    name="program_verify",
    summary="program-and-verify: pulses, final resistance and target of each cell",
    recognises=recognises,
    read=read,
)
