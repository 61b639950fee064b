"""Run a recorded procedure against its own record, and compare what comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from hwloop.errors import ConfigError, ReplayMismatch
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import Procedure, from_data, load_procedure
from hwloop.procedure.sections import file_override
from hwloop.record.reader import Record
from hwloop.record.replay import REPLAY, RecordEnded
from hwloop.record.storage.columns import stored_values
from hwloop.record.writer import RecordSink
from hwloop.steps.rows import Row


@dataclass(frozen=True)
class Reproduction:
    """A replay that agreed with its record to the last bit.

    ``complete``: False where the record was cut short, and the replay agrees as far as it goes.
    """

    operations: int
    rows: int
    complete: bool


def reproduce(
    path: Path, *, procedure_file: Path | None = None, overrides: Sequence[str] = ()
) -> Reproduction:
    """Replay a record with its own procedure, or with another one.

    Raises :class:`ReplayMismatch` naming the first operation or result that differs.
    """
    with Record(path) as record:
        procedure = _procedure(record, procedure_file, overrides)
        options = RunOptions(
            REPLAY.name, path, population=record.population, seed=record.attrs["seed"]
        )
        compared = _Compared(record)
        complete = _run(procedure, options, compared)
        compared.compare_ends(complete=complete)
        return Reproduction(compared.operations, compared.recorded_rows, complete)


def replay_import(path: Path, procedure_file: Path | None, overrides: Sequence[str] = ()) -> int:
    """Run a procedure against imported trains; return how many operations they answered.

    Raises :class:`ConfigError` without a procedure, and :class:`ReplayMismatch` naming the first
    pulse or read that is not the recorded one.
    """
    if procedure_file is None:
        raise ConfigError(
            "is an import, without a procedure of its own: name one with --procedure",
            file=str(path),
        )
    source = file_override("recording", path, REPLAY.name)
    procedure = load_procedure(procedure_file, [*overrides, source])
    counted = _Counted(path)
    run_procedure(procedure, RunOptions(REPLAY.name, path), sink=lambda *_: counted)
    return counted.operations


class _Counted(RecordSink):
    """Count of the operations of a run, in place of a record."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.operations = 0

    @override
    def operation(self, *_: Any, **__: Any) -> None:
        self.operations += 1


def _procedure(record: Record, procedure_file: Path | None, overrides: Sequence[str]) -> Procedure:
    source = file_override("recording", record.path, REPLAY.name)
    if procedure_file is not None:
        return load_procedure(procedure_file, [*overrides, source])
    data = record.resolved | {"backends": {}}
    if not data["steps"]:
        raise ConfigError(
            "is of a loop in Python, and has no steps: run the loop again with"
            f" open_array(…, recording={str(record.path)!r})",
            file=str(record.path),
        )
    return from_data(
        data, folder=record.path.parent, text=record.procedure_text, overrides=[*overrides, source]
    )


def _run(procedure: Procedure, options: RunOptions, compared: _Compared) -> bool:
    """Replay a record; return False where it was cut short and came to its end."""
    try:
        run_procedure(procedure, options, sink=lambda *_: compared)
    except RecordEnded as exc:
        if exc.status == "completed":
            raise
        return False
    return True


class _Compared(_Counted):
    """Comparison of a run with a record, in place of a record of its own.

    A row is compared with the recorded one as it comes; operations are by the backend that replays
    them. Raises :class:`ReplayMismatch` where a row differs.
    """

    def __init__(self, record: Record) -> None:
        super().__init__(record.path)
        self._record = record
        self._columns: dict[str, dict[str, NDArray[Any]]] = {
            _place(label, table): record.results(label, table)
            for label in record.labels
            for table in record.tables(label)
        }
        self._rows = dict.fromkeys(self._columns, 0)

    @property
    def recorded_rows(self) -> int:
        """Return how many rows the record has."""
        return sum(_length(columns) for columns in self._columns.values())

    @override
    def row(self, label: str, row: Row) -> None:
        # One beyond the recorded rows waits for the end.
        place = row.place(label)
        number = self._rows.get(place, 0)
        self._rows[place] = number + 1
        recorded = self._columns.get(place, {})
        if number >= _length(recorded):
            return
        values = stored_values(place, row.columns())
        if values.keys() != recorded.keys():
            raise ReplayMismatch(f"{place}: the columns differ")
        for name, column in recorded.items():
            if not _same(values[name], column[number]):
                raise ReplayMismatch(f"{place}/{name}: row {number} differs")

    def compare_ends(self, *, complete: bool) -> None:
        """Raise where the run or the record goes on, and ``complete`` says that neither may."""
        if not complete:
            return
        if self.operations != len(self._record):
            raise ReplayMismatch(
                f"operation {self.operations}: the run ends here, but the record goes on with a"
                f" {self._record.operation_kinds[self.operations]}"
            )
        for place, count in self._rows.items():
            recorded = _length(self._columns.get(place, {}))
            if count != recorded:
                raise ReplayMismatch(f"{place}: {count} rows, in the record {recorded}")


def _place(label: str, table: str) -> str:
    return "/".join(part for part in ("results", label, table) if part)


def _length(columns: Mapping[str, NDArray[Any]]) -> int:
    return len(next(iter(columns.values()))) if columns else 0


def _same(value: NDArray[Any], recorded: Any) -> bool:
    """Return whether a value is stored as the recorded one, to the last bit; text may be padded."""
    theirs = np.asarray(recorded)
    if value.dtype.kind == theirs.dtype.kind == "S":
        return value.shape == theirs.shape and bool(np.all(value == theirs))
    if value.shape != theirs.shape or not np.can_cast(value.dtype, theirs.dtype, "safe"):
        return False
    return np.asarray(value, theirs.dtype).tobytes() == theirs.tobytes()
