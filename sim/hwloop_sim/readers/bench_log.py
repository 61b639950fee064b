"""Raw log of a pulse bench: settings, column names, then three rows per pulse.

The three rows are the pulse, a row at the OFF voltage, and the read at both polarities. The log
begins with one initial pulse, which resets the cell; its read is the state after 0 pulses.

Every row is checked against the settings and against the others. One deviation is accepted because
the instrument program makes it by design: a read row may hold the currents of the *previous* read
beside the resistance of its own. The import reports which of the two the file does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np

from hwloop.datasets.importing import Extract, Reader, fault, finite_number
from hwloop.datasets.tables.data_file import DataFile
from hwloop.errors import ConfigError
from hwloop.settings.units import format_quantity

_COLUMNS = "Time stamp (s), Voltage (V), Current (A), Voltage (V), Current (A),Resistance (Ohm)"
_KEYS = {  # key of the log → power of ten to the SI unit
    "Number of Pulses": 0,
    "Initial Voltage Duration (ms)": -3,
    "Initial Voltage (V)": 0,
    "Read Voltage (V)": 0,
    "ON Voltage (V)": 0,
    "tON (ms)": -3,
    "OFF Voltage (V)": 0,
    "tOFF (ms)": -3,
    "tWait (ms)": -3,
    "Temperature (K)": 0,
}
_ROWS_PER_PULSE = 3


@dataclass(frozen=True)
class _Row:
    """One row of the log; ``second_…`` is None except in reads at both polarities."""

    line: int
    time_s: float
    voltage_v: float
    current_a: float
    second_voltage_v: float | None
    second_current_a: float | None
    resistance_ohm: float
    digit_ohm: float  # value of the last printed digit of the resistance

    def agrees(self, resistance_ohm: float) -> bool:
        """Return whether the printed resistance is this one, rounded to its printed digits."""
        return abs(self.resistance_ohm - resistance_ohm) <= 0.5 * self.digit_ohm * (1 + 1e-6)

    @property
    def measured_ohm(self) -> float:
        """Compute (V1 − V2)/(I1 − I2) from the columns of this row; inf without a current."""
        current_a = self.current_a - (self.second_current_a or 0.0)
        voltage_v = self.voltage_v - (self.second_voltage_v or 0.0)
        return voltage_v / current_a if current_a else math.inf


def judge(source: DataFile) -> str:
    """Return "" if the first line announces the number of pulses, else why not."""
    if [line.partition(":")[0] for line in source.first_lines(1)] == ["Number of Pulses"]:
        return ""
    return "its first line does not begin with 'Number of Pulses:'"


def read(source: DataFile, options: Mapping[str, str]) -> Extract:  # noqa: ARG001 - no options
    """Return 1/resistance of the read rows after checking the log against itself.

    Raises :class:`ConfigError` with file, line, value and what was expected.
    """
    path, lines = source.path, source.lines()
    begin = _columns_at(path, lines)
    settings = _settings(path, lines[:begin])
    rows = _rows(path, lines, begin + 1)
    pulses = _count(path, settings, rows)
    _check_times(path, rows)
    steps = [rows[i : i + _ROWS_PER_PULSE] for i in range(0, len(rows), _ROWS_PER_PULSE)]
    for number, (pulse, off, sense) in enumerate(steps):
        amplitude = "ON Voltage (V)" if number else "Initial Voltage (V)"
        _check_single(path, pulse, amplitude, settings)
        _check_single(path, off, "OFF Voltage (V)", settings)
        _check_read(path, sense, settings)
        if not pulse.agrees(pulse.measured_ohm):
            raise _mismatch(path, pulse, pulse)
    reads = [step[2] for step in steps]
    agreement = _check_resistances(path, reads)
    # Not from the currents: only the resistance always belongs to its own read, and the authors of
    # such logs publish its inverse, to the last digit.
    conductance_s = [1.0 / row.resistance_ohm for row in reads]
    interval_s = median(b[0].time_s - a[0].time_s for a, b in pairwise(steps))
    messages = [
        f"{pulses} pulses after an initial one; {len(rows)} rows, conductance of {len(reads)} read"
        " rows as 1/resistance, ohm to siemens",
        agreement,
        f"{2 * len(steps)} pulse and OFF rows were checked and left out: they are no reads",
    ]
    columns = {"conductance_s": np.array(conductance_s)}
    return Extract("trains", columns, _found(path, settings, interval_s), messages)


def _columns_at(path: Path, lines: Sequence[str]) -> int:
    wanted = _COLUMNS.replace(" ", "")
    for index, line in enumerate(lines):
        if line.replace(" ", "") == wanted:
            return index
    raise ConfigError(f"has no line of column names; expected {_COLUMNS!r}", file=str(path))


def _settings(path: Path, lines: Sequence[str]) -> dict[str, float]:
    settings: dict[str, float] = {}
    for number, line in enumerate(lines, start=1):
        key, _, text = (part.strip() for part in line.partition(":"))
        if key not in _KEYS or key in settings:
            reason = "a setting of this log" if key not in _KEYS else "each setting once"
            raise fault(path, number, repr(line), reason)
        finite_number(text, path, number, key)
        settings[key] = float(Decimal(text).scaleb(_KEYS[key]))
        if key == "Number of Pulses" and not (settings[key] >= 1 and settings[key].is_integer()):
            raise fault(path, number, line, "a whole number of 1 or more")
    missing = [key for key in _KEYS if key not in settings]
    if missing:
        raise ConfigError(f"its header lacks {', '.join(missing)}", file=str(path))
    return settings


def _rows(path: Path, lines: Sequence[str], begin: int) -> list[_Row]:
    if lines[-1]:
        raise fault(path, len(lines), repr(lines[-1]), "a line end: the file is cut off here")
    return [_row(path, n, text) for n, text in enumerate(lines[begin:-1], start=begin + 1)]


def _row(path: Path, line: int, text: str) -> _Row:
    cells = [cell.strip() for cell in text.split(",")]
    if len(cells) != 6:
        raise fault(path, line, repr(text), f"6 values, not {len(cells)}")
    if bool(cells[3]) != bool(cells[4]):
        raise fault(path, line, repr(text), "a second voltage and a second current, or neither")
    names = ("time stamp", "voltage", "current", "voltage", "current", "resistance")
    values = [
        None if not cell and 3 <= place <= 4 else finite_number(cell, path, line, name)
        for place, (cell, name) in enumerate(zip(cells, names, strict=True))
    ]
    time_s, voltage_v, current_a, second_v, second_a, resistance_ohm = values
    assert time_s is not None and voltage_v is not None  # noqa: S101, PT018 - for the type checker
    assert current_a is not None and resistance_ohm is not None  # noqa: S101, PT018 - likewise
    exponent = Decimal(cells[5]).as_tuple().exponent
    digit_ohm = 10.0 ** min(int(exponent), 300)  # "0e999" is a finite number, too
    return _Row(line, time_s, voltage_v, current_a, second_v, second_a, resistance_ohm, digit_ohm)


def _count(path: Path, settings: Mapping[str, float], rows: Sequence[_Row]) -> int:
    pulses = int(settings["Number of Pulses"])
    wanted = _ROWS_PER_PULSE * (pulses + 1)
    if len(rows) != wanted:
        raise ConfigError(
            f"announces {pulses} pulses but has {len(rows)} rows; expected {wanted}, three for the"
            f" initial pulse and three for each other: the file is not complete",
            file=str(path),
        )
    return pulses


def _check_times(path: Path, rows: Sequence[_Row]) -> None:
    # Equal stamps do occur: the clock of the bench ticks every 16 ms.
    for before, row in pairwise(rows):
        if row.time_s < before.time_s:
            raise fault(
                path, row.line, f"time stamp {row.time_s:g} s", f"{before.time_s:g} s or later"
            )


def _check_single(path: Path, row: _Row, key: str, settings: Mapping[str, float]) -> None:
    if row.second_voltage_v is not None:
        raise fault(path, row.line, "a second voltage", f"a row at {key} without one")
    if not _same(row.voltage_v, settings[key]):
        raise fault(path, row.line, f"voltage {row.voltage_v:g} V", f"{key} {settings[key]:g}")


def _check_read(path: Path, row: _Row, settings: Mapping[str, float]) -> None:
    read_v = settings["Read Voltage (V)"]
    second_v = row.second_voltage_v
    if second_v is None:
        raise fault(path, row.line, "one voltage", "a read at both polarities")
    if not (_same(row.voltage_v, read_v) and _same(second_v, -read_v)):
        raise fault(
            path,
            row.line,
            f"voltages {row.voltage_v:g} V and {second_v:g} V",
            f"Read Voltage (V) {read_v:g} and {-read_v:g}",
        )
    if row.resistance_ohm <= 0:
        raise fault(path, row.line, f"resistance {row.resistance_ohm:g} ohm", "a value above 0")


def _same(value: float, wanted: float) -> bool:
    return math.isclose(value, wanted, rel_tol=1e-6, abs_tol=1e-12)


def _check_resistances(path: Path, reads: Sequence[_Row]) -> str:
    """Check every resistance against the currents of its own row or of the next read row.

    Returns a message that states which of the two the log does.
    """
    at_once = list(zip(reads, reads, strict=True))
    late = [at_once[0], *pairwise(reads)]
    wrong_at_once, wrong_late = _disagreeing(at_once), _disagreeing(late)
    if not wrong_at_once:
        return "each resistance is (V1 - V2)/(I1 - I2) of its row, to its last digit"
    if not wrong_late:
        return (
            "the log writes currents one read late: each resistance is (V1 - V2)/(I1 - I2) of the"
            " next read row, to its last digit; so the last resistance cannot be checked"
        )
    raise _mismatch(path, *min(wrong_at_once, wrong_late, key=len)[0])


def _disagreeing(pairs: Sequence[tuple[_Row, _Row]]) -> list[tuple[_Row, _Row]]:
    return [(row, source) for row, source in pairs if not row.agrees(source.measured_ohm)]


def _mismatch(path: Path, row: _Row, source: _Row) -> ConfigError:
    where = "this row" if row is source else f"line {source.line}"
    return fault(
        path,
        row.line,
        f"resistance {row.resistance_ohm:.7g} ohm",
        f"{source.measured_ohm:.7g} ohm, from the voltages and currents of {where}",
    )


def _found(path: Path, settings: Mapping[str, float], interval_s: float) -> dict[str, object]:
    return {
        "source": f"bench log {path.name}",
        "amplitude_v": settings["ON Voltage (V)"],
        "width_s": settings["tON (ms)"],
        "read_v": abs(settings["Read Voltage (V)"]),
        "temperature_k": settings["Temperature (K)"],
        "note": "; ".join(_note(settings, interval_s)),
    }


def _note(settings: Mapping[str, float], interval_s: float) -> Iterator[str]:
    yield "bench log, 1/resistance of the reads at both polarities"
    initial_v = format_quantity(settings["Initial Voltage (V)"], "V")
    yield f"initial pulse {initial_v} for {_time(settings['Initial Voltage Duration (ms)'])}"
    yield f"tOFF {_time(settings['tOFF (ms)'])}, tWait {_time(settings['tWait (ms)'])}"
    yield f"by the time stamps {_time(interval_s)} from pulse to pulse (median)"


def _time(duration_s: float) -> str:
    return format_quantity(duration_s, "s")


BENCH_LOG = Reader(
    name="bench_log",
    summary="raw log of a pulse bench: settings, then pulse, OFF and read rows",
    judge=judge,
    read=read,
    by_lines=True,
)
