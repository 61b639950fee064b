"""Run a recorded procedure against its own record, and compare what comes out."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwloop.errors import ReplayMismatch
from hwloop.procedure.procedure import Procedure, from_data, load_procedure
from hwloop.procedure.sections import file_override
from hwloop.record.reader import Record
from hwloop.record.replay import REPLAY, RecordEnded
from hwloop.run.runner import RunOptions, run_procedure


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
        population, seed = record.population, record.attrs["seed"]
    with tempfile.TemporaryDirectory() as folder:
        again = Path(folder) / "replay.h5"
        complete = _run(procedure, RunOptions(REPLAY.name, again, population=population, seed=seed))
        with Record(path) as record, Record(again) as replayed:
            _compare_ends(record, replayed, complete=complete)
            rows = _compare_results(record, replayed, complete=complete)
            return Reproduction(len(replayed), rows, complete)


def _procedure(record: Record, procedure_file: Path | None, overrides: Sequence[str]) -> Procedure:
    source = file_override("recording", record.path, REPLAY.name)
    if procedure_file is not None:
        return load_procedure(procedure_file, [*overrides, source])
    data = record.resolved | {"backends": {}}
    return from_data(
        data, folder=record.path.parent, text=record.procedure_text, overrides=[*overrides, source]
    )


def _run(procedure: Procedure, options: RunOptions) -> bool:
    """Replay a record; return False where it was cut short and came to its end."""
    try:
        run_procedure(procedure, options)
    except RecordEnded as exc:
        if exc.status == "completed":
            raise
        return False
    return True


def _compare_ends(record: Record, replayed: Record, *, complete: bool) -> None:
    if complete and len(replayed) != len(record):
        raise ReplayMismatch(
            f"operation {len(replayed)}: the run ends here, but the record goes on with a"
            f" {record.operation_kinds[len(replayed)]}"
        )


def _compare_results(record: Record, replayed: Record, *, complete: bool) -> int:
    rows = 0
    for label in record.labels:
        for table in record.tables(label):
            theirs = record.results(label, table)
            mine = replayed.results(label, table)
            place = "/".join(part for part in ("results", label, table) if part)
            rows += _compare_table(place, mine, theirs, complete=complete)
    return rows


def _compare_table(
    place: str, mine: dict[str, Any], theirs: dict[str, Any], *, complete: bool
) -> int:
    if mine.keys() != theirs.keys():
        raise ReplayMismatch(f"{place}: the columns differ")
    for name, recorded in theirs.items():
        again = mine[name]
        if complete and len(again) != len(recorded):
            raise ReplayMismatch(f"{place}: {len(again)} rows, in the record {len(recorded)}")
        count = min(len(again), len(recorded))
        if again[:count].tobytes() == recorded[:count].tobytes():
            continue
        for row in range(count):
            if np.asarray(again[row]).tobytes() != np.asarray(recorded[row]).tobytes():
                raise ReplayMismatch(f"{place}/{name}: row {row} differs")
    return len(next(iter(theirs.values())))
