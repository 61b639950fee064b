"""Import of a lab's own measurement files: the contract of the readers.

A reader knows one layout of files. It checks the file for contradictions and returns an
:class:`Extract`: columns in SI units, with the conditions stated in the file. The user gives what
the file does not state; :func:`import_measurement` combines both and invents nothing.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hwloop import plugins
from hwloop.datasets.measurement import (
    Column,
    Conditions,
    Kind,
    Measurement,
    check_unit,
    train_columns,
)
from hwloop.errors import ConfigError
from hwloop.messages import nearest
from hwloop.settings.foreign_files import (
    GZIP_BEGIN,
    MAX_DATA_TEXT_BYTES,
    file_bytes,
    first_bytes,
    read_bounded,
    refuse_many_fields,
    unpack_gzip,
)

_TEXTS = ("title", "device", "source", "doi", "validity")
_CONDITIONS = tuple(Conditions.model_fields)
_OF_PULSE = ("amplitude_v", "width_s")
_MIN_VALUES = 2
_BEGIN_BYTES = 2**20
_BINARY = frozenset(map(chr, range(32))) - set("\t\r\n\f")


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

    ``recognises(path)``: whether the file has this layout, judged by its first lines; raises
    nothing for a file of another kind. ``read(path, options)``: raises :class:`ConfigError` with
    file, line, value and what was expected. ``options``: keys that the reader takes from the user
    besides texts and conditions, each with its meaning. A key that is also a condition, such as
    ``width_s``, is passed to the reader and stays a condition.
    """

    name: str
    summary: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path, Mapping[str, str]], Extract]
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Imported:
    """A measurement, with messages on what was recognised, checked, converted and left out."""

    measurement: Measurement
    messages: list[str]


def import_measurement(path: Path, *, reader: str | None, given: Mapping[str, object]) -> Imported:
    """Read ``path`` with the reader of that name, or with the one that recognises it.

    ``given``: conditions and texts from the user (``amplitude_v``, ``width_s``, ``read_v``,
    ``temperature_k``, ``note``, ``title``, ``device``, ``source``, ``doi``, ``validity``, and the
    reader's own options). They override the file; conflicts are reported. Raises
    :class:`ConfigError` naming the file and what to do.
    """
    _check_file(path)
    chosen = _named(reader) if reader is not None else _recognised(path)
    _check_keys(given, chosen)
    options = {key: str(given[key]) for key in chosen.options if key in given}
    extract = chosen.read(path, options)
    kept = {key: value for key, value in given.items() if key in (*_CONDITIONS, *_TEXTS)}
    measurement = _measurement(path, extract, kept)
    conflicts, conditions = _conflicts(measurement.conditions, extract.found)
    return Imported(
        measurement.model_copy(update={"conditions": conditions}),
        [f"recognised as {chosen.name}: {chosen.summary}", *extract.messages, *conflicts],
    )


def text_lines(path: Path) -> list[str]:
    """Return the lines of a text file without CRLF or LF; the last is "" after a line end.

    The file may be compressed with gzip, and is UTF-8 or the Windows code page 1252, in which many
    instruments write "µ". Raises :class:`ConfigError` if it cannot be read or is not text.
    """
    text = _decoded(_bytes(path), path)
    refuse_many_fields(text, path)
    return text.replace("\r\n", "\n").split("\n")


def fields_of(path: Path, number: int, line: str) -> list[str]:
    """Return the comma-separated fields of a line; ConfigError with its number if it has none."""
    try:
        return next(csv.reader([line]))
    except csv.Error as exc:
        raise ConfigError(str(exc), key=f"line {number}", file=str(path)) from None


def first_lines(path: Path, count: int) -> list[str]:
    """Return the first ``count`` lines that are not blank, of the begin of the file.

    None if it is not text, or no line ends within the begin.
    """
    try:
        raw = first_bytes(path, _BEGIN_BYTES)
        if len(raw) == _BEGIN_BYTES:
            raw = raw[: raw.rfind(b"\n") + 1]  # the last line may go on
        lines = _decoded(raw, path).replace("\r\n", "\n").split("\n")
    except ConfigError:
        return []
    return [line for line in lines if line.strip()][:count]


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


def _bytes(path: Path) -> bytes:
    raw = read_bounded(path, MAX_DATA_TEXT_BYTES)
    packed = raw.startswith(GZIP_BEGIN)
    return unpack_gzip(raw, MAX_DATA_TEXT_BYTES, path) if packed else raw


def _decoded(raw: bytes, path: Path) -> str:
    """Return the text; raises :class:`ConfigError` where it is none. ``path``: for the message."""
    try:
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = raw.decode("cp1252")
    except UnicodeDecodeError:
        raise ConfigError("cannot be read: it is not text", file=str(path)) from None
    if not _BINARY.isdisjoint(text):
        raise ConfigError("cannot be read: it is not text", file=str(path))
    return text


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise ConfigError("is a folder; name a file in it", file=str(path))
    if not path.exists():
        raise ConfigError("there is no such file", file=str(path))
    if file_bytes(path) == 0:
        raise ConfigError("is empty; there is nothing to import", file=str(path))


def _named(name: str) -> Reader:
    reader: Reader = plugins.load(plugins.READERS, name)
    return reader


def _recognised(path: Path) -> Reader:
    readers: dict[str, Reader] = plugins.load_all(plugins.READERS)
    fitting = [reader for reader in readers.values() if reader.recognises(path)]
    if not fitting:
        raise ConfigError(
            f"not recognised by any reader ({', '.join(readers)}). Pass --reader NAME to see why"
            " that reader rejects the file.",
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
    if "conductance_s" in extract.columns:
        check_unit(extract.columns["conductance_s"], str(path))
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
