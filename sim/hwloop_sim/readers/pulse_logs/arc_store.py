"""Files of the ArC TWO control panel: the history of every crosspoint, and its experiments.

HDF5 of the arc2control project, H5DS_VERSION 0.1 and 0.2 (docs/api_storage.rst and
arc2control/h5utils.py of github.com/arc-instruments/arc2control): below ``crosspoints/WxxByy`` a
table ``timeseries`` without times, with ``current``, ``voltage``, ``pulse_width``, ``read_voltage``
and ``op_type`` (1 read, 2 pulse, 3 pulse and read), of which the first ``NROWS`` rows are filled;
``experiments/CT_…`` of the curve tracer and ``experiments/RET_…`` of retention. Its own
conductance is |current / read voltage|: the sign of a current depends on the channel that reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hwloop.datasets.importing import Extract, Reader
from hwloop.datasets.tables.data_file import DataFile
from hwloop.errors import ConfigError
from hwloop.settings.foreign_hdf5 import has_signature, open_foreign
from hwloop_sim.readers.pulse_logs.extracts import extract_of
from hwloop_sim.readers.pulse_logs.steps import PulseRows
from hwloop_sim.readers.tables import Table, cells_in

_CROSSPOINT = re.compile(r"W(\d+)B(\d+)$")
_FIELDS = ("current", "voltage", "pulse_width", "read_voltage", "op_type")
_READ, _PULSE = 1, 2
_MAJOR = 0
EXPERIMENTS = ("CT", "RET")


def judge(source: DataFile) -> str:
    """Return "" if the file is a store of crosspoints, else why not."""
    if not has_signature(source.path):
        return "it is no HDF5 file"
    with open_foreign(source.path) as file:
        if "H5DS_VERSION_MAJOR" not in file.attrs or "crosspoints" not in file:
            return "it is HDF5, but no store of arc2control: it has no H5DS_VERSION_MAJOR"
        if int(file.attrs["H5DS_VERSION_MAJOR"]) != _MAJOR:
            return f"H5DS_VERSION_MAJOR {file.attrs['H5DS_VERSION_MAJOR']}: expected {_MAJOR}"
    return ""


def read(source: DataFile, options: Mapping[str, str]) -> Extract:
    """Return trains from the histories, or the sweeps or reads of the experiments asked for.

    Raises :class:`ConfigError` with file and place.
    """
    wanted = options.get("experiment", "")
    if wanted and wanted not in EXPERIMENTS:
        raise ConfigError(f"{wanted!r}: expected CT or RET", key="experiment")
    with open_foreign(source.path) as file:
        bits = int(file["crossbar"].attrs["bits"])
        points = dict(_crosspoints(file, bits))
        if wanted:
            tables = list(_experiments(points, wanted))
            if not tables:
                raise ConfigError(f"has no experiment {wanted}", file=str(source.path))
            extract = _sweeps(tables) if wanted == "CT" else _reads(source.path, tables)
        else:
            extract = _histories(source.path, points)
    told = f"cells: {bits} · word + bit, of W00B00 to W{_most(points, bits)}"
    return Extract(extract.kind, extract.columns, extract.found, [*extract.messages, told])


def _most(points: Mapping[int, Any], bits: int) -> str:
    word, bit = divmod(max(points), bits)
    return f"{word:02d}B{bit:02d}"


def _crosspoints(file: Any, bits: int) -> Iterator[tuple[int, Any]]:
    """Yield number and group of each crosspoint, in the order of their numbers."""
    found = []
    for name, group in file["crosspoints"].items():
        match = _CROSSPOINT.match(name)
        if match is not None:
            word, bit = int(match[1]), int(match[2])
            if bit >= bits:
                raise ConfigError(f"bit {bit} of {bits}", key=f"crosspoints/{name}")
            found.append((bits * word + bit, group))
    if not found:
        raise ConfigError("has no crosspoint in it", key="crosspoints")
    yield from sorted(found, key=lambda one: one[0])


def _rows(table: Any, fields: tuple[str, ...], place: str) -> dict[str, Table]:
    """Return the filled rows of a table, by field."""
    names = table.dtype.names or ()
    for name in fields:
        if name not in names:
            raise ConfigError(f"has no {name}; it has {', '.join(names)}", key=place)
    count = int(table.attrs.get("NROWS", 0)) or len(table)
    if count > len(table):
        raise ConfigError(f"NROWS {count}: the table has {len(table)} rows", key=place)
    data = table[:count]
    return {name: np.asarray(data[name], dtype=np.float64) for name in fields}


def _histories(path: Path, points: Mapping[int, Any]) -> Extract:
    """Return the trains in the histories of all crosspoints."""
    parts: list[dict[str, Table]] = []
    for cell, group in points.items():
        if int(group["timeseries"].attrs.get("NROWS", 0)):
            rows = _rows(group["timeseries"], _FIELDS, f"{group.name.strip('/')}/timeseries")
            parts.append(rows | {"cell": np.full(rows["current"].size, float(cell))})
    if not parts:
        raise ConfigError("the history of every crosspoint is empty", file=str(path))
    rows = {name: np.concatenate([one[name] for one in parts]) for name in parts[0]}
    kind = rows["op_type"].astype(np.int64)
    is_pulse = (kind & _PULSE) != 0
    if not is_pulse.any():
        raise ConfigError(
            "its histories hold reads alone, without times; give --set experiment=CT or RET for a"
            " curve or a retention test",
            file=str(path),
        )
    # A read at the bias itself says nothing of the state after the pulse.
    at_bias = is_pulse & np.isclose(rows["read_voltage"], rows["voltage"], rtol=1e-3)
    is_read = ((kind & _READ) != 0) & (rows["read_voltage"] != 0) & ~at_bias
    with np.errstate(divide="ignore", invalid="ignore"):
        conductance_s = np.abs(rows["current"] / rows["read_voltage"])
    conductance_s = np.where(is_read & (conductance_s > 0), conductance_s, np.nan)
    zeros = np.zeros(kind.size)
    events = PulseRows(
        cell=rows["cell"],
        amplitude_v=np.where(is_pulse, rows["voltage"], 0.0),
        width_s=np.where(is_pulse, rows["pulse_width"], 0.0),
        gate_v=zeros,
        conductance_s=conductance_s,
        number=zeros,
        part=zeros,
        cycle=zeros,
    )
    _check_pulses(path, events)
    volts = np.unique(rows["read_voltage"][is_read])
    told = [f"states from currents over the read voltage, {', '.join(f'{v:g}' for v in volts)} V"]
    if at_bias.any():
        told.append(f"{int(at_bias.sum())} currents during pulses left out")
    return extract_of(events, path, told)


def _check_pulses(path: Path, events: PulseRows) -> None:
    wrong = (events.amplitude_v != 0) & ~(events.width_s > 0)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ConfigError(
            f"cell {events.cell[row]:g}: a pulse of {events.amplitude_v[row]:g} V has a width of"
            f" {events.width_s[row]:g} s",
            file=str(path),
        )


def _experiments(points: Mapping[int, Any], tag: str) -> Iterator[tuple[int, Any]]:
    for cell, group in points.items():
        for name, table in group.get("experiments", {}).items():
            if name == tag or name.startswith(f"{tag}_"):
                yield cell, table


def _sweeps(tables: list[tuple[int, Any]]) -> Extract:
    """Return the curves that were read at their bias."""
    cells, sweeps, volts, currents_a = [], [], [], []
    left = 0
    for number, (cell, table) in enumerate(tables):
        place = table.name.strip("/")
        rows = _rows(table, ("voltage", "current", "read_voltage"), place)
        if not np.allclose(rows["read_voltage"], rows["voltage"], rtol=1e-3):
            left += 1
            continue
        size = rows["voltage"].size
        cells.append(np.full(size, float(cell)))
        sweeps.append(np.full(size, float(number)))
        volts.append(rows["voltage"])
        currents_a.append(rows["current"])
    if not volts:
        raise ConfigError("no curve was read at its bias: each is a series of pulses", key="CT")
    columns = {
        "cell": np.concatenate(cells),
        "sweep": np.concatenate(sweeps),
        "voltage_v": np.concatenate(volts),
        "current_a": np.concatenate(currents_a),
    }
    columns["time_s"] = np.full(columns["cell"].size, np.nan)
    told = [f"{len(volts)} curves of {cells_in(columns['cell'])}, without times"]
    if left:
        told.append(f"{left} curves that were read at another voltage left out")
    return Extract("iv", columns, {}, told)


def _reads(path: Path, tables: list[tuple[int, Any]]) -> Extract:
    """Return the reads of retention tests, over the time since the first of all."""
    cells, times_s, states = [], [], []
    fields = ("read_voltage", "current", "tstamp_s", "tstamp_us")
    for cell, table in tables:
        rows = _rows(table, fields, table.name.strip("/"))
        cells.append(np.full(rows["current"].size, float(cell)))
        times_s.append(rows["tstamp_s"] + 1e-6 * rows["tstamp_us"])
        with np.errstate(divide="ignore", invalid="ignore"):
            states.append(np.abs(rows["current"] / rows["read_voltage"]))
    columns = {
        "cell": np.concatenate(cells),
        "time_s": np.concatenate(times_s),
        "conductance_s": np.concatenate(states),
    }
    columns["time_s"] -= columns["time_s"].min()
    wrong = ~(np.isfinite(columns["conductance_s"]) & (columns["conductance_s"] > 0))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ConfigError(
            f"cell {columns['cell'][row]:g}: a read of {columns['conductance_s'][row]:g} S:"
            " expected a value above 0",
            file=str(path),
        )
    return Extract("reads", columns, {}, [f"{wrong.size} reads of {cells_in(columns['cell'])}"])


ARC_STORE = Reader(
    name="arc_store",
    summary="a file of the ArC TWO control panel: histories and experiments of crosspoints",
    judge=judge,
    read=read,
    options={"experiment": "CT or RET: curves or retention tests in place of the histories"},
    by_lines=True,
)
