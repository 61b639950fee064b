"""Helpers of the readers of tables: lines of numbers, inversion of resistances, addresses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hwloop.datasets.importing import fault, finite_number, first_lines, text_lines
from hwloop.errors import ConfigError
from hwloop.settings.units import parse_quantity

Table = NDArray[np.float64]


def starts_with_numbers(path: Path, *, columns: int, separator: str) -> list[list[float]] | None:
    """Return the first three lines as numbers; None unless each has ``columns`` of them."""
    lines = [line.split(separator) for line in first_lines(path, 3)]
    try:
        rows = [[float(cell) for cell in line] for line in lines]
    except ValueError:
        return None
    return rows if rows and all(len(row) == columns for row in rows) else None


def table_of(path: Path, names: Sequence[str], separator: str) -> tuple[Table, NDArray[np.int64]]:
    """Read a table without header: values, (rows, columns), and the line number of each row.

    Raises :class:`ConfigError` with file, line and value if a field is no finite number.
    """
    lines = [(n, text) for n, text in enumerate(text_lines(path), start=1) if text.strip()]
    rows = [_row(path, n, text.split(separator), names) for n, text in lines]
    if not rows:
        raise ConfigError("holds no values", file=str(path))
    return np.array(rows), np.array([n for n, _ in lines])


def _row(path: Path, line: int, cells: Sequence[str], names: Sequence[str]) -> list[float]:
    if len(cells) != len(names):
        raise fault(path, line, f"{len(cells)} values", f"{len(names)}: {', '.join(names)}")
    return [finite_number(cell, path, line, name) for cell, name in zip(cells, names, strict=True)]


def inverse(path: Path, resistance_ohm: Table, lines: NDArray[np.int64], what: str) -> Table:
    """Return 1/R in siemens; a resistance that is not above 0 is refused with its line."""
    wrong = resistance_ohm <= 0
    if wrong.any():
        row = int(np.argmax(wrong))
        raise fault(path, int(lines[row]), f"{what} {resistance_ohm[row]:g} ohm", "a value above 0")
    return 1.0 / resistance_ohm


def check_whole(path: Path, values: Table, lines: NDArray[np.int64], what: str) -> None:
    """Refuse a count or an address that is not a whole number of 0 or more."""
    wrong = (values < 0) | (values != np.round(values))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise fault(path, int(lines[row]), f"{what} {values[row]:g}", "a whole number of 0 or more")


def quantity(path: Path, options: Mapping[str, str], key: str, unit: str) -> float:
    """Parse what the user gave for ``key``; :class:`ConfigError` if missing or no quantity."""
    if key not in options:
        raise ConfigError(f"does not say {key}; give it with --set {key}=…", file=str(path))
    try:
        return parse_quantity(options[key], unit)
    except ValueError as exc:
        raise ConfigError(f"{options[key]!r}: {exc}", key=key) from None


def cells_in(addresses: Table) -> str:
    """Return "1 cell", "25 cells" and so on for the distinct addresses."""
    count = np.unique(addresses).size
    return f"{count} {'cell' if count == 1 else 'cells'}"
