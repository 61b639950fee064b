"""Read a record: of a run that ended in order, was stopped, or was killed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from hwloop.array.settings import outer_shape
from hwloop.backend.origin import Origin, recorded_origin
from hwloop.errors import ConfigError, HwloopError, RecordError
from hwloop.file_lock import is_held
from hwloop.record.form import check_form, text_of
from hwloop.record.header import LOG, OPERATIONS, OUTCOMES, STATUS
from hwloop.record.operations import Blocks, RecordedOperation, operation_of, reading_of
from hwloop.record.storage.columns import counter_name
from hwloop.settings.foreign_hdf5 import MISREAD, is_checked, note_checked, refuse_damaged


class Record:
    """A record, opened for reading; shows complete rows only.

    Used as a context manager, it turns what reading a damaged record ends in into a
    :class:`RecordError`. ``allow_running``: whether the run may still be in progress; what it adds
    later is not seen, and its end may disturb the reading:
    :func:`hwloop.record.growing.read_growing` reads again then. Raises :class:`RecordError` where
    the file is missing, damaged, still being written, or not a record, with the place in the file.
    """

    def __init__(self, path: Path, *, allow_running: bool = False) -> None:
        self.path = path
        self._complete_rows: dict[str, int] = {}
        if not path.exists():
            raise RecordError(f"{path}: there is no such file")
        try:
            refuse_damaged(path)
            self._is_running = is_held(path)
            if self._is_running and not allow_running:
                raise RecordError(f"{path}: the run is still in progress; wait for its end")
            # As any reader, but beside a run that holds the lock.
            self._file = h5py.File(path, "r", locking=False if self._is_running else None)
        except ConfigError as exc:
            raise RecordError(str(exc)) from None
        except BlockingIOError:  # a run has begun to write it meanwhile
            raise RecordError(f"{path}: the run is still in progress; wait for its end") from None
        except OSError as exc:
            raise RecordError(f"{path}: cannot be read as HDF5: {exc}") from None
        try:
            if self._is_running or not is_checked(path):
                check_form(self._file)
            if not self._is_running:
                note_checked(path)
            self._status = self._read_status()  # before any row: an ended run adds none
            self._entries = self._rows(OPERATIONS, "table")
        except (RecordError, *MISREAD) as exc:
            self._file.close()
            raise RecordError(f"{path}: {exc}") from None
        self._blocks = Blocks(self._file)

    @property
    def attrs(self) -> dict[str, Any]:
        """Run id, times, status, versions, seed, population, backend."""
        return {name: _plain(value) for name, value in self._file.attrs.items()}

    @property
    def status(self) -> str:
        """Status of the run: "completed", "stopped", "failed"; "running", "interrupted" if killed.

        As it was when the record was opened.
        """
        return self._status

    @property
    def status_meaning(self) -> str:
        """Meaning of the status; of a run in progress, how many operations it has done so far."""
        if self._status == "running":
            return f"still running, {len(self)} operations so far"
        return STATUS_MEANING.get(self._status, "its meaning is not known to this version")

    def _read_status(self) -> str:
        status = str(self._file.attrs["status"])
        if status == "running" and STATUS in self._file:  # of one that could not be packed
            status = self._file[STATUS][()].decode()
        return "interrupted" if status == "running" and not self._is_running else status

    @property
    def origin(self) -> Origin:
        """Origin of the numbers: measured, emulated, or a replay of one of them."""
        return recorded_origin(self._file.attrs.get("origin"))

    @property
    def resolved(self) -> dict[str, Any]:
        """Procedure as plain data, with every default and array."""
        data: dict[str, Any] = json.loads(text_of(self._file, "procedure/resolved"))
        return data

    @property
    def procedure_text(self) -> str:
        """Text of the procedure file as it was read."""
        return text_of(self._file, "procedure/text")

    @property
    def overrides(self) -> list[str]:
        """Settings that were overridden on the command line."""
        dataset = self._file["procedure/overrides"]
        return [] if dataset.shape is None else [item.decode() for item in dataset[()]]

    @property
    def identity(self) -> dict[str, Any]:
        """Identity of the backend, and the settings read back from it."""
        data: dict[str, Any] = json.loads(self._file["instruments/identity"][()])
        return data

    @property
    def station_text(self) -> str:
        """Text of the station file as it was read; "" where the backend has none."""
        place = "instruments/station"
        return text_of(self._file, place) if place in self._file else ""

    @property
    def identity_units(self) -> dict[str, str]:
        """Return the unit of what stands in :attr:`identity`, by its path."""
        return self._units("instruments/units")

    @property
    def settings_units(self) -> dict[str, str]:
        """Return the unit of each setting of :attr:`resolved`, by its path.

        As :attr:`hwloop.procedure.procedure.Procedure.units`: from the types that the settings had
        when the run was recorded.
        """
        return self._units("procedure/units")

    def unit_of(self, key: str) -> str:
        """Return the unit of a setting by its key as ``--set`` takes it; "" where it has none.

        A step may be given by its number from 0, its label, or its name where it stands once.
        """
        first, *parts = key.split(".")
        if first == "steps" and parts and not parts[0].isdigit():
            steps = self.resolved["steps"]
            for name in ("label", "step"):
                found = [i for i, one in enumerate(steps) if one[name] == parts[0]]
                if len(found) == 1:
                    parts[0] = str(found[0])
                    break
        return self.settings_units.get(".".join((first, *parts)), "")

    @property
    def population(self) -> int | None:
        """Number of arrays in an emulated population; None for one array."""
        return int(self._file.attrs["population"]) or None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array, (..., rows, cols), with population and tiles in front."""
        array = self._file["array"].attrs
        outer = outer_shape(self.population, int(self.resolved["array"].get("tiles", 1)))
        return (*outer, int(array["rows"]), int(array["cols"]))

    def array(self, name: str) -> NDArray[Any] | None:
        """Return a map of ``/array``, (..., rows, cols); None if the run ended before it.

        ``name``: ``"initial_conductance_s"``, ``"final_conductance_s"``, ``"pulses"`` or
        ``"pulses_in_ledger"``, which only the record of an array with a ledger has.
        """
        counter = f"recorder/{counter_name(f'array/{name}')}"
        reached = bool(self._file[counter][0]) if counter in self._file else True
        group = self._file["array"]
        return group[name][()] if reached and name in group else None

    def pulses_given(self) -> NDArray[np.int64]:
        """Return the pulses of each cell in this run, (..., rows, cols).

        Counted from the operations where the run was killed before it wrote them down.
        """
        lifetime = self.array("pulses")
        if lifetime is not None:
            given: NDArray[np.int64] = lifetime - int(self.resolved["array"]["pulses_before"])
            in_ledger = self.array("pulses_in_ledger")
            return given if in_ledger is None else given - in_ledger
        pulses = np.zeros(self.shape, dtype=np.int64)
        for index, kind in enumerate(self.operation_kinds):
            recorded = self.operation(index) if kind in {"pulse", "ramp"} else None
            if recorded is not None:
                pulses += recorded.pulses
        return pulses

    @property
    def labels(self) -> list[str]:
        """Labels of the steps that have results, in the order in which they ran."""
        labels = [entry["label"] for entry in self.resolved["steps"]]
        return [label for label in labels if self.tables(label) or label in self._outcomes]

    def tables(self, label: str) -> list[str]:
        """Return the tables of a step that have rows; "" is its main one."""
        if label not in self._file["results"]:
            return []
        group = self._file[f"results/{label}"]
        inner = [name for name, item in group.items() if isinstance(item, h5py.Group)]
        return [name for name in ("", *inner) if self._complete(_place(label, name))]

    def settings(self, label: str) -> dict[str, Any]:
        """Return the settings of a step, plain data."""
        found: dict[str, Any] = next(
            step["settings"] for step in self.resolved["steps"] if step["label"] == label
        )
        return found

    def results(self, label: str, table: str = "") -> dict[str, NDArray[Any]]:
        """Return the columns of a table: name → (rows, ...)."""
        path = _place(label, table)
        if path not in self._file:
            return {}
        return {
            name: self._rows(path, name)
            for name, item in self._file[path].items()
            if isinstance(item, h5py.Dataset)
        }

    def units(self, label: str, table: str = "") -> dict[str, str]:
        """Return the unit of each column of a table."""
        path = _place(label, table)
        return {
            name: str(item.attrs["units"])
            for name, item in self._file[path].items()
            if isinstance(item, h5py.Dataset)
        }

    def meanings(self, label: str, table: str = "") -> dict[str, str]:
        """Return the meaning of each column of a table."""
        path = _place(label, table)
        return {
            name: str(item.attrs.get("meaning", ""))
            for name, item in self._file[path].items()
            if isinstance(item, h5py.Dataset)
        }

    def outcome(self, label: str) -> tuple[bool, str] | None:
        """Return whether a step reached its aim, and its message; None if it did not end."""
        return self._outcomes.get(label)

    @property
    def _outcomes(self) -> dict[str, tuple[bool, str]]:
        columns = [self._rows(OUTCOMES, name) for name in ("label", "reached", "message")]
        return {
            label.decode(): (bool(reached), message.decode())
            for label, reached, message in zip(*columns, strict=True)
        }

    @property
    def log(self) -> list[tuple[str, str, str]]:
        """Lines of the log: time, level, message."""
        columns = [self._rows(LOG, name) for name in ("time_utc", "level", "message")]
        return [(a.decode(), b.decode(), c.decode()) for a, b, c in zip(*columns, strict=True)]

    @property
    def operation_kinds(self) -> list[str]:
        """Kinds of all operations, in order."""
        return [entry["kind"].decode() for entry in self._entries]

    @property
    def duration_s(self) -> float:
        """Time from the beginning of the record to the end of its last operation, seconds."""
        return float(self._entries[-1]["ended_s"]) if len(self._entries) else 0.0

    def operations(self) -> Iterator[RecordedOperation]:
        """Yield every operation in order."""
        for index in range(len(self._entries)):
            yield self.operation(index)

    def operation(self, index: int) -> RecordedOperation:
        """Return the operation at ``index``, counted from 0.

        Raises :class:`RecordError` where what was recorded of it is no operation.
        """
        entry = self._entries[index]
        try:
            kind = entry["kind"].decode()
            values = self._blocks.row(entry["series"].decode(), int(entry["item"]))
            reading = reading_of(kind, values)
            operation = operation_of(kind, values)
            flags = values.get("flags") if kind == "pulse" else None
        except (RecordError, *MISREAD) as exc:
            raise RecordError(f"{self.path}: operation {index}: {exc}") from None
        return RecordedOperation(
            index=index,
            kind=kind,
            operation=operation,
            reading=reading,
            failed=entry["outcome"] == b"failed",
            array_time_s=float(entry["array_time_s"]),
            limited_flags=None if flags is None else np.array(flags),
        )

    def close(self) -> None:
        """Close the file of the record."""
        self._file.close()

    def __len__(self) -> int:
        return len(self._entries)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        if isinstance(error, MISREAD) and not isinstance(error, HwloopError | OSError):
            what = f"{type(error).__name__}: {error}"
            raise RecordError(f"{self.path}: damaged, or not of this kind: {what}") from error

    def _units(self, path: str) -> dict[str, str]:
        found: dict[str, str] = json.loads(self._file[path][()]) if path in self._file else {}
        return found

    def _rows(self, path: str, name: str) -> NDArray[Any]:
        """Return the complete rows of a column."""
        if f"recorder/{counter_name(path)}" not in self._file:
            return np.empty(0)
        return np.asarray(self._file[f"{path}/{name}"][: self._complete(path)])

    def _complete(self, path: str) -> int:
        """Return how many rows of a series were complete when they were first asked for.

        All columns of a table that a run is filling then have the same length.
        """
        if path not in self._complete_rows:
            counter = f"recorder/{counter_name(path)}"
            rows = int(self._file[counter][0]) if counter in self._file else 0
            self._complete_rows[path] = rows
        return self._complete_rows[path]


def _place(label: str, table: str) -> str:
    return "/".join(part for part in ("results", label, table) if part)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


STATUS_MEANING = {
    "completed": "every step came to its end",
    "stopped": "stopped from outside between two rows",
    "failed": "an error ended it; see the log",
    "interrupted": "the process was killed; all that was flushed is here",
}
