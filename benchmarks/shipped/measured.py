"""Measured data sets as trains; `../shared/data/README.md` describes the files."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np

from hwloop.types import FloatArray
from hwloop_sim.calibrate.trains.data import Direction, TrainData

WIDTHS_MS = (1, 2, 5, 10, 50)


def spintronic(folder: Path, width_ms: int) -> TrainData:
    """Return one train up and one down; 1 ms up is from the bench log, the rest from a figure.

    NaN where another curve hides the line.
    """
    up_conductance_s = _column(
        folder / "manhattan_4x4" / "potentiation_2V_digitised.csv", f"{width_ms}ms"
    )
    if width_ms == 1:
        up_conductance_s = np.loadtxt(folder / "manhattan_4x4" / "datafile.csv", skiprows=1)
    down_conductance_s = _column(
        folder / "manhattan_4x4" / "depression_-2.8V_digitised.csv", f"{width_ms}ms"
    )
    width_s = width_ms * 1e-3
    return _both(
        Direction(2.0, width_s, [up_conductance_s], True),
        Direction(-2.8, width_s, [down_conductance_s], False),
    )


def taox(folder: Path) -> TrainData:
    """Return 20 trains each way; the pulses are not stated, ±1 V and 1 µs are placeholders."""
    up, down = (
        [np.array(one) / 0.1 for one in _columns(folder / "taox_pulses" / name)]
        for name in ("set.csv", "reset.csv")
    )
    return _both(Direction(1.0, 1e-6, up, True), Direction(-1.0, 1e-6, down, False))


def hfo2(folder: Path) -> TrainData:
    """Return one train each way, without a unit; 3 is added so that all values are positive."""
    table = np.loadtxt(folder / "hfo2_pulse_response" / "gong_et_al.csv", delimiter=",") + HFO2_ZERO
    up, down = ([column] for column in table.T)
    return _both(Direction(1.0, 1e-6, up, True), Direction(-1.0, 1e-6, down, False))


HFO2_ZERO = 3.0


def yflash(folder: Path, *, cells: bool) -> TrainData:
    """Return 200 cycles of one cell, or one train each way of 48 cells.

    Program pulses are given as 1 V, erase pulses as −1 V.
    """
    name = "data_device2device_prog_erase.txt" if cells else "data_cycle2cycle.txt"
    trains: dict[str, list[FloatArray]] = {"prog": [], "erase": []}
    for line in (folder / "yflash" / name).read_text("utf-8").splitlines():
        if found := re.search(r"G(prog|erase),(.*)", line):
            values = [float(value) for value in found[2].split(",") if value.strip()]
            trains[found[1]].append(np.array(values))
    numbers = {way: tuple(range(len(of))) if cells else () for way, of in trains.items()}
    return _both(
        Direction(-1.0, 100e-6, trains["erase"], True, numbers["erase"]),
        Direction(1.0, 200e-6, trains["prog"], False, numbers["prog"]),
    )


def _both(up: Direction, down: Direction) -> TrainData:
    return TrainData([up, down])


def _column(path: Path, name: str) -> FloatArray:
    with path.open(newline="", encoding="utf-8") as stream:
        return np.array([float(row[name] or "nan") for row in csv.DictReader(stream)])


def _columns(path: Path) -> list[list[float]]:
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))[1:]
    columns: list[list[float]] = [[] for _ in rows[0]]
    for row in rows:
        for column, field in zip(columns, row, strict=False):
            if field.strip():
                column.append(float(field))
    return columns
