"""The pulses of a run in progress, counted before each is given."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hwloop.array.settings import ArraySettings
from hwloop.disk import sync
from hwloop.errors import RecordError
from hwloop.file_lock import lock_file
from hwloop.record.life.entry import CELL, entry_of
from hwloop.record.life.life_file import (
    RUNNING,
    append,
    read_life,
    refuse_no_file,
    repair,
    running_files,
    runs_in_progress,
)
from hwloop.types import BoolArray, FloatArray

_SYNC_INTERVAL_S = 1.0


class ArrayLife:
    """Ledger of one array, open and locked for one run.

    ``pulses``: of each cell before this run, (rows, cols). ``begins``: whether no earlier run is
    in the ledger. ``status``: how the run has ended, for its entry. Raises :class:`RecordError`
    where another run has the array, or the ledger cannot be read or written.
    """

    def __init__(self, path: Path, run: str, array: ArraySettings) -> None:
        if array.name is None:
            raise ValueError("an array without a name has no ledger")
        self.path, self.status = path, "failed"
        self._array, self._run, self._key = array.name, run, uuid.uuid4().hex
        self._file = path.with_name(f"{path.name}.{self._key}.{run[:100]}{RUNNING}")
        with contextlib.ExitStack() as stack, self._our_errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            refuse_no_file(path)  # a pipe would be waited for
            stack.enter_context(
                lock_file(path, f"array {array.name} is in use{runs_in_progress(path)}")
            )
            repair(path)
            so_far = read_life(path, array.name)
            self.pulses: NDArray[np.int64] = so_far.table(array.geometry.shape)["pulses"].copy()
            self.begins = not so_far.entries and not any(one.cells for one in so_far.running)
            for entry in so_far.running:
                if entry.cells:
                    append(path, entry)
            for file in running_files(path):
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
                append(self.path, entry_of(table, names, self.status, datetime.now(UTC)))
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
