"""The ledger of an array's life: pulses, energy and formings of each cell over all its runs.

A file of JSON lines beside the records, an entry for each run that gave pulses, appended when the
run ends. Meanwhile the run counts in a file of its own, a memory map, before each pulse: the
operating system keeps it if the process is killed, and the next run appends what it finds there.
The ledger is locked while a run is in progress, so that an array has one run at a time.
"""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt, model_validator

from hwloop.array.settings import ArraySettings
from hwloop.backend.kind import LifeKind
from hwloop.disk import sync
from hwloop.errors import ConfigError, RecordError
from hwloop.record.lock import lock_file
from hwloop.settings.model import Settings
from hwloop.settings.units import Count
from hwloop.types import BoolArray, FloatArray

CELL = np.dtype([("pulses", "<i8"), ("energy_j", "<f8"), ("formings", "<i8")])
_SUFFIXES: dict[LifeKind, str] = {"physical": ".life.jsonl", "virtual": ".life-virtual.jsonl"}
_RUNNING = ".running"
NO_NAME = "the array has no name (array.name): no ledger counts its pulses over its runs"
_SYNC_INTERVAL_S = 1.0
# So large that int64 holds the sum of a thousand.
_CountOfCell = Annotated[NonNegativeInt, Field(le=2**53)]
_EnergyOfCell = Annotated[float, Field(ge=0)]


class LifeEntry(Settings):
    """Entry of a ledger: what one run did to the cells that it pulsed.

    ``status``: how the run ended; "killed" where it could not say so itself. ``key``: tells runs
    of one name apart. ``cells``: row, column, pulses, joules at most (at the compliance) and
    formings.
    """

    array: str
    run: str
    key: str
    status: str
    ended_utc: str
    rows: Count
    cols: Count
    cells: tuple[
        tuple[NonNegativeInt, NonNegativeInt, _CountOfCell, _EnergyOfCell, _CountOfCell], ...
    ]

    @model_validator(mode="after")
    def _inside(self) -> LifeEntry:
        for row, col, *_ in self.cells:
            if row >= self.rows or col >= self.cols:
                raise ValueError(f"cell ({row}, {col}) is outside {self.rows} × {self.cols}")
        return self

    def table(self) -> NDArray[np.void]:
        """Return the entry as a map of :data:`CELL`, (rows, cols)."""
        table = np.zeros((self.rows, self.cols), CELL)
        for row, col, *values in self.cells:
            table[row, col] = tuple(values)
        return table


@dataclass(frozen=True)
class LifeSoFar:
    """Entries of a ledger, and the counts of its runs that have not been appended yet."""

    path: Path
    entries: tuple[LifeEntry, ...]
    running: tuple[LifeEntry, ...] = ()

    def table(self, shape: tuple[int, int]) -> NDArray[np.void]:
        """Return the sums of every cell as a map of :data:`CELL` of an array of ``shape``.

        Raises :class:`RecordError` where an entry is of an array of another shape.
        """
        total = np.zeros(shape, CELL)
        for entry in (*self.entries, *self.running):
            if (entry.rows, entry.cols) != shape:
                raise RecordError(
                    f"{self.path}: run {entry.run} was on {entry.rows} × {entry.cols} cells; the"
                    f" array {entry.array} has {shape[0]} × {shape[1]}: give it another array.name"
                )
            table = entry.table()
            for name in CELL.names or ():
                total[name] += table[name]
        return total


def life_path(folder: Path, array: str, kind: LifeKind) -> Path:
    """Return the ledger of an array among the records in ``folder``."""
    return folder / f"{array}{_SUFFIXES[kind]}"


def life_paths(place: Path, array: str | None = None) -> list[Path]:
    """Return the ledgers that there are: ``place`` itself, or those in it if it is a folder.

    ``array``: of this array only.
    """
    if not place.is_dir():
        return [place]
    return sorted(
        path
        for path in place.iterdir()
        for suffix in _SUFFIXES.values()
        if (path.name == f"{array}{suffix}" if array else path.name.endswith(suffix))
    )


def read_life(path: Path, array: str | None = None) -> LifeSoFar:
    """Read a ledger; empty where there is no file yet.

    ``array``: the name that every entry must have. An unfinished last line, left by a loss of
    power, is passed over: its run still has its own file. Raises :class:`RecordError` with file
    and line where an entry cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        *lines, _ = text.split("\n")
        entries = tuple(_entry(line, f"{path}: line {n}") for n, line in enumerate(lines, 1))
        done = {entry.key for entry in entries}
        running = tuple(
            _unfinished(file, path) for file in _running_files(path) if _key(file, path) not in done
        )
    except (OSError, UnicodeDecodeError) as exc:
        raise RecordError(f"{path}: cannot be read: {exc}") from exc
    for entry in (*entries, *running):
        if array is not None and entry.array != array:
            raise RecordError(f"{path}: is the ledger of {entry.array}, not of {array}")
    return LifeSoFar(path, entries, running)


class ArrayLife:
    """Ledger of one array, open and locked for one run.

    ``pulses``: of each cell before this run, (rows, cols). ``status``: how the run has ended, for
    its entry. Raises :class:`RecordError` where another run has the array, or the ledger cannot be
    read or written.
    """

    def __init__(self, path: Path, run: str, array: ArraySettings) -> None:
        if array.name is None:
            raise ValueError("an array without a name has no ledger")
        self.path, self.status = path, "failed"
        self._array, self._run, self._key = array.name, run, uuid.uuid4().hex
        self._file = path.with_name(f"{path.name}.{self._key}.{run[:100]}{_RUNNING}")
        with contextlib.ExitStack() as stack, self._our_errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(lock_file(path, f"array {array.name} is in use{_by(path)}"))
            _repair(path)
            so_far = read_life(path, array.name)
            self.pulses: NDArray[np.int64] = so_far.table(array.geometry.shape)["pulses"].copy()
            for entry in so_far.running:
                if entry.cells:
                    _append(path, entry)
            for file in _running_files(path):
                file.unlink()
            # Written in full, since a write to a page that the disk has no room for is fatal.
            with self._file.open("xb") as stream:
                np.save(stream, np.zeros(array.geometry.shape, CELL))
            sync(self._file)
            self._table = np.lib.format.open_memmap(self._file, mode="r+")
            self._synced = time.monotonic()
            self._release = stack.pop_all()

    def add(self, pulses: NDArray[np.int64], energy_j: FloatArray) -> None:
        """Count pulses and joules of each cell, (rows, cols); negative ones are taken back."""
        self._table["pulses"] += pulses
        self._table["energy_j"] += energy_j
        self._sync_now_and_then()

    def add_formed(self, formed: BoolArray) -> None:
        """Count a forming of each cell in ``formed``, (rows, cols)."""
        self._table["formings"] += formed
        self._sync_now_and_then()

    def close(self) -> None:
        """Append what this run did, and unlock the ledger.

        Where the entry cannot be written, the run's own file is kept for the next run to append.
        """
        table = np.array(self._table)
        self._table.flush()
        del self._table  # Windows does not delete a file that is mapped
        with self._release, self._our_errors():
            if table["pulses"].any() or table["formings"].any():
                names = (self._array, self._run, self._key)
                _append(self.path, _entry_of(table, names, self.status, datetime.now(UTC)))
            self._file.unlink()

    def _sync_now_and_then(self) -> None:
        now_s = time.monotonic()
        if now_s - self._synced > _SYNC_INTERVAL_S:
            self._table.flush()
            self._synced = now_s

    @contextlib.contextmanager
    def _our_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise RecordError(f"{self.path}: cannot be written: {exc}") from exc


def _entry(line: str, place: str) -> LifeEntry:
    try:
        return LifeEntry.parse(json.loads(line))
    except (ConfigError, ValueError, RecursionError) as exc:
        raise RecordError(f"{place}: is no entry of a ledger: {exc}") from exc


def _entry_of(
    table: NDArray[np.void], names: tuple[str, str, str], status: str, ended: datetime
) -> LifeEntry:
    array, run, key = names
    rows, cols = table.shape
    used = zip(*np.nonzero((table["pulses"] > 0) | (table["formings"] > 0)), strict=True)
    cells = [(row, col, *table[row, col].tolist()) for row, col in used]
    return LifeEntry(
        array=array,
        run=run,
        key=key,
        status=status,
        ended_utc=ended.isoformat(timespec="seconds"),
        rows=rows,
        cols=cols,
        # Taking spared pulses back may leave a rounding error below zero.
        cells=tuple(
            (int(row), int(col), pulses, max(float(f"{energy_j:.6g}"), 0.0), formings)
            for row, col, pulses, energy_j, formings in cells
        ),
    )


def _append(path: Path, entry: LifeEntry) -> None:
    with path.open("a", encoding="utf-8", newline="\n") as stream:
        stream.write(json.dumps(entry.model_dump(mode="json"), separators=(",", ":")) + "\n")
    sync(path)


def _repair(path: Path) -> None:
    """Cut off a last line that was not written to its end; its run still has its own file."""
    whole = path.read_bytes()
    end = whole.rfind(b"\n") + 1
    if end < len(whole):
        with path.open("rb+") as stream:
            stream.truncate(end)


def _running_files(path: Path) -> list[Path]:
    """Return the files of runs that are in progress on the array, or were killed."""
    if not path.parent.is_dir():
        return []
    start = f"{path.name}."
    return sorted(
        file
        for file in path.parent.iterdir()
        if file.name.startswith(start) and file.name.endswith(_RUNNING)
    )


def _key(file: Path, path: Path) -> str:
    return file.name.removeprefix(f"{path.name}.").partition(".")[0]


def _run_of(file: Path, path: Path) -> str:
    return file.name.removeprefix(f"{path.name}.").partition(".")[2].removesuffix(_RUNNING)


def _by(path: Path) -> str:
    return "".join(f" by run {_run_of(file, path)}" for file in _running_files(path))


def _unfinished(file: Path, path: Path) -> LifeEntry:
    """Return the entry of a run that did not append its own."""
    array = path.name
    for suffix in _SUFFIXES.values():
        array = array.removesuffix(suffix)
    names = (array, _run_of(file, path), _key(file, path))
    ended = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    try:
        table = np.array(np.lib.format.open_memmap(file, mode="r"))  # checks the size first
        if table.dtype != CELL or table.ndim != 2:
            raise ValueError(f"holds {table.dtype} of shape {table.shape}")
        return _entry_of(table, names, "killed", ended)
    except (ValueError, EOFError) as exc:
        raise RecordError(
            f"{file}: the pulses of a run that was killed cannot be read ({exc}); delete the file"
            " to leave them out of the array's life"
        ) from exc
