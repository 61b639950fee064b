"""Write the record of a run.

A row counts once its series' counter below ``/recorder`` includes it, and the counter is written
after the row. The tail of an interrupted file beyond the counters is NaN, never a number; when a
run ends in order the record is packed without it. How the file stays whole meanwhile is told in
:mod:`hwloop.record.storage.file`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from typing_extensions import override

from hwloop.array.operations import Answer, Operation
from hwloop.errors import RecordError
from hwloop.messages import shortened
from hwloop.record.header import (
    CONDUCTANCES,
    END_TEXTS,
    LOG,
    OPERATION,
    OPERATIONS,
    OUTCOMES,
    PULSES,
    PULSES_ABOUT,
    STATUS,
    STATUS_TEXT,
    RunHeader,
    Signature,
    about_columns,
    expected_series,
    series_path,
    signature_of,
    utc_now,
    write_header,
)
from hwloop.record.operations import columns_of
from hwloop.record.storage.columns import counter_path
from hwloop.record.storage.file import RecordFile
from hwloop.record.storage.in_place import (
    REFERENCE_BYTES,
    UnknownPlace,
    reference_place,
    text_place,
)
from hwloop.record.storage.objects import make_dataset
from hwloop.record.storage.packing import Copy, pack
from hwloop.record.storage.planned import Layout
from hwloop.record.storage.series import NewRow, Series, write_rows
from hwloop.steps.rows import Row
from hwloop.types import FloatArray

_SYNC_INTERVAL_S = 1.0
# Of a record that is not written anew at its end: a fifth of what is used, of a small one as much.
_MOST_UNUSED_BYTES, _LITTLE_BYTES = 8 * 2**20, 2**20
_LONGEST_MESSAGE = 2000  # characters: every row of the column is as wide as the longest


def _most_unused(used_bytes: int) -> int:
    """Return the bytes that a completed record may be larger for ending in its place."""
    return max(used_bytes // 5, min(used_bytes, _LITTLE_BYTES))


class RecordSink:
    """Taker of all that a run records; it keeps nothing, and subclasses what they override.

    ``path``: the file of the record.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._began = path, time.monotonic()

    @property
    def path(self) -> Path:
        """Return the file of the record; another one where the first was taken away."""
        return self._path

    def now_s(self) -> float:
        """Return the seconds since the record was begun, from a monotonic clock."""
        return time.monotonic() - self._began

    def operation(
        self,
        operation: Operation,
        answer: Answer,
        *,
        started_s: float,
        array_time_s: float,
        failed: bool = False,
    ) -> None:
        """Take an operation with its answer."""

    def row(self, label: str, row: Row) -> None:
        """Take a row that a step yielded."""

    def outcome(self, label: str, *, reached: bool, message: str) -> None:
        """Take how a step ended."""

    def log(self, level: str, message: str) -> None:
        """Take a line of the log."""

    def conductance(self, name: str, conductance_s: FloatArray) -> None:
        """Take a conductance map, one of :data:`CONDUCTANCES`, (..., rows, cols), siemens."""

    def finish(
        self, status: str, *, pulses: np.ndarray, in_ledger: np.ndarray | None = None
    ) -> None:
        """Take how the run ended.

        ``pulses``: of each cell in its life. ``in_ledger``: those of them that the ledger of the
        array had counted before the run.
        """


class RecordWriter(RecordSink):
    """Writer of the record of one run; refuses to overwrite an existing file.

    When it finishes it packs the record, writes the status and closes the file. Where the record
    cannot be packed, the status alone is written, for which no room is needed.
    """

    def __init__(self, path: Path, header: RunHeader) -> None:
        super().__init__(path)
        self._synced = self._began
        expected, self._layout = expected_series(header), Layout()
        layout = self._layout
        self._file = RecordFile(
            path,
            lambda file: write_header(file, header, expected, layout),
            lay_out=layout.lay_out,
            holds=self._what_is_safe,
            # What is emulated can be emulated again.
            durable=header.origin != "emulated",
        )
        self._operations, self._outcomes, self._log = (
            Series(self._file, path, planned=layout) for path in (OPERATIONS, OUTCOMES, LOG)
        )
        self._results: dict[str, Series] = {}
        self._maps: set[str] = set()
        self._measured: dict[Signature, Series] = {}
        for one in expected:
            series = Series(self._file, one.path, planned=layout)
            if one.signature is None:
                self._results[one.path] = series
            else:
                self._measured[one.signature] = series

    @property
    @override
    def path(self) -> Path:
        return self._file.path

    @override
    def operation(
        self,
        operation: Operation,
        answer: Answer,
        *,
        started_s: float,
        array_time_s: float,
        failed: bool = False,
    ) -> None:
        kind, columns = columns_of(operation, answer)
        series = self._series_for(kind, columns)
        outcome = "failed" if failed else "done"
        times_s = (started_s, self.now_s(), array_time_s)
        entry = np.array((kind, series.name, series.rows, outcome, *times_s), OPERATION)
        self._write((series, columns, dict), (self._operations, {"table": entry}, dict))

    @override
    def row(self, label: str, row: Row) -> None:
        path = row.place(label)
        series = self._results.get(path)
        if series is None:
            series = self._results[path] = Series(self._file, path)
        self._write((series, row.columns(), lambda: about_columns(row)))

    @override
    def outcome(self, label: str, *, reached: bool, message: str) -> None:
        text = shortened(message, _LONGEST_MESSAGE)
        self._write((self._outcomes, {"label": label, "reached": reached, "message": text}, dict))

    @override
    def log(self, level: str, message: str) -> None:
        # Of a very long message the begin, the length and the end.
        text = shortened(message, _LONGEST_MESSAGE)
        self._write((self._log, {"time_utc": utc_now(), "level": level, "message": text}, dict))

    @override
    def conductance(self, name: str, conductance_s: FloatArray) -> None:
        self._write_map(name, conductance_s)
        self._maps.add(name)

    def _write_map(self, name: str, values: np.ndarray) -> None:
        """Write a map of the array in place, and count it after that."""
        planned = self._layout.maps[f"array/{name}"]
        whole = np.broadcast_to(values, planned.shape)
        stored: np.ndarray = np.ascontiguousarray(whole, planned.dtype)
        counter = self._layout.counters.counting({planned.number: 1})
        self._file.write([(planned.place, stored.data), counter])
        self._layout.counters.count(planned.number, 1)

    @override
    def finish(
        self, status: str, *, pulses: np.ndarray, in_ledger: np.ndarray | None = None
    ) -> None:
        ended = utc_now()
        try:
            if status == END_TEXTS["status"] and in_ledger is None and self._is_tight():
                with contextlib.suppress(UnknownPlace):  # then it is written anew
                    self._end_in_place(ended, pulses)
                    return
            room = sum(series.rows * series.row_bytes for series in self._all_series())
            with self._file.rewriting(room=room) as (file, packed, copy):
                self._pack(file, packed, copy)
                make_dataset(packed.id, f"array/{PULSES}", pulses, PULSES_ABOUT)
                make_dataset(packed.id, counter_path(f"array/{PULSES}"), [1])
                if in_ledger is not None:
                    about = {"units": "1", "meaning": "pulses in earlier runs"}
                    make_dataset(packed.id, "array/pulses_in_ledger", in_ledger, about)
                packed.attrs["ended_utc"] = ended
                packed.attrs["status"] = status
        except RecordError:
            self._state(status)
            raise
        finally:
            self._file.close()

    def _is_tight(self) -> bool:
        """Return whether all in the file is used, but for a little room."""
        every = list(self._all_series())
        used = sum(series.rows * series.row_bytes for series in every)
        unused = sum(series.bytes for series in every) - used
        complete = not self._empty() and self._maps == set(CONDUCTANCES)
        complete = complete and all(series.can_end for series in every)
        return complete and unused <= min(_MOST_UNUSED_BYTES, _most_unused(used))

    def _end_in_place(self, ended: str, pulses: np.ndarray) -> None:
        """Write how a completed run has ended: where each column ends, and at last the status."""
        read = self._file.bytes_at
        with self._file.reading() as file:
            places = [one for series in self._all_series() for one in series.lengths_to_end(read)]
            spare, root = file["recorder"].id, file.id
            texts = {"status": END_TEXTS["status"], "ended_utc": ended}
            of_root = {name: reference_place(read, root, name) for name in texts}
            references = {
                name: read(reference_place(read, spare, name), REFERENCE_BYTES) for name in texts
            }
            ended_place, length = text_place(read, references["ended_utc"])
            if length != len(ended.encode()):
                raise UnknownPlace(f"{ended}: has another length than was set aside, {length}")
            state = np.array(texts["status"].encode(), STATUS_TEXT)
            places += [
                (ended_place, memoryview(ended.encode())),
                (of_root["ended_utc"], memoryview(references["ended_utc"])),
                (file[STATUS].id.get_offset(), state.data),
                (of_root["status"], memoryview(references["status"])),
            ]
        self._write_map(PULSES, pulses)
        self._file.write(places)
        end = self._layout.used_end({series.path: series.rows for series in self._all_series()})
        if end is not None and not self._file.changes:  # after one, HDF5 may have added to the file
            self._file.cut(end)
        self._file.sync()

    def _empty(self) -> list[Series]:
        """Return the series that were made before the run, and came to no row."""
        return [one for one in (*self._results.values(), *self._measured.values()) if not one.rows]

    def _pack(self, file: h5py.File, packed: h5py.File, copy: Copy) -> None:
        """Copy what the record holds: no unused rows, no series that came to no row."""
        left_out = [place for series in self._empty() for place in (series.path, series.counter)]
        left_out += [f"array/{name}" for name in CONDUCTANCES if name not in self._maps]
        left_out += [f"array/{PULSES}", counter_path(f"array/{PULSES}")]
        rows = {series.path: series.rows for series in self._all_series()}
        pack(file.id, packed.id, rows=rows, left_out=left_out, copy=copy)
        for name in END_TEXTS:
            del packed["recorder"].attrs[name]

    def _state(self, status: str) -> None:
        """Write in place how the run has ended, where the file cannot be written anew."""
        with contextlib.suppress(RecordError):  # what kept it from being written is told already
            with self._file.reading() as file:
                place = file[STATUS].id.get_offset()
            text = np.array(status.encode(), STATUS_TEXT)
            self._file.write([(place, text.data)])

    def _series_for(self, kind: str, columns: Mapping[str, Any]) -> Series:
        """Return the series for operations of this kind and shape, made when first needed."""
        signature = signature_of(kind, columns)
        if signature not in self._measured:
            self._measured[signature] = Series(self._file, series_path(signature, self._measured))
        return self._measured[signature]

    def _all_series(self) -> Iterator[Series]:
        yield from (self._operations, self._outcomes, self._log)
        yield from self._results.values()
        yield from self._measured.values()

    def _what_is_safe(self) -> str:
        rows = sum(series.rows for series in self._results.values())
        return f"the {self._operations.rows} operations and {rows} rows before are safe in it"

    def _write(self, *rows: NewRow) -> None:
        write_rows(rows, self._all_series())
        if time.monotonic() - self._synced > _SYNC_INTERVAL_S:
            self._file.sync()
            self._synced = time.monotonic()
