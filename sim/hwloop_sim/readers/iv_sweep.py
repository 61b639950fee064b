"""Sweeps of one device: columns of voltage and current under a header, as written by SMUs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from hwloop.datasets.importing import Extract, Reader, fault, finite_number, first_lines, text_lines

_FEW = 0.1
_SCALES = {"": 1.0, "m": 1e-3, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "n": 1e-9, "p": 1e-12}


def _name(messages: str, unit: str) -> re.Pattern[str]:
    prefixes = "".join(_SCALES)
    return re.compile(rf"{messages}(\s*[(\[](?P<prefix>[{prefixes}]?){unit}[)\]])?", re.IGNORECASE)


_ROLES = {
    "voltage": _name(r"(smu\d*\.)?v(oltage)?\d*(\[\d+\])*", "v"),
    "current": _name(r"((smu\d*\.)?i(\d|\b)\d*(\[\d+\])*|current(?=\s*[(\[]))", "a"),
    "time": _name(r"(smu\d*\.)?t(ime)?\d*(\[\d+\])*", "s"),
}


def recognises(path: Path) -> bool:
    """Return whether the header has one column of voltage and one of current."""
    lines = first_lines(path, 1)
    roles = _roles(lines[0]) if lines else {}
    return "voltage" in roles and "current" in roles


def read(path: Path, options: Mapping[str, str]) -> Extract:  # noqa: ARG001 - no options
    """Return voltages and currents with their signs; a gap in a row is refused."""
    lines = [(n, text) for n, text in enumerate(text_lines(path), start=1) if text.strip()]
    header = lines[0][1]
    roles, names = _roles(header), _names(header)
    rows = [_row(path, n, text, roles, len(names)) for n, text in lines[1:]]
    if len(rows) < 3:
        raise fault(path, lines[-1][0], f"{len(rows)} points", "3 or more, as a sweep has")
    scales = {role: _scale(role, names[i]) for role, i in roles.items()}
    values = {role: np.array([row[role] for row in rows]) * scales[role] for role in roles}
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
    scaled = [names[roles[role]] for role, scale in scales.items() if scale != 1]
    return Extract("iv", columns, {}, _messages(columns, scaled, others))


def _names(header: str) -> list[str]:
    return [name.strip().strip('"') for name in header.split(",")]


def _roles(header: str) -> dict[str, int]:
    """Return role → column for roles that exactly one column has."""
    names = _names(header)
    found = {
        role: [i for i, name in enumerate(names) if pattern.fullmatch(name)]
        for role, pattern in _ROLES.items()
    }
    return {role: places[0] for role, places in found.items() if len(places) == 1}


def _scale(role: str, name: str) -> float:
    match = _ROLES[role].fullmatch(name)
    return _SCALES[(match["prefix"] or "").lower()] if match else 1.0


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


def _messages(
    columns: Mapping[str, np.ndarray], scaled: Sequence[str], others: Sequence[str]
) -> list[str]:
    voltage_v, current_a = columns["voltage_v"], columns["current_a"]
    against = int(((voltage_v * current_a) < 0).sum())
    few = against <= _FEW * voltage_v.size
    signs = "as offsets near 0 V do" if few else "are the leads, or the signs, exchanged?"
    units = f"{', '.join(scaled)} to SI units" if scaled else "in V and A as they stand"
    messages = [
        f"{voltage_v.size} points from {voltage_v.min():.4g} to {voltage_v.max():.4g} V, currents"
        f" from {current_a.min():.4g} to {current_a.max():.4g} A, {units}",
        f"{against} currents have the sign against their voltage: {signs}",
    ]
    if others:
        messages.append(f"columns left out: {', '.join(others)}")
    messages.append("no row was dropped")
    return messages


IV_SWEEP = Reader(
    name="iv_sweep",
    summary="a sweep of one device: voltage and current under a header",
    recognises=recognises,
    read=read,
)
