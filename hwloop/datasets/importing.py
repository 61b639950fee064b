"""Turn a lab's own measurement file into a dataset: the contract of the readers.

A reader knows one layout of files. It checks what the file says of itself, and hands over an
:class:`Extract`, the conductances of one train, or :class:`Columns`, a table of any other
measurement; both in SI units, with the conditions that stand in the file. What the file does not
say, the user gives; :func:`import_table` joins the two and invents nothing.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from hwloop import plugins
from hwloop.datasets.columns import Column, Kind, MeasuredConditions, Measurement, write_measurement
from hwloop.datasets.pulse_table import Conditions, ConductanceTable, check_unit, write_dataset
from hwloop.errors import ConfigError
from hwloop.messages import nearest
from hwloop.settings.model import Settings

_TEXTS = ("title", "device", "source", "doi", "validity")
_CONDITIONS = tuple(Conditions.model_fields)
_LEAST = 2
_REQUIRED = ("amplitude_v", "width_s", "source")
T = TypeVar("T", bound=Settings)
C = TypeVar("C", Conditions, MeasuredConditions)
_BINARY = frozenset(map(chr, range(32))) - set("\t\r\n\f")


@dataclass(frozen=True)
class Extract:
    """What a reader has taken from a file.

    ``conductance_s``: after 0, 1, 2, … pulses. ``found``: the keys of a table and of its
    conditions that the file itself states. ``words``: what was recognised, in which unit, what
    was checked, and how much was left out and why.
    """

    conductance_s: Sequence[float]
    found: Mapping[str, object]
    words: Sequence[str]


@dataclass(frozen=True)
class Columns:
    """What a reader has taken from a file that is more than one train.

    ``kind`` and ``columns``: as in :class:`hwloop.datasets.columns.Measurement`; the rest as in
    :class:`Extract`.
    """

    kind: Kind
    columns: Mapping[str, Column]
    found: Mapping[str, object]
    words: Sequence[str]


@dataclass(frozen=True)
class Reader:
    """A reader as it stands in the entry point group ``hwloop.readers``.

    ``recognises(path)``: whether the file has this layout, from its first lines; raises nothing
    for a file of another kind. ``read(path, options)``: raises :class:`ConfigError` with file,
    line, value and what was expected. ``options``: keys that the reader takes from the user
    besides those of a table, each with its meaning. One that is also a condition, such as
    ``width_s``, is given to the reader and stays a condition.
    """

    name: str
    summary: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path, Mapping[str, str]], Extract | Columns]
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Imported:
    """A dataset, and in words what was recognised, checked, inverted and left out."""

    table: ConductanceTable | Measurement
    words: list[str]


def import_table(path: Path, *, reader: str | None, given: Mapping[str, object]) -> Imported:
    """Read ``path`` with the reader of that name, or with the one that recognises it.

    ``given``: conditions and texts from the user (``amplitude_v``, ``width_s``, ``read_v``,
    ``temperature_k``, ``note``, ``title``, ``device``, ``source``, ``doi``, ``validity``, and the
    reader's own options); they go before what the file says, and where they contradict it that
    is said. Raises :class:`ConfigError` naming the file and what to do.
    """
    _check_file(path)
    chosen = _recognised(path) if reader is None else _named(reader)
    _check_keys(given, chosen)
    options = {key: str(given[key]) for key in chosen.options if key in given}
    extract = chosen.read(path, options)
    kept = (*_CONDITIONS, *_TEXTS)
    texts = {key: value for key, value in given.items() if key in kept}
    words = [f"recognised as {chosen.name}: {chosen.summary}", *extract.words]
    if isinstance(extract, Columns):
        return _join_columns(path, extract, texts, words)
    return _join(path, extract, texts, words)


def write_imported(imported: Imported, path: Path) -> None:
    """Write the dataset as the file that its kind wants, whole or not at all."""
    if isinstance(imported.table, Measurement):
        write_measurement(imported.table, path)
    else:
        write_dataset(imported.table, path)


def text_lines(path: Path) -> list[str]:
    """The lines of a text file without their ends, CRLF or LF; the last is "" after a line end.

    Packed with gzip or not. UTF-8, or the Windows code page in which many instruments write "µ".
    Raises :class:`ConfigError` where the file cannot be read or is not text.
    """
    raw = _bytes(path)
    try:
        text = _decoded(raw)
    except UnicodeDecodeError:
        raise ConfigError("cannot be read: it is not text", file=str(path)) from None
    if not _BINARY.isdisjoint(text):
        raise ConfigError("cannot be read: it is not text", file=str(path))
    return text.replace("\r\n", "\n").split("\n")


def first_lines(path: Path, count: int) -> list[str]:
    """The first lines that are not blank, for recognition; none where the file is not text."""
    try:
        lines = text_lines(path)
    except ConfigError:
        return []
    return [line for line in lines if line.strip()][:count]


def finite_number(text: str, path: Path, line: int, what: str) -> float:
    """The number that ``text`` is; :class:`ConfigError` with file, line and value otherwise."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise fault(path, line, f"{what} {text.strip()!r}", "a finite number")
    return number


def fault(path: Path, line: int, value: str, expected: str) -> ConfigError:
    """``FILE: line N: VALUE: expected …``."""
    return ConfigError(f"{value}: expected {expected}", key=f"line {line}", file=str(path))


def _bytes(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
    except OSError as exc:
        raise ConfigError(f"cannot be read: {exc.strerror}", file=str(path)) from None
    if not raw.startswith(b"\x1f\x8b"):
        return raw
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as exc:
        raise ConfigError(f"cannot be unpacked as gzip: {exc}", file=str(path)) from None


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252")


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise ConfigError("is a folder; name a file in it", file=str(path))
    if not path.exists():
        raise ConfigError("there is no such file", file=str(path))
    try:
        empty = path.stat().st_size == 0
    except OSError as exc:
        raise ConfigError(f"cannot be read: {exc.strerror}", file=str(path)) from None
    if empty:
        raise ConfigError("is empty; there is nothing to import", file=str(path))


def _named(name: str) -> Reader:
    reader: Reader = plugins.load(plugins.READERS, name)
    return reader


def _recognised(path: Path) -> Reader:
    readers: dict[str, Reader] = plugins.load_all(plugins.READERS)
    fitting = [reader for reader in readers.values() if reader.recognises(path)]
    if not fitting:
        raise ConfigError(
            f"not recognised by any reader; there are: {', '.join(readers)}; named with --reader,"
            " one says what is in its way",
            file=str(path),
        )
    if len(fitting) > 1:
        names = ", ".join(reader.name for reader in fitting)
        raise ConfigError(f"recognised by several readers: {names}; name one", file=str(path))
    return fitting[0]


def _check_keys(given: Mapping[str, object], reader: Reader) -> None:
    known = (*_CONDITIONS, *_TEXTS, *reader.options)
    for key in given:
        if key not in known:
            raise ConfigError(f"reader {reader.name} has no such key{nearest(key, known)}", key=key)


def _join(path: Path, extract: Extract, given: Mapping[str, object], words: list[str]) -> Imported:
    data = _joined(path, extract.found, given, _REQUIRED)
    if (count := len(extract.conductance_s)) < _LEAST:
        raise ConfigError(
            f"holds {count} {'value' if count == 1 else 'values'}: expected {_LEAST} or more, the"
            " state before the first pulse and after each",
            file=str(path),
        )
    check_unit(extract.conductance_s, str(path))
    data["conductance_s"] = tuple(extract.conductance_s)
    table = _parsed(ConductanceTable, data, path, given)
    against, conditions = _contradictions(table.conditions, extract.found)
    return Imported(table.model_copy(update={"conditions": conditions}), [*words, *against])


def _join_columns(
    path: Path, columns: Columns, given: Mapping[str, object], words: list[str]
) -> Imported:
    data = _joined(path, columns.found, given, ("source",))
    if "conductance_s" in columns.columns:
        check_unit(columns.columns["conductance_s"], str(path))
    data |= {"kind": columns.kind, "columns": dict(columns.columns)}
    table = _parsed(Measurement, data, path, given)
    against, conditions = _contradictions(table.conditions, columns.found)
    return Imported(table.model_copy(update={"conditions": conditions}), [*words, *against])


def _joined(
    path: Path, found: Mapping[str, object], given: Mapping[str, object], required: Sequence[str]
) -> dict[str, object]:
    values = {"title": Path(path.name.removesuffix(".gz")).stem, **found, **given}
    missing = [key for key in required if key not in values]
    if missing:
        raise ConfigError(
            f"does not say {', '.join(missing)}; give each with --set,"
            " such as --set amplitude_v='2 V' --set width_s='50 ms' --set source='lab book 3'",
            file=str(path),
        )
    data: dict[str, object] = {key: values[key] for key in _TEXTS if key in values}
    data["conditions"] = {key: values[key] for key in _CONDITIONS if key in values}
    return data


def _parsed(model: type[T], data: object, path: Path, given: Mapping[str, object]) -> T:
    try:
        return model.parse(data)
    except ConfigError as exc:
        # The user gave width_s=…, not conditions.width_s=….
        key = exc.key.removeprefix("conditions.")
        raise ConfigError(exc.message, key=key, file="" if key in given else str(path)) from None


def _contradictions(conditions: C, found: Mapping[str, object]) -> tuple[list[str], C]:
    """Where the user contradicts the file, in words, and conditions whose note says so."""
    against: list[str] = []
    for key in _CONDITIONS:
        used, stated = getattr(conditions, key), found.get(key)
        if key != "note" and stated is not None and used != stated:
            against.append(f"{key} {used:g} was given against {stated:g} in the file")
    note = "; ".join(part for part in (conditions.note, *against) if part)
    return against, conditions.model_copy(update={"note": note})
