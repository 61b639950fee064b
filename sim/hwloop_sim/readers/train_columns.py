"""Trains of one pulse side by side: a header, then one column per train and one row per pulse."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from hwloop.datasets.importing import (
    Extract,
    Reader,
    fault,
    fields_of,
    finite_number,
    first_lines,
    text_lines,
)
from hwloop.datasets.measurement import train_columns as columns_of_trains
from hwloop.errors import ConfigError
from hwloop.messages import nearest
from hwloop_sim.readers import iv_sweep
from hwloop_sim.readers.tables import quantity

_CONDUCTANCE = {"S": 1.0, "mS": 1e-3, "uS": 1e-6, "nS": 1e-9}
_CURRENT = {"A": 1.0, "mA": 1e-3, "uA": 1e-6, "nA": 1e-9, "pA": 1e-12}
_RESISTANCE = {"Ohm": 1.0, "kOhm": 1e3, "MOhm": 1e6}
_UNITS = {**_CONDUCTANCE, **_CURRENT, **_RESISTANCE}
_UNIT = re.compile(r".*[(\[]\s*(.+?)\s*[)\]]\s*$")
_COUNTERS = ("pulse", "pulses", "pulse number", "n")


def recognises(path: Path) -> bool:
    """Return whether two names or more, of no unit or of one, stand above rows of numbers."""
    lines = first_lines(path, 3)
    if len(lines) < 3 or iv_sweep.recognises(path):
        return False
    try:
        header, *rows = (fields_of(path, n, line) for n, line in enumerate(lines, start=1))
    except ConfigError:
        return False
    if len(header) < 2 or not all(name.strip() for name in header) or _numeric(header):
        return False
    units = {_unit_of(name) for name in _of_trains(header)}
    fit = len(units) == 1 and units <= {None, *_UNITS}
    return fit and all(len(row) == len(header) and _numeric(row) for row in rows)


def read(path: Path, options: Mapping[str, str]) -> Extract:
    """Return trains in siemens; each ends at its first empty field, which no value may follow."""
    amplitude_v = quantity(path, options, "amplitude_v", "V")
    width_s = quantity(path, options, "width_s", "s")
    lines = [(n, text) for n, text in enumerate(text_lines(path), start=1) if text.strip()]
    names = [name.strip() for name in fields_of(path, *lines[0])]
    rows = [(n, fields_of(path, n, text)) for n, text in lines[1:]]
    chosen = _chosen(path, names, options.get("columns"))
    unit = _unit(path, [names[i] for i in chosen], options.get("unit"))
    trains = [_train(path, rows, i, names[i]) for i in chosen]
    conductance_s = [_siemens(path, train, unit, options) for train in trains]
    sizes = [len(train) for train in trains]
    count = len(trains)
    columns = columns_of_trains(
        conductance_s,
        cells=[0] * count,
        amplitudes_v=[amplitude_v] * count,
        widths_s=[width_s] * count,
    )
    left_out = len(_of_trains(names)) - len(chosen)
    messages = [
        f"{len(sizes)} trains of {min(sizes)} to {max(sizes)} values in {unit}, to siemens",
        f"{len(rows) * len(sizes) - sum(sizes)} empty fields after the ends of trains left out;"
        f" {left_out} columns not chosen; no value was dropped",
    ]
    return Extract("trains", columns, {}, messages)


def _numeric(row: Sequence[str]) -> bool:
    try:
        return bool([float(field) for field in row if field.strip()])
    except ValueError:
        return False


def _of_trains(header: Sequence[str]) -> list[str]:
    return [name for name in header if name.strip().lower() not in _COUNTERS]


def _unit_of(name: str) -> str | None:
    match = _UNIT.match(name)
    if match is None:
        return None
    return (
        match.group(1).replace("µ", "u").replace("μ", "u").replace("Ω", "Ohm").replace("ohm", "Ohm")
    )


def _chosen(path: Path, names: Sequence[str], wanted: str | None) -> list[int]:
    trains = _of_trains(names)
    picked = trains if wanted is None else [name.strip() for name in wanted.split(",")]
    for name in picked:
        if name not in trains:
            raise ConfigError(f"has no column {name!r}{nearest(name, trains)}", file=str(path))
    return [names.index(name) for name in picked]


def _unit(path: Path, names: Sequence[str], given: str | None) -> str:
    stated = {_unit_of(name) for name in names} - {None}
    if given is not None and given not in _UNITS:
        raise ConfigError(f"{given!r} is no known unit{nearest(given, _UNITS)}", key="unit")
    if given is not None and stated - {given}:
        raise ConfigError(f"{given!r}: the file's own header says {stated.pop()}", key="unit")
    if given is None and len(stated) != 1:
        raise ConfigError(
            "has no unit in its header; give it as --set unit=S"
            f" (or {', '.join(list(_UNITS)[1:])})",
            file=str(path),
        )
    return given or str(stated.pop())


def _train(
    path: Path, rows: Sequence[tuple[int, Sequence[str]]], index: int, name: str
) -> np.ndarray:
    values: list[float] = []
    ended = 0
    for line, row in rows:
        field = row[index].strip() if index < len(row) else ""
        if not field:
            ended = ended or line
            continue
        if ended:
            raise fault(path, ended, f"a gap in column {name!r}", f"a value: it goes on at {line}")
        number = finite_number(field, path, line, name)
        if number <= 0:
            raise fault(path, line, f"{name} {field}", "a value above 0")
        values.append(number)
    if len(values) < 3:
        raise ConfigError(
            f"column {name!r} has {len(values)} values: expected 3 or more", file=str(path)
        )
    return np.array(values)


def _siemens(path: Path, train: np.ndarray, unit: str, options: Mapping[str, str]) -> np.ndarray:
    if unit in _RESISTANCE:
        return 1 / (train * _UNITS[unit])
    if unit in _CURRENT:
        read_v = quantity(path, options, "read_v", "V")
        if read_v == 0:
            raise ConfigError("0 V: no current over it is a conductance", key="read_v")
        return train * _UNITS[unit] / read_v
    return train * _UNITS[unit]


TRAIN_COLUMNS = Reader(
    name="train_columns",
    summary="trains of one pulse side by side: a header, one train a column",
    recognises=recognises,
    read=read,
    options={
        "amplitude_v": "of the pulse, signed",
        "width_s": "of the pulse",
        "read_v": "where the values are currents",
        "unit": f"where the header has none: {', '.join(_UNITS)}",
        "columns": "names of those to take, apart by commas; all if left out",
    },
)
