"""Sweeps of one device: columns of voltage and current under a header, as SMU programs write."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from hwloop.importing import Columns, Reader, fault, finite_number, first_lines, text_lines

_ROLES = {
    "voltage": re.compile(r"(smu\d*\.)?v(oltage)?\d*(\[\d+\])*(\s*[(\[]v[)\]])?", re.IGNORECASE),
    "current": re.compile(
        r"(smu\d*\.)?i(\d|\b)\d*(\[\d+\])*(\s*[(\[]a[)\]])?|current\s*[(\[]a[)\]]", re.IGNORECASE
    ),
    "time": re.compile(r"(smu\d*\.)?t(ime)?\d*(\[\d+\])*(\s*[(\[]s[)\]])?", re.IGNORECASE),
}


def recognises(path: Path) -> bool:
    """A header with one column of voltage and one of current, in V and A."""
    lines = first_lines(path, 1)
    roles = _roles(lines[0]) if lines else {}
    return "voltage" in roles and "current" in roles


def read(path: Path, options: Mapping[str, str]) -> Columns:  # noqa: ARG001 - it has none
    """Voltages and currents as they stand, signs kept; a gap in a row is refused."""
    lines = [(n, text) for n, text in enumerate(text_lines(path), start=1) if text.strip()]
    header = lines[0][1]
    roles, names = _roles(header), _names(header)
    rows = [_row(path, n, text, roles, len(names)) for n, text in lines[1:]]
    if len(rows) < 3:
        raise fault(path, lines[-1][0], f"{len(rows)} points", "3 or more, as a sweep has")
    values = {role: np.array([row[role] for row in rows]) for role in roles}
    count = len(rows)
    columns = {
        "cell": np.zeros(count),
        "sweep": np.zeros(count),
        "time_s": values.get("time", np.full(count, np.nan)),
        "voltage_v": values["voltage"],
        "current_a": values["current"],
    }
    _check_times(path, columns["time_s"], lines)
    others = [name for i, name in enumerate(names) if name and i not in roles.values()]
    return Columns("iv", columns, {}, _words(columns, others))


def _names(header: str) -> list[str]:
    return [name.strip().strip('"') for name in header.split(",")]


def _roles(header: str) -> dict[str, int]:
    """Role → column, of those that exactly one column has."""
    names = _names(header)
    found = {
        role: [i for i, name in enumerate(names) if pattern.fullmatch(name)]
        for role, pattern in _ROLES.items()
    }
    return {role: places[0] for role, places in found.items() if len(places) == 1}


def _row(
    path: Path, line: int, text: str, roles: Mapping[str, int], count: int
) -> dict[str, float]:
    cells = text.split(",")
    if not max(roles.values()) < len(cells) <= count:
        raise fault(path, line, f"{len(cells)} values", f"{count}, as the header has")
    return {role: finite_number(cells[i], path, line, role) for role, i in roles.items()}


def _check_times(path: Path, time_s: np.ndarray, lines: Sequence[tuple[int, str]]) -> None:
    back = np.diff(time_s) < 0
    if back.any():
        row = int(np.argmax(back)) + 1
        raise fault(
            path, lines[row + 1][0], f"time {time_s[row]:g} s", f"{time_s[row - 1]:g} s or later"
        )


def _words(columns: Mapping[str, np.ndarray], others: Sequence[str]) -> list[str]:
    voltage_v, current_a = columns["voltage_v"], columns["current_a"]
    against = int(((voltage_v * current_a) < 0).sum())
    words = [
        f"{voltage_v.size} points from {voltage_v.min():.4g} to {voltage_v.max():.4g} V, currents"
        f" from {current_a.min():.4g} to {current_a.max():.4g} A, in V and A as they stand",
        f"{against} currents have the sign against their voltage, as offsets near 0 V do",
    ]
    if others:
        words.append(f"columns left out: {', '.join(others)}")
    words.append("no row was dropped")
    return words


IV_SWEEP = Reader(
    name="iv_sweep",
    summary="a sweep of one device: voltage and current under a header",
    recognises=recognises,
    read=read,
)
