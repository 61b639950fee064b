"""Polarity of the pulses of a log, where a column of its own says it beside unsigned amplitudes."""

from __future__ import annotations

import numpy as np

from hwloop.datasets.tables.table import DataTable, TableColumn
from hwloop_sim.readers.tables import Table

_NAMES = frozenset(("polarity", "pol", "sign", "pulse polarity", "pulse sign"))
_SIGNS = {
    **dict.fromkeys(("+", "+1", "1", "p", "pos", "pos.", "positive", "plus"), 1.0),
    **dict.fromkeys(("-", "-1", "n", "neg", "neg.", "negative", "minus", "\N{MINUS SIGN}"), -1.0),
    **dict.fromkeys(("", "0", "r", "read", "none"), 0.0),
}


def polarity_of(table: DataTable) -> tuple[TableColumn, Table] | None:
    """Return the column of polarities, and +1, -1, or 0 where it says none, of each row.

    None where there is no such column, or one of it has other words, as of SET and RESET, which
    say nothing of a sign.
    """
    for column in table.columns:
        if column.role or column.name.strip().casefold().replace("_", " ") not in _NAMES:
            continue
        if column.texts is None:
            signs = np.nan_to_num(column.values)
            return (column, signs) if np.isin(signs, (-1, 0, 1)).all() else None
        words = [text.strip().casefold() for text in column.texts]
        if all(word in _SIGNS for word in words):
            return column, np.array([_SIGNS[word] for word in words])
    return None


def with_polarity(
    table: DataTable, volts: TableColumn, amplitude_v: Table, used: list[TableColumn]
) -> Table:
    """Return the amplitudes with the signs that a column of polarities gives them.

    ``used``: gets that column. Raises :class:`hwloop.errors.ConfigError` with the line where
    amplitudes that have signs themselves contradict it.
    """
    found = polarity_of(table)
    if found is None:
        return amplitude_v
    column, signs = found
    used.append(column)
    if (amplitude_v < 0).any():
        wrong = (signs != 0) & (amplitude_v != 0) & (np.sign(amplitude_v) != signs)
        if wrong.any():
            row = int(np.argmax(wrong))
            sign = "+" if signs[row] > 0 else "-"
            raise table.fault(
                row,
                f"{volts.label} of {amplitude_v[row]:g} V with the {column.label} {sign}",
                "one sign: the amplitudes have signs themselves, and the two columns contradict"
                " each other",
            )
        return amplitude_v
    return np.where(signs == 0, amplitude_v, amplitude_v * signs)


def refuse_pulses_without(table: DataTable, amplitude_v: Table) -> None:
    """Refuse a pulse without a polarity where others have one. ``amplitude_v``: 0 of reads."""
    found = polarity_of(table)
    if found is None:
        return
    wrong = (found[1] == 0) & (amplitude_v != 0)
    if wrong.any() and found[1].any():
        row = int(np.argmax(wrong))
        raise table.fault(
            row, f"no {found[0].label} of a pulse of {amplitude_v[row]:g} V", "+ or -"
        )
