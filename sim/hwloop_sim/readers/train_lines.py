"""Trains, one per line, each after its cell, its pulse width and its direction.

``(chip,row,column),tprog=0.0002,Gprog, 1.0e-06, …``, or the cell and both widths once in the
first line and then ``Gprog, …`` and ``Gerase, …`` in turn. Values in siemens, widths in seconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hwloop.datasets.importing import Extract, Reader, fault, finite_number
from hwloop.datasets.measurement import train_columns
from hwloop.datasets.tables.data_file import DataFile
from hwloop.errors import ConfigError
from hwloop_sim.readers.tables import quantity

_CELL = r"\((?P<cell>\w+,\d+,\d+)\)"
_FIRST = re.compile(_CELL + r" tprog: (?P<prog>\S+), terase: (?P<erase>\S+)\s*$")
_LINE = re.compile(
    _CELL + r",t(?P<of>prog|erase)=(?P<width>[^,]+),G(?P<name>prog|erase),(?P<g>.*)$"
)
_PLAIN = re.compile(r"G(?P<name>prog|erase),(?P<g>.*)$")


@dataclass(frozen=True)
class _Train:
    cell: str
    direction: str
    width_s: float
    conductance_s: list[float]


def judge(source: DataFile) -> str:
    """Return "" if the first line names a cell, a width and a direction, else why not."""
    lines = source.first_lines(1)
    if lines and any(p.match(lines[0]) for p in (_FIRST, _LINE)):
        return ""
    return "its first line does not name a cell and a width, as (chip,row,column),tprog=… does"


def read(source: DataFile, options: Mapping[str, str]) -> Extract:
    """Return trains of both directions; cells are numbered in the order of the file."""
    volts = {
        "prog": quantity(source.path, options, "program_v", "V"),
        "erase": quantity(source.path, options, "erase_v", "V"),
    }
    trains = list(_trains(source))
    cells = {name: i for i, name in enumerate(dict.fromkeys(train.cell for train in trains))}
    sizes = [len(train.conductance_s) for train in trains]
    columns = train_columns(
        [train.conductance_s for train in trains],
        cells=[cells[train.cell] for train in trains],
        amplitudes_v=[volts[train.direction] for train in trains],
        widths_s=[train.width_s for train in trains],
    )
    programs = sum(train.direction == "prog" for train in trains)
    messages = [
        f"{programs} program and {len(trains) - programs} erase trains of {len(cells)}"
        f" {'cell' if len(cells) == 1 else 'cells'}, {min(sizes)} to {max(sizes)} values each, in"
        " siemens and seconds as they stand",
        f"cells numbered from 0 in the order of the file: ({next(iter(cells))}) is 0",
        "no value was dropped",
    ]
    return Extract("trains", columns, {}, messages)


def _trains(source: DataFile) -> Iterator[_Train]:
    path = source.path
    lines = [(n, text) for n, text in enumerate(source.lines(), start=1) if text.strip()]
    if not lines:
        raise ConfigError("holds no train", file=str(path))
    first = _FIRST.match(lines[0][1])
    for line, text in lines[1:] if first else lines:
        match = (_PLAIN if first else _LINE).match(text.strip())
        if match is None:
            raise fault(path, line, repr(text[:40]), "a train: Gprog or Gerase, then its values")
        direction = match["name"]
        if not first and match["of"] != direction:
            raise fault(path, line, f"t{match['of']} with G{direction}", "one direction a line")
        place, width = (lines[0][0], first[direction]) if first else (line, match["width"])
        width_s = finite_number(width, path, place, f"t{direction}")
        values = [finite_number(v, path, line, "conductance") for v in match["g"].split(",")]
        wrong = next((value for value in values if value <= 0), None)
        if wrong is not None:
            raise fault(path, line, f"conductance {wrong:g} S", "a value above 0")
        if len(values) < 3:
            raise fault(path, line, f"{len(values)} values", "3 or more")
        yield _Train((first or match)["cell"], direction, width_s, values)


TRAIN_LINES = Reader(
    name="train_lines",
    summary="trains of program and erase pulses, one a line after its cell and width",
    judge=judge,
    read=read,
    by_lines=True,
    options={"program_v": "amplitude of the program pulse", "erase_v": "of the erase pulse"},
)
