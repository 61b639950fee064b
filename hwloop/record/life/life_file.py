"""The file of a ledger, and the files of runs that have not been appended to it, read whole.

Each is an ordinary file within a bound, and what is wrong in it is one :class:`RecordError`.
"""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hwloop.backend.kind import LifeKind
from hwloop.disk import sync
from hwloop.errors import ConfigError, RecordError
from hwloop.messages import one_line
from hwloop.record.life.entry import CELL, MAX_CELLS, LifeEntry, LifeSoFar, entry_of
from hwloop.settings.foreign_files import MAX_DATA_TEXT_BYTES, file_bytes, read_bounded

NO_NAME = "the array has no name (array.name): no ledger counts its pulses over its runs"
SUFFIXES: dict[LifeKind, str] = {"physical": ".life.jsonl", "virtual": ".life-virtual.jsonl"}
RUNNING = ".running"
_MAX_RUNNING_BYTES = 2**16 + MAX_CELLS * CELL.itemsize


def life_path(folder: Path, array: str, kind: LifeKind) -> Path:
    """Return the ledger of an array among the records in ``folder``."""
    return folder / f"{array}{SUFFIXES[kind]}"


def life_paths(place: Path, array: str | None = None) -> list[Path]:
    """Return the ledgers that there are: ``place`` itself, or those in it if it is a folder.

    ``array``: of this array only.
    """
    if not place.is_dir():
        return [place]
    return sorted(
        path
        for path in place.iterdir()
        for suffix in SUFFIXES.values()
        if (path.name == f"{array}{suffix}" if array else path.name.endswith(suffix))
    )


def read_life(path: Path, array: str | None = None) -> LifeSoFar:
    """Read a ledger; empty where there is no file yet.

    ``array``: the name that every entry must have. An unfinished last line, left by a loss of
    power, is passed over: its run still has its own file. Raises :class:`RecordError` with file
    and line where an entry cannot be read, and with size and bound where the file is too large.
    """
    try:
        text = _content(path).decode("utf-8")
        *lines, _ = text.split("\n")
        entries = tuple(_entry(line, f"{path}: line {n}") for n, line in enumerate(lines, 1))
        done = {entry.key for entry in entries}
        running = tuple(
            _unfinished(file, path) for file in running_files(path) if _key(file, path) not in done
        )
    except (OSError, UnicodeDecodeError) as exc:
        raise RecordError(f"{path}: cannot be read: {exc}") from exc
    for entry in (*entries, *running):
        if array is not None and entry.array != array:
            raise RecordError(f"{path}: is the ledger of {entry.array}, not of {array}")
    return LifeSoFar(path, entries, running)


def refuse_no_file(path: Path) -> None:
    """Raise :class:`RecordError` where a ledger is a pipe, a device or a folder."""
    try:
        if path.exists():
            file_bytes(path)
    except ConfigError as exc:
        raise RecordError(str(exc)) from None


def append(path: Path, entry: LifeEntry) -> None:
    """Append an entry to a ledger, and synchronise it with the disk."""
    with path.open("a", encoding="utf-8", newline="\n") as stream:
        stream.write(json.dumps(entry.model_dump(mode="json"), separators=(",", ":")) + "\n")
    sync(path)


def repair(path: Path) -> None:
    """Cut off a last line that was not written to its end; its run still has its own file."""
    whole = _content(path)
    end = whole.rfind(b"\n") + 1
    if end < len(whole):
        with path.open("rb+") as stream:
            stream.truncate(end)


def running_files(path: Path) -> list[Path]:
    """Return the files of runs that are in progress on the array, or were killed."""
    if not path.parent.is_dir():
        return []
    start = f"{path.name}."
    return sorted(
        file
        for file in path.parent.iterdir()
        if file.name.startswith(start) and file.name.endswith(RUNNING)
    )


def runs_in_progress(path: Path) -> str:
    """Return " by run NAME" for each run that has a file of its own beside the ledger."""
    return "".join(f" by run {_run_of(file, path)}" for file in running_files(path))


def array_of(path: Path) -> str:
    """Return the name of the array whose ledger ``path`` is, by the name of the file."""
    name = path.name
    for suffix in SUFFIXES.values():
        name = name.removesuffix(suffix)
    return name


def _content(path: Path, at_most: int = MAX_DATA_TEXT_BYTES) -> bytes:
    """Return the bytes of a file, none where there is no file."""
    try:
        return read_bounded(path, at_most) if path.exists() else b""
    except ConfigError as exc:
        raise RecordError(str(exc)) from None


def _entry(line: str, place: str) -> LifeEntry:
    try:
        return LifeEntry.parse(json.loads(line))
    except (ConfigError, ValueError, RecursionError) as exc:
        reason = one_line(str(exc), 200)
        raise RecordError(f"{place}: is no entry of a ledger: {reason}") from exc


def _key(file: Path, path: Path) -> str:
    return file.name.removeprefix(f"{path.name}.").partition(".")[0]


def _run_of(file: Path, path: Path) -> str:
    return file.name.removeprefix(f"{path.name}.").partition(".")[2].removesuffix(RUNNING)


def _unfinished(file: Path, path: Path) -> LifeEntry:
    """Return the entry of a run that did not append its own."""
    names = (array_of(path), _run_of(file, path), _key(file, path))
    raw = _content(file, _MAX_RUNNING_BYTES)
    ended = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    try:
        return entry_of(_counts(raw), names, "killed", ended)
    except (ConfigError, ValueError, EOFError) as exc:
        raise RecordError(
            f"{file}: the pulses of a run that was killed cannot be read"
            f" ({one_line(str(exc), 200)}); delete the file to leave them out of the array's life"
        ) from exc


def _counts(raw: bytes) -> NDArray[np.void]:
    """Return the map of :data:`CELL`, (rows, cols), in the bytes of an NPY file.

    Raises :class:`ValueError` where they hold anything else, before memory is taken for it.
    """
    stream = io.BytesIO(raw)
    try:
        if np.lib.format.read_magic(stream) != (1, 0):
            raise ValueError("another version")
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(stream)
    except Exception as exc:  # numpy parses the header as Python, which raises anything
        raise ValueError("has no header of an NPY file of version 1.0") from exc
    if dtype != CELL or len(shape) != 2 or by_columns:
        raise ValueError(f"holds {dtype} of shape {shape}")
    has = len(raw) - stream.tell()
    if min(shape) < 1 or shape[0] * shape[1] * CELL.itemsize != has:
        raise ValueError(f"claims the shape {shape}, but has {has} bytes")
    return np.frombuffer(raw, CELL, offset=stream.tell()).reshape(shape)
