"""Judgement of a record against that of the undisturbed run: a prefix of it, bit by bit."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from hwloop.array.operations import Flag, Operation
from hwloop.errors import RecordError
from hwloop.record.operations import RecordedOperation
from hwloop.record.reader import Record


@dataclasses.dataclass(frozen=True)
class Judged:
    """The judgement of one record.

    ``unreadable``: why it cannot be read, "" where it can. ``departs``: where it first departs from
    the undisturbed run, "" where it is a prefix of it. ``pulses``: of each cell, (rows, cols).
    """

    status: str
    operations: int = 0
    unreadable: str = ""
    departs: str = ""
    pulses: Any = 0


def judge(path: Path, usual: Path, *, up_to_flags: bool = False) -> Judged:
    """Compare a record, which may be missing, with the record of the undisturbed run.

    ``up_to_flags``: only as far as the first reading that is flagged and no number, from which on a
    run may go another way.
    """
    if not path.exists():
        return Judged("none")
    try:
        with Record(path) as record, Record(usual) as whole:
            return Judged(
                record.status,
                len(record),
                departs=_departs(record, whole, up_to_flags=up_to_flags),
                pulses=record.pulses_given(),
            )
    except RecordError as exc:
        return Judged("unreadable", unreadable=str(exc))


def _departs(record: Record, whole: Record, *, up_to_flags: bool) -> str:
    if len(record) > len(whole):
        return f"has {len(record)} operations of {len(whole)}"
    for index in range(len(record)):
        one, other = record.operation(index), whole.operation(index)
        if up_to_flags and _is_flagged(one) and not _is_flagged(other):
            return ""
        if not _same_operation(one, other):
            return f"operation {index} ({one.kind})"
    for label in record.labels:
        rows, all_rows = record.results(label), whole.results(label)
        for name, column in rows.items():
            if not _same(column, all_rows[name][: len(column)]):
                return f"rows of {label}.{name}"
    maps = ("initial_conductance_s", "final_conductance_s")
    for name in maps:
        if record.array(name) is not None and not _same(record.array(name), whole.array(name)):
            return name
    return ""


def _is_flagged(recorded: RecordedOperation) -> bool:
    """Return whether a cell that was measured has no number."""
    reading = recorded.reading
    if reading is None:
        return False
    return bool((reading.flags & (Flag.OVER_RANGE | Flag.COMPLIANCE)).any())


def _same_operation(one: RecordedOperation, other: RecordedOperation) -> bool:
    if one.kind != other.kind or not _same_fields(one.operation, other.operation):
        return False
    if one.failed:  # broken off by what was done to the run: nothing is recorded as measured
        return one.reading is None
    if one.reading is None or other.reading is None:
        return one.reading is other.reading
    return _same(one.reading.current_a, other.reading.current_a) and _same(
        one.reading.flags, other.reading.flags
    )


def _same_fields(one: Operation, other: Operation) -> bool:
    names = [field.name for field in dataclasses.fields(one)]
    return all(_same(getattr(one, name), getattr(other, name)) for name in names)


def _same(one: Any, other: Any) -> bool:
    a, b = np.asarray(one), np.asarray(other)
    if a.dtype.kind == "O":
        return bool(np.array_equal(a, b))
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()
