"""Reads among the pulses of a log: rows at a read voltage that the log returns to again and again.

A script that programs and then reads writes both as rows of one kind, ``1 V, 0.1 V, 1 V, 0.1 V``.
Rows at the lowest level are reads where that is plain: it is at most a third of every pulse, the
pulses between two returns to it are equal, and it cannot be the RESET after each SET. Where it is
not plain the user says it with ``read_v``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwloop_sim.readers.tables import Table

SAME_LEVEL = 0.02
"""Relative difference up to which two voltages are one level."""

_MOST_CERTAIN = 0.34
_MOST_POSSIBLE = 0.7
"""Shares of the smallest pulse up to which a level is, or may be, a read voltage."""

_LEAST_RETURNS = 2
_MOST_IN_A_ROW = 3

_Rows = NDArray[np.int64]


@dataclass(frozen=True)
class ReadLevel:
    """Level that a log returns to between its pulses.

    ``read_v``: volts, the magnitude where both signs occur. ``rows``: True at this level.
    ``is_regular``: whether all rows between two returns are equal pulses. ``doubt``: "" where the
    rows are reads beyond doubt, else why they may be pulses.
    """

    read_v: float
    rows: NDArray[np.bool_]
    is_regular: bool
    doubt: str


def at_level(amplitude_v: Table, level_v: float) -> NDArray[np.bool_]:
    """Return which rows are at a level of either sign."""
    return np.asarray(np.abs(np.abs(amplitude_v) / abs(level_v) - 1) <= SAME_LEVEL)


def signed_level(amplitude_v: Table) -> float:
    """Return the level of these rows, volts; the magnitude where both signs occur."""
    one_sign = np.ptp(np.sign(amplitude_v)) == 0
    return float(np.median(amplitude_v if one_sign else np.abs(amplitude_v)))


def level_between_pulses(
    amplitude_v: Table,
    *,
    cell: Table | None = None,
    valued: NDArray[np.bool_] | None = None,
    has_width: NDArray[np.bool_] | None = None,
) -> ReadLevel | None:
    """Return the level of reads between the pulses of a log, certain or possible; else None.

    ``amplitude_v``: of each row, 0 or NaN where there is none. ``valued``: rows with a value.
    ``has_width``: rows that have the width of a pulse, where the log has widths.
    """
    magnitude_v = np.abs(np.nan_to_num(amplitude_v))
    if not magnitude_v.any():
        return None
    lowest_v = float(magnitude_v[magnitude_v > 0].min())
    reads = at_level(magnitude_v, lowest_v)
    pulses = (magnitude_v > 0) & ~reads
    if not pulses.any() or (valued is not None and valued[reads].mean() < 0.5):
        return None
    share = lowest_v / float(magnitude_v[pulses].min())
    if share > _MOST_POSSIBLE:
        return None
    returns, in_a_row, is_regular = _pattern(np.nan_to_num(amplitude_v), reads, cell)
    if returns < _LEAST_RETURNS:
        return None
    read_v = signed_level(amplitude_v[reads])
    signs = np.unique(np.sign(amplitude_v[pulses]))
    is_opposite = signs.size == 1 and np.sign(read_v) == -signs[0]
    without_width = has_width is not None and not has_width[reads].any()
    if without_width and has_width is not None and has_width[pulses].all():
        return ReadLevel(read_v, reads, is_regular, "")
    if (is_opposite or not is_regular) and share > _MOST_CERTAIN:
        return None
    if is_opposite:
        doubt = "the only pulses of this polarity"
    else:
        doubt = _doubt(is_regular=is_regular, lowest_v=lowest_v, share=share, in_a_row=in_a_row)
    return ReadLevel(read_v, reads, is_regular, doubt)


def _doubt(*, is_regular: bool, lowest_v: float, share: float, in_a_row: int) -> str:
    """Return why rows at a level of the sign of the pulses may be pulses themselves, or ""."""
    if not is_regular:
        return "with different rows between them"
    if share > _MOST_CERTAIN:
        return f"more than a third of the smallest other, {lowest_v / share:g} V"
    if in_a_row > _MOST_IN_A_ROW:
        return f"up to {in_a_row} in a row"
    return ""


def _pattern(
    amplitude_v: Table, reads: NDArray[np.bool_], cell: Table | None
) -> tuple[int, int, bool]:
    """Return how often pulses are followed by a read, the most reads in a row, and regularity.

    A row at 0 V is another than the pulses: a sweep that passes through it is not regular.
    """
    other = np.zeros(amplitude_v.size - 1, dtype=np.bool_)  # than the cell of the row before
    if cell is not None:
        rows = np.argsort(cell, kind="stable")
        amplitude_v, reads, other = amplitude_v[rows], reads[rows], np.diff(cell[rows]) != 0
    returns = int(np.count_nonzero(~other & ~reads[:-1] & reads[1:]))
    firsts = np.concatenate([[0], np.flatnonzero((reads[1:] != reads[:-1]) | other) + 1])
    lengths = np.diff(firsts, append=amplitude_v.size)
    level_v = np.repeat(amplitude_v[firsts], lengths)
    equal = np.abs(amplitude_v - level_v) <= SAME_LEVEL * np.abs(level_v)
    is_regular = bool((reads | equal & (amplitude_v != 0)).all())
    return returns, int(lengths[reads[firsts]].max()), is_regular
