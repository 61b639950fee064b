"""Trace one amplitude and one conductance from YAML to instrument to HDF5: `make architecture`.

A procedure programs one cell over real drivers on a virtual bench. Its amplitude and its target are
numbers that occur nowhere else, so that they can be followed through every call: a file is entered
when one of its functions is called with the number or returns it, by itself, in an array, a message
or a dataclass.
"""

from __future__ import annotations

import dataclasses
import math
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import numpy as np
from pydantic import BaseModel

from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import load_procedure

ROOT = Path(__file__).parents[1]
STATION = ROOT / "stations" / "virtual_2602b_707b.yaml"
AMPLITUDE_V = 1.9375
TARGET_CONDUCTANCE_S = 3.1250e-6
READ_V = 0.1
WINDOW = 0.0625
PACKAGES = ("hwloop", "drivers/hwloop_drivers")
NUMBER = re.compile(r"[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?")
PARTS = ("read", "planned", "run")
MARKS = {"run_procedure": "planned", "Step.__call__": "run"}  # where the next part begins
DEEPEST = 4
LARGEST = 1000

PROCEDURE = f"""
name: walk
seed: 1
array:
  rows: 4
  cols: 4
  biasing: V/2
  limits:
    {{positive_v: 3 V, negative_v: -3 V, read_v: 0.3 V, half_select_v: 1.5 V, current_a: 1 mA,
     pulse_width_s: 50 ms, pulse_energy_j: 1 mJ, pulses_per_device: 1000}}
  read: {{read_v: {READ_V}, both_polarities: false}}
backends:
  sim:
    device: {{model: soft_bounds, min_conductance_s: 500 nS, max_conductance_s: 5 uS,
             up_pulses: 60, down_pulses: 60, initial: 2.9 uS,
             up: {{amplitude_v: {AMPLITUDE_V}, width_s: 5 ms}},
             down: {{amplitude_v: -2.8, width_s: 5 ms}}}}
  bench: {{station: {STATION.as_posix()}}}
steps:
  - step: program_verify
    settings:
      target: {{kind: map, map_conductance_s: [[null, null, null, null],
                                   [null, null, {TARGET_CONDUCTANCE_S}, null],
                                   [null, null, null, null], [null, null, null, null]]}}
      tolerance: {{kind: relative, fraction: {WINDOW}}}
      cells: [[1, 2]]
      algorithm: {{name: alibart, up: {{amplitude: {AMPLITUDE_V}, width_s: 5 ms}},
                  down: {{amplitude: -2.8, width_s: 5 ms}}}}
"""

FOLLOWED: Mapping[str, tuple[float, ...]] = {
    "amplitude": (AMPLITUDE_V, AMPLITUDE_V / 2),
    "conductance": (
        TARGET_CONDUCTANCE_S,
        *(TARGET_CONDUCTANCE_S * (1 + side * WINDOW) for side in (-1, 1)),
        *(TARGET_CONDUCTANCE_S * (1 + side * WINDOW) * READ_V for side in (-1, 0, 1)),
    ),
}


REASONS: Mapping[str, str] = {
    "hwloop/steps/program/controllers/base.py": "the levels are counted when the file is read, to"
    " refuse a train that has none; the next one is asked for pulse by pulse",
    "hwloop/steps/program/controllers/alibart.py": "the plan counts its trains, the loop"
    " takes them one by one",
    "hwloop/steps/program/controllers/__init__.py": "the plan and the run both ask what writes",
    "hwloop/steps/program/program_verify.py": "the plan of a step, and the step",
    "hwloop/steps/program/targets.py": "the target is checked against the array when the file is"
    " read; its window is made when the cells have been read",
    "hwloop/steps/program/pulses.py": "reads judge a cell by its window, pulses move it there",
    "hwloop/array/pulses.py": "a pulse is made by the plan and by the step, and tells its"
    " extremes to whoever judges it",
    "hwloop/steps/array.py": "a reading becomes a conductance, corrected for known resistors, and"
    " what the step has read last is remembered",
    "hwloop/steps/program/rows.py": "one row for each table of the record",
    "hwloop/record/storage/planned.py": "columns are laid out before the run, and filled row by row"
    " in it",
    "hwloop/execution/preview.py": "the limits are asked before the backend is opened, the backend"
    " before the record is begun",
    "hwloop/array/limits.py": "the plan is held to the limits before the bench is opened, and each"
    " operation before it is done: a step decides as it goes",
    "hwloop/array/line_bounds.py": "that of the plan is asked before the bench is opened, and that"
    " of each operation before it is done",
    "hwloop/array/conductance_bounds.py": "targets are held to what can be read"
    " when the file is read, and again when the step takes them",
    "hwloop/array/maps.py": "every map and width of an operation is checked when it is made, in the"
    " plan and in the run",
    "drivers/hwloop_drivers/bench/pulse_trains.py": "the train that is asked for when a pulse is"
    " checked is the one that is made",
    "hwloop/array/operations.py": "the worst pulses of a ramp for the limits, every pulse for the"
    " instrument",
    "hwloop/backend/guard.py": "as the limits, which it holds",
    "hwloop/backend/holding.py": "the bench refuses a hold when asked whether it can, the guard"
    " with each operation",
    "hwloop/backend/shapes.py": "the bench checks the shape when asked whether it can, the guard"
    " with each operation",
    "hwloop/execution/execute.py": "what the backend is opened with, then the loop over the steps",
    "hwloop/execution/open_run.py": "the run is begun, takes each row of a step, and is ended",
    "hwloop/settings/yaml.py": "the text of the file, then its content: the record holds both",
    "hwloop/backend/wrapper.py": "a wrapper does an operation, and passes on the question whether"
    " it can be done",
    "hwloop/record/header.py": "the series to be filled: once to lay them out, once to keep them",
    "hwloop/record/writer.py": "the file is laid out before the bench works; then each operation"
    " and each row is written",
    "hwloop/record/operations.py": "the columns of an operation: once to lay them out, once filled",
    "hwloop/record/storage/series.py": "as the columns, which it stores",
    "hwloop/record/storage/columns.py": "room for the rows of a series, then the rows that it"
    " stores",
    "hwloop/steps/program/cells_at_work.py": "the cells are taken with their targets, and"
    " end one by one",
    "drivers/hwloop_drivers/bench/backend.py": "asked whether it can, then told to",
    "drivers/hwloop_drivers/bench/cell_access.py": "what the check and the pulse drive is made in"
    " one place",
    "drivers/hwloop_drivers/station/cables.py": "asked with the plan and with each operation",
    "drivers/hwloop_drivers/bench/line_watch.py": "the pulses are noted before an operation, its"
    " reads are judged after it",
    "drivers/hwloop_drivers/bench/verify_loop.py": "the loop that is sent, and its answer",
    "drivers/hwloop_drivers/station/drives.py": "asked with the plan and with each operation",
    "drivers/hwloop_drivers/roles/source_meter.py": "asked with the plan and with each operation",
    "drivers/hwloop_drivers/links/stream.py": "what came before a question is refused, then its"
    " answer is read",
    "drivers/hwloop_drivers/instruments/keithley_2600b/channel.py": "asked whether it can, then"
    " told to",
    "drivers/hwloop_drivers/instruments/families/common.py": "bounds, and numbers as text there and"
    " back",
    "drivers/hwloop_drivers/instruments/families/trains.py": "asked with the plan and with each"
    " operation",
    "drivers/hwloop_drivers/instruments/families/tsp_source_meter.py": "the script's arguments, and"
    " its call",
}


class Way(NamedTuple):
    """A function through which a number enters a file, and the part of the run."""

    part: str
    function: str


class Trace:
    """The ways by which each number enters each file, by the part of the run, in order.

    A file is entered where one of its functions is called from another file with the number, or
    makes the number and hands it to another file. The same way in the same part counts once, so
    that a loop over pulses is walked once.
    """

    def __init__(self) -> None:
        self.entries: dict[str, dict[str, list[Way]]] = {name: {} for name in FOLLOWED}
        self._part = PARTS[0]
        self._given: dict[int, set[str]] = {}

    def __call__(self, frame: FrameType, event: str, value: Any) -> None:
        """Note a call or a return of the source, as :func:`sys.setprofile` tells of it."""
        file = _source(frame.f_code.co_filename)
        if file is None or event not in ("call", "return"):
            return
        function = frame.f_code.co_qualname
        if event == "call":
            self._part = MARKS.get(function, self._part)
            numbers = _held(_arguments(frame))
            self._given[id(frame)] = numbers
        else:
            numbers = _held(value) - self._given.pop(id(frame), set())
        if numbers and _caller(frame) != file:
            self._enter(file, Way(self._part, function.split(".<locals>")[0]), numbers)

    def _enter(self, file: str, way: Way, numbers: set[str]) -> None:
        for name in numbers:
            ways = self.entries[name].setdefault(file, [])
            if way not in ways:
                ways.append(way)


def _held(value: Any) -> set[str]:
    return {name for name, numbers in FOLLOWED.items() if carries(value, numbers)}


def carries(value: Any, numbers: tuple[float, ...], depth: int = 0) -> bool:
    """Return whether one of ``numbers``, of either sign, is ``value`` or is held in it."""
    if isinstance(value, bool | type(None)) or depth > DEEPEST:
        return False
    if isinstance(value, int | float):
        return any(math.isclose(abs(value), number, rel_tol=1e-6) for number in numbers)
    if isinstance(value, bytes):
        value = value[:LARGEST].decode("ascii", "replace")
    if isinstance(value, str):
        found = NUMBER.findall(value[:LARGEST])
        return any(carries(float(text), numbers, depth) for text in found)
    if isinstance(value, np.ndarray):
        if value.dtype.kind != "f" or value.size > LARGEST:
            return False
        return any(
            bool(np.isclose(np.abs(value), number, rtol=1e-6, atol=0.0).any()) for number in numbers
        )
    return any(carries(part, numbers, depth + 1) for part in _parts(value))


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, list | tuple | set | frozenset):
        yield from value
    elif dataclasses.is_dataclass(value) or isinstance(value, BaseModel):
        yield from vars(value).values() if hasattr(value, "__dict__") else ()


def _arguments(frame: FrameType) -> list[Any]:
    code = frame.f_code
    count = code.co_argcount + code.co_kwonlyargcount
    names = [name for name in code.co_varnames[:count] if name not in ("self", "cls")]
    return [frame.f_locals.get(name) for name in names]


def _caller(frame: FrameType) -> str | None:
    """Return the file of the source that called, whatever library stands between."""
    outer = frame.f_back
    while outer is not None and _source(outer.f_code.co_filename) is None:
        outer = outer.f_back
    return None if outer is None else _source(outer.f_code.co_filename)


@cache
def _source(path: str) -> str | None:
    """Return a file's place in the core or the drivers, or None if it is elsewhere."""
    if not Path(path).is_relative_to(ROOT):
        return None
    name = Path(path).relative_to(ROOT).as_posix()
    return name if name.startswith(tuple(f"{package}/" for package in PACKAGES)) else None


def walk() -> Trace:
    """Run the procedure on the virtual bench and return where its numbers went."""
    trace = Trace()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "walk.yaml"
        path.write_text(PROCEDURE, encoding="utf-8")
        sys.setprofile(trace)
        try:
            run_procedure(load_procedure(path), RunOptions("bench", Path(folder) / "walk.h5"))
        finally:
            sys.setprofile(None)
    return trace


def tables() -> str:
    """Return the walk of each number as Markdown.

    Raises :class:`SystemExit` with the files that are entered in several ways without a reason.
    """
    walked = walk().entries
    unexplained = {
        file
        for files in walked.values()
        for file, ways in files.items()
        if len(ways) > 1 and file not in REASONS
    }
    if unexplained:
        raise SystemExit(f"entered in several ways without a reason: {sorted(unexplained)}")
    return "\n".join(f"### One {name}\n\n{_table(files)}" for name, files in walked.items())


def _table(files: Mapping[str, list[Way]]) -> str:
    lines = ["| | file | entered by | why more than once |", "| --- | --- | --- | --- |"]
    for index, (file, ways) in enumerate(files.items(), start=1):
        doors = "; ".join(
            f"{part}: " + ", ".join(f"`{way.function}`" for way in ways if way.part == part)
            for part in PARTS
            if any(way.part == part for way in ways)
        )
        why = REASONS[file] if len(ways) > 1 else ""
        lines.append(f"| {index} | `{file}` | {doors} | {why} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the walk of each number."""
    print(tables())


if __name__ == "__main__":
    main()
