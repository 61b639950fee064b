"""Measured pulse trains: the conductance of a device after 0, 1, 2, … equal pulses, many times.

In a procedure they are written out, or referred to in one of two ways, and read with it::

  {amplitude_v: 2 V, width_s: 50 ms, conductance_s: [[4.5e-7, 4.9e-7, …], …]}
  {amplitude_v: 1 V, width_s: 1 us, file: set.csv, read_v: 0.1 V}
  {calibration: shumilin2024_2V_50ms}

A CSV file holds one train a column, one pulse a row, short columns ending in empty fields; a first
line that is not of numbers is a header. ``columns`` selects some of them, numbered from 0. The
numbers are conductances in siemens; currents in amperes where ``read_v`` is given; otherwise
offset_conductance_s + scale_conductance_s · number where ``scale_conductance_s`` is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, model_validator

from hwloop.errors import ConfigError, HwloopError
from hwloop.settings.array_files import csv_lines
from hwloop.settings.model import folder_of
from hwloop.settings.units import PositiveSiemens, parse_quantity
from hwloop_sim.calibration.file import load_table
from hwloop_sim.cells.known_pulses import KnownPulse

_OF_FILES = ("file", "columns", "read_v", "scale_conductance_s", "offset_conductance_s")


class MeasuredTrains(KnownPulse):
    """Measured trains of one pulse, (trains, pulses + 1), siemens; they may differ in length."""

    conductance_s: tuple[Annotated[tuple[PositiveSiemens, ...], Field(min_length=2)], ...] = Field(
        min_length=1
    )

    @model_validator(mode="before")
    @classmethod
    def _read(cls, data: Any, info: ValidationInfo) -> Any:
        if not isinstance(data, Mapping):
            return data
        folder = folder_of(info)
        if "calibration" in data:
            return _of_calibration(data, folder)
        if "file" not in data:
            return data
        rest = {key: value for key, value in data.items() if key not in _OF_FILES}
        if "conductance_s" in rest:
            raise ValueError("give either file or conductance_s")
        return {**rest, "conductance_s": _of_file(data, folder)}


def _of_calibration(data: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    if set(data) != {"calibration"}:
        raise ValueError("calibration already gives every value; leave the other keys out")
    try:
        table = load_table(str(data["calibration"]), folder)
    except HwloopError as exc:
        raise ValueError(str(exc)) from None
    return {
        "amplitude_v": table.conditions.amplitude_v,
        "width_s": table.conditions.width_s,
        "conductance_s": [list(table.conductance_s)],
    }


def _of_file(data: Mapping[str, Any], folder: Path) -> list[list[float]]:
    path = folder / str(data["file"])
    columns = _columns(path)
    chosen = data.get("columns", list(range(len(columns))))
    if not isinstance(chosen, list | tuple) or not all(isinstance(i, int) for i in chosen):
        raise ValueError("columns: expected a list of column numbers, counted from 0")
    for index in chosen:
        if not 0 <= index < len(columns):
            raise ValueError(f"{path}: there is no column {index}: it has {len(columns)}")
    if "read_v" in data and "scale_conductance_s" in data:
        raise ValueError(
            "give read_v for currents, or scale_conductance_s for numbers without a unit"
        )
    offset_conductance_s = parse_quantity(data.get("offset_conductance_s", 0.0), "S")
    scale = parse_quantity(data.get("scale_conductance_s", 1.0), "S")
    if "read_v" in data:
        read_v = parse_quantity(data["read_v"], "V")
        if read_v == 0:
            raise ValueError("read_v 0 V: no current over it is a conductance")
        scale = 1 / read_v
    return [[offset_conductance_s + scale * value for value in columns[index]] for index in chosen]


def _columns(path: Path) -> list[list[float]]:
    try:
        rows = [row for _, row in csv_lines(path) if any(field.strip() for field in row)]
    except ConfigError as exc:
        raise ValueError(str(exc)) from None
    columns: list[list[float]] = [[] for _ in range(max(map(len, rows), default=0))]
    ended = [False] * len(columns)
    for line, row in enumerate(rows):
        if line == 0 and _is_header(row):
            continue
        for index, column in enumerate(columns):
            field = row[index].strip() if index < len(row) else ""
            if not field:
                ended[index] = True
                continue
            if ended[index]:
                raise ValueError(f"{path}: column {index} continues after an empty field")
            column.append(_number(field, path, line, index))
    return columns


def _is_header(row: list[str]) -> bool:
    try:
        [float(field) for field in row if field.strip()]
    except ValueError:
        return True
    return False


def _number(field: str, path: Path, line: int, index: int) -> float:
    try:
        value = float(field)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{path}: row {line}, column {index}: {field!r} is no number")
    return value
