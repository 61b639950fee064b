"""Import of a lab's own measurement files: the contract of the readers.

A file becomes tables first (:mod:`hwloop.datasets.tables`); a reader knows one layout of columns.
It says whether a file has that layout, or why not, checks it for contradictions and returns an
:class:`Extract`: columns in SI units, with the conditions stated in the file. The user gives what
the file does not state; :func:`import_measurement` combines both and invents nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hwloop import plugins
from hwloop.datasets.measurement import (
    Column,
    Conditions,
    Kind,
    Measurement,
    check_unit,
    train_columns,
)
from hwloop.datasets.tables.data_file import DataFile
from hwloop.datasets.tables.options import TableOptions
from hwloop.datasets.tables.table import DataTable, TableColumn
from hwloop.errors import ConfigError
from hwloop.messages import nearest, one_line
from hwloop.settings.foreign_files import file_bytes

_TEXTS = ("title", "device", "source", "doi", "validity")
_CONDITIONS = tuple(Conditions.model_fields)
_OF_PULSE = ("amplitude_v", "width_s")
_OF_STATES = (
    "conductance_s",
    "set_conductance_s",
    "reset_conductance_s",
    "before_conductance_s",
    "after_conductance_s",
)
_MIN_VALUES = 2
_NOTHING_LEFT_OUT = re.compile(r"no (row|value)\b.*\b(dropped|left out)\b")
_NO_ROWS = re.compile(r"columns? |\d+ (blank |empty )?(lines?|fields) |left out: ")
"""Begin of a message on columns, blank lines or remarks that were left out, which are no rows."""

_MOST_NAMED = 8


@dataclass(frozen=True)
class Extract:
    """Data that a reader has taken from a file.

    ``kind`` and ``columns``: as in :class:`hwloop.datasets.measurement.Measurement`. A file with
    one train of equal pulses has ``conductance_s`` as its only column: the values after 0, 1, 2, …
    pulses; the pulse comes from the conditions. ``found``: texts and conditions stated in the
    file. ``messages``: what was recognised, in which unit, what was checked, and how much was left
    out and why.
    """

    kind: Kind
    columns: Mapping[str, Column]
    found: Mapping[str, object]
    messages: Sequence[str]

    @property
    def is_single_train(self) -> bool:
        """Return whether the only column is the conductance of one train."""
        return self.kind == "trains" and set(self.columns) == {"conductance_s"}


@dataclass(frozen=True)
class Reader:
    """Reader of one layout of files, as registered in the entry point group ``hwloop.readers``.

    ``judge(source)``: "" if the file has this layout, else one line on why not; a
    :class:`ConfigError` of the table is such a line as well. ``read(source, options)``: raises
    :class:`ConfigError` with file, line, value and what was expected. ``options``: keys that the
    reader takes from the user besides texts and conditions, each with its meaning. A key that is
    also a condition, such as ``width_s``, is passed to the reader and stays a condition.
    ``by_lines``: the layout is one of lines, not of a table.
    """

    name: str
    summary: str
    judge: Callable[[DataFile], str]
    read: Callable[[DataFile, Mapping[str, str]], Extract]
    options: Mapping[str, str] = field(default_factory=dict)
    by_lines: bool = False

    def objection(self, source: DataFile) -> str:
        """Return why the reader does not take a file; "" if it does."""
        try:
            return self.judge(source)
        except ConfigError as exc:
            return ": ".join(part for part in (exc.key, exc.message) if part)


@dataclass(frozen=True)
class Imported:
    """A measurement, with messages on what was recognised, checked, converted and left out."""

    measurement: Measurement
    messages: list[str]


def import_measurement(
    path: Path,
    *,
    reader: str | None,
    given: Mapping[str, object],
    options: TableOptions | None = None,
) -> Imported:
    """Read ``path`` with the reader of that name, or with the one that recognises it.

    ``given``: conditions and texts from the user (``amplitude_v``, ``width_s``, ``read_v``,
    ``temperature_k``, ``note``, ``title``, ``device``, ``source``, ``doi``, ``validity``, and the
    reader's own options). They override the file; conflicts are reported. ``options``: what the
    user says of the table in the file. Raises :class:`ConfigError` naming the file and what to do.
    """
    check_file(path)
    source = DataFile(path, options)
    chosen = _recognised(source, given) if reader is None else _named(reader, source)
    _check_keys(given, chosen)
    of_reader = {key: str(given[key]) for key in chosen.options if key in given}
    extract = chosen.read(source, of_reader)
    kept = {key: value for key, value in given.items() if key in (*_CONDITIONS, *_TEXTS)}
    measurement = _measurement(path, extract, kept)
    _refuse_other_pulses(path, measurement, given)
    conflicts, conditions = _conflicts(measurement.conditions, extract.found)
    table = [] if chosen.by_lines else [source.table.recognised, *source.table.notes]
    return Imported(
        measurement.model_copy(update={"conditions": conditions}),
        [
            f"recognised as {chosen.name}: {chosen.summary}",
            *_without_contradiction([*table, *extract.messages]),
            *conflicts,
        ],
    )


def _without_contradiction(messages: Sequence[str]) -> list[str]:
    """Return messages without "no row … was dropped" where another says that some were left out.

    A reader speaks of its table, which may have lost a line while the file became one.
    """
    others = [one for one in messages if not _NOTHING_LEFT_OUT.match(one)]
    some = any("left out" in one and not _NO_ROWS.match(one) for one in others)
    return others if some else list(messages)


def finite_number(text: str, path: Path, line: int, what: str) -> float:
    """Parse a finite number; :class:`ConfigError` with file, line and value if it is none."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise fault(path, line, f"{what} {text.strip()!r}", "a finite number")
    return number


def fault(path: Path, line: int, value: str, expected: str) -> ConfigError:
    """Return the error ``FILE: line N: VALUE: expected …``."""
    return ConfigError(f"{value}: expected {expected}", key=f"line {line}", file=str(path))


def check_file(path: Path) -> None:
    """Refuse a folder, a name without a file, and an empty file."""
    if path.is_dir():
        raise ConfigError("is a folder; name a file in it", file=str(path))
    if not path.exists():
        raise ConfigError("there is no such file", file=str(path))
    if file_bytes(path) == 0:
        raise ConfigError("is empty; there is nothing to import", file=str(path))


def _named(name: str, source: DataFile) -> Reader:
    reader: Reader = plugins.load(plugins.READERS, name)
    reason = reader.objection(source)
    if reason:
        raise ConfigError(f"reader {name}: {reason}", file=str(source.path))
    return reader


def _recognised(source: DataFile, given: Mapping[str, object]) -> Reader:
    """Return the only reader that fits; of several, the only one that knows every given key."""
    readers: dict[str, Reader] = plugins.load_all(plugins.READERS)
    fitting = [reader for reader in readers.values() if not reader.objection(source)]
    if len(fitting) > 1:
        knowing = [one for one in fitting if all(_knows(one, key) for key in given)]
        fitting = knowing if len(knowing) == 1 else fitting
    if len(fitting) > 1:
        names = ", ".join(reader.name for reader in fitting)
        raise ConfigError(
            f"recognised by several readers: {names}; choose one with --reader",
            file=str(source.path),
        )
    if fitting:
        return fitting[0]
    # A file without a table says that itself.
    raise ConfigError(
        f"not recognised by any reader: {_seen(source.table)}; `hwloop import --explain FILE` shows"
        " what each of them misses",
        file=str(source.path),
    )


def _seen(table: DataTable) -> str:
    """Return what the table holds, and the next step where one is plain."""
    if not table.has_header and not any(column.role for column in table.columns):
        odd = next((f" ({note})" for note in table.notes if " names, but " in note), "")
        return (
            f"it has no header{odd}: its {len(table.columns)} columns have no names; say what they"
            " are with --column voltage_v=1 --column current_a=2, for example"
        )
    shown = ", ".join(
        f"{column.label} ({_about(column)})" for column in table.columns[:_MOST_NAMED]
    )
    more = ", …" if len(table.columns) > _MOST_NAMED else ""
    voltages = table.of_role("voltage_v")
    if len(voltages) > 1 and not table.of_role("current_a"):
        more += (
            f", that is {len(voltages)} voltages and no current: divide the one over a shunt by its"
            " resistance first"
        )
    else:
        more += "; choose what is meant with --column, such as --column current_a=NAME"
    return f"it has the columns {shown}{more}"


def _about(column: TableColumn) -> str:
    if column.texts is not None:
        return f"text, such as {one_line(column.texts[0], 40)!r}"
    return column.role or ("no measured value" if column.derived else "not known")


def _knows(reader: Reader, key: str) -> bool:
    return key in (*_CONDITIONS, *_TEXTS, *reader.options)


def _check_keys(given: Mapping[str, object], reader: Reader) -> None:
    known = (*_CONDITIONS, *_TEXTS, *reader.options)
    for key in given:
        if key not in known:
            raise ConfigError(f"reader {reader.name} has no such key{nearest(key, known)}", key=key)


def _measurement(path: Path, extract: Extract, given: Mapping[str, object]) -> Measurement:
    """Combine what the file states with what the user gives, which overrides it."""
    values = {"title": Path(path.name.removesuffix(".gz")).stem, **extract.found, **given}
    required = (*_OF_PULSE, "source") if extract.is_single_train else ("source",)
    missing = [key for key in required if key not in values]
    if missing:
        raise ConfigError(
            f"does not say {', '.join(missing)}; give each with --set,"
            " such as --set amplitude_v='2 V' --set width_s='50 ms' --set source='lab book 3'",
            file=str(path),
        )
    data: dict[str, object] = {key: values[key] for key in _TEXTS if key in values}
    conditions = {key: values[key] for key in _CONDITIONS if key in values}
    try:
        return Measurement.parse(
            {
                "kind": extract.kind,
                **data,
                "conditions": conditions,
                "columns": _columns(path, extract, conditions),
            }
        )
    except ConfigError as exc:
        # The user gave width_s=…, not conditions.width_s=….
        key = exc.key.removeprefix("conditions.")
        raise ConfigError(exc.message, key=key, file="" if key in given else str(path)) from None


def _refuse_other_pulses(path: Path, measurement: Measurement, given: Mapping[str, object]) -> None:
    """Refuse an amplitude or a width that was given for pulses whose own is in their rows."""
    for key in _OF_PULSE:
        rows, stated = measurement.columns.get(key), getattr(measurement.conditions, key)
        if key not in given or rows is None or np.allclose(rows, stated, rtol=1e-9, atol=0):
            continue
        low, high = float(rows.min()), float(rows.max())
        extent = f"{low:g}" if low == high else f"{low:g} to {high:g}"
        raise ConfigError(
            f"{stated:g} was given with --set, but the pulses in {path.name} have {extent}: leave"
            " it out",
            key=key,
        )


def _columns(
    path: Path, extract: Extract, conditions: Mapping[str, object]
) -> Mapping[str, Column]:
    """Return the columns of the measurement; those of a single train repeat its conditions."""
    if extract.is_single_train:
        count = len(extract.columns["conductance_s"])
        if count < _MIN_VALUES:
            raise ConfigError(
                f"holds {count} {'value' if count == 1 else 'values'}: expected {_MIN_VALUES} or"
                " more, the state before the first pulse and after each",
                file=str(path),
            )
    for name in _OF_STATES:
        if name in extract.columns:
            check_unit(extract.columns[name], str(path))
    if not extract.is_single_train:
        return dict(extract.columns)
    pulse = Conditions.parse(dict(conditions))
    assert pulse.amplitude_v is not None and pulse.width_s is not None  # noqa: S101, PT018
    return train_columns(
        [extract.columns["conductance_s"]],
        cells=[0],
        amplitudes_v=[pulse.amplitude_v],
        widths_s=[pulse.width_s],
    )


def _conflicts(conditions: Conditions, found: Mapping[str, object]) -> tuple[list[str], Conditions]:
    """Return messages on where the user contradicts the file, and conditions that note them."""
    messages: list[str] = []
    for key in _CONDITIONS:
        used, stated = getattr(conditions, key), found.get(key)
        if key != "note" and stated is not None and used != stated:
            messages.append(f"{key} {used:g} was given against {stated:g} in the file")
    note = "; ".join(part for part in (conditions.note, *messages) if part)
    return messages, conditions.model_copy(update={"note": note})
