"""Turn a lab's own measurement file into a conductance table: the contract of the readers.

A reader knows one layout of files. It checks what the file says of itself, and hands over an
:class:`Extract`: values in siemens and the conditions that stand in the file. What the file does
not say, the user gives; :func:`import_table` joins the two and invents nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hwloop import plugins
from hwloop.dataset import Conditions, ConductanceTable
from hwloop.errors import ConfigError
from hwloop.naming import nearest

_TEXTS = ("title", "device", "source", "doi", "validity")
_CONDITIONS = tuple(Conditions.model_fields)
_REQUIRED = ("amplitude_v", "width_s", "source")
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
class Reader:
    """A reader as it stands in the entry point group ``hwloop.readers``.

    ``recognises(path)``: whether the file has this layout, from its first lines; raises nothing
    for a file of another kind. ``read(path, options)``: raises :class:`ConfigError` with file,
    line, value and what was expected. ``options``: keys that the reader takes from the user
    besides those of a table, each with its meaning.
    """

    name: str
    summary: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path, Mapping[str, str]], Extract]
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Imported:
    """A table, and in words what was recognised, checked, inverted and left out."""

    table: ConductanceTable
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
    texts = {key: value for key, value in given.items() if key not in options}
    words = [f"recognised as {chosen.name}: {chosen.summary}", *extract.words]
    return _join(path, extract, texts, words)


def text_lines(path: Path) -> list[str]:
    """The lines of a text file without their ends, CRLF or LF; the last is "" after a line end.

    UTF-8, or the Windows code page in which many instruments write "µ". Raises
    :class:`ConfigError` where the file cannot be read or is not text.
    """
    try:
        raw = path.read_bytes()
    except OSError as exc:
        raise ConfigError(f"cannot be read: {exc.strerror}", file=str(path)) from None
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
            f"not recognised by any reader; there are: {', '.join(readers)}", file=str(path)
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
    values = {"title": path.stem, **extract.found, **given}
    missing = [key for key in _REQUIRED if key not in values]
    if missing:
        raise ConfigError(
            f"does not say {', '.join(missing)}; give each with --set,"
            " such as --set amplitude_v='2 V' --set width_s='50 ms' --set source='lab book 3'",
            file=str(path),
        )
    data: dict[str, object] = {key: values[key] for key in _TEXTS if key in values}
    data["conditions"] = {key: values[key] for key in _CONDITIONS if key in values}
    data["conductance_s"] = tuple(extract.conductance_s)
    try:
        table = ConductanceTable.parse(data)
    except ConfigError as exc:
        # The user gave width_s=…, not conditions.width_s=….
        key = exc.key.removeprefix("conditions.")
        raise ConfigError(exc.message, key=key, file="" if key in given else str(path)) from None
    return _with_contradictions(table, extract, words)


def _with_contradictions(table: ConductanceTable, extract: Extract, words: list[str]) -> Imported:
    """Say in the words, and in the table's note, where the user contradicts the file."""
    against: list[str] = []
    for key in _CONDITIONS:
        used, stated = getattr(table.conditions, key), extract.found.get(key)
        if key != "note" and stated is not None and used != stated:
            against.append(f"{key} {used:g} was given against {stated:g} in the file")
    if not against:
        return Imported(table, words)
    note = "; ".join(part for part in (table.conditions.note, *against) if part)
    conditions = table.conditions.model_copy(update={"note": note})
    return Imported(table.model_copy(update={"conditions": conditions}), [*words, *against])
