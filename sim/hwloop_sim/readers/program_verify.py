"""Program-and-verify results: one cell and target per row, eleven columns separated by tabs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hwloop.datasets.importing import Extract, Reader
from hwloop.datasets.tables.data_file import DataFile
from hwloop_sim.readers.tables import cells_in, check_whole, first_rows, inverse, table_of, unlike

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


def judge(source: DataFile) -> str:
    """Return "" if rows are eleven numbers: counts in columns 2 to 4, 0 or 1 in column 9."""
    rows = first_rows(source, columns=len(_NAMES))
    if rows is None:
        return unlike(source, _NAMES)
    counts, success = rows[:, 1:4], rows[:, 8]
    if (counts < 0).any() or (counts != np.round(counts)).any():
        return "columns 2 to 4 are no counts of reads and pulses"
    return "" if np.isin(success, (0, 1)).all() else "column 9, success, is not 0 or 1"


def read(source: DataFile, options: Mapping[str, str]) -> Extract:  # noqa: ARG001 - no options
    """Return conductances; the upper resistance of a target is its lower conductance."""
    table, written = table_of(source, _NAMES)
    for column in (0, 1, 2, 3):
        check_whole(written, table[:, column], _NAMES[column])
    final_conductance_s = inverse(written, table[:, 4], "final resistance")
    low_conductance_s = inverse(written, table[:, 7], "target high")
    wrong = (table[:, 6] < 0) | (table[:, 6] >= table[:, 7])
    if wrong.any():
        row = int(np.argmax(wrong))
        raise written.fault(row, f"target low {table[row, 6]:g} ohm", f"below {table[row, 7]:g}")
    bounded = table[:, 6] > 0  # a window that begins at 0 ohm has no upper end
    high_conductance_s = np.where(bounded, 1 / np.where(bounded, table[:, 6], 1.0), np.nan)
    reached = final_conductance_s >= low_conductance_s
    reached &= ~bounded | (final_conductance_s <= high_conductance_s)
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
    return Extract("programming", columns, {}, _messages(source, table, reached))


def _messages(source: DataFile, table: np.ndarray, reached: np.ndarray) -> list[str]:
    success = table[:, 8] != 0
    disagree = int((success != reached).sum())
    targets = len(np.unique(table[:, 6:8], axis=0))
    open_ended = int((table[:, 6] == 0).sum())
    messages = [
        f"{len(table)} rows of {cells_in(table[:, 0])}, {targets} targets; final resistance and"
        " targets from ohm to siemens",
        f"success {success.mean():.1%} by the file; the final resistance is in its target in"
        f" {reached.mean():.1%}, and says otherwise than the file in {disagree} rows",
    ]
    if open_ended:
        messages.append(
            f"{open_ended} targets begin at 0 ohm: they have no highest conductance, and none is"
            " written"
        )
    if (table[:, 5] == 0).all():
        messages.append(
            f"column 6, initial resistance, is 0 throughout and left out: {source.path.name}"
        )
    messages.append("columns 10 and 11, attempts, left out; no row was dropped")
    return messages


PROGRAM_VERIFY = Reader(
    name="program_verify",
    summary="program-and-verify: pulses, final resistance and target of each cell",
    judge=judge,
    read=read,
)
