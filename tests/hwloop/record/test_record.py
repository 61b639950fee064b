from __future__ import annotations

import errno
import os
import shutil
import signal
import string
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, get_args

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hwloop import disk
from hwloop.array.blocks import DrivenLines
from hwloop.array.geometry import Geometry
from hwloop.array.operations import (
    Operation,
    PulseMap,
    Ramp,
    Reading,
    ReadMap,
    VectorBatch,
    Wait,
)
from hwloop.backend.base import Description
from hwloop.errors import RecordError
from hwloop.procedure.procedure import Procedure
from hwloop.record.header import RunHeader
from hwloop.record.reader import Record
from hwloop.record.recorder import Recorder
from hwloop.record.storage import file as record_file
from hwloop.record.storage.replacing import open_locked
from hwloop.record.writer import RecordWriter
from hwloop.steps.rows import Row, column

Make = Callable[..., RecordWriter]
FINITE = st.floats(-1e3, 1e3, allow_subnormal=False)
POSITIVE = st.floats(1e-12, 1e3)
SHAPES = st.sampled_from([(1, 1), (1, 3), (2, 1), (2, 3), (2, 2, 3), (1, 1, 1)])


@pytest.fixture
def writer(tmp_path: Path, tiny_procedure: Callable[..., Procedure]) -> Make:
    """``writer(population=None, name=...)``: a record that has just been begun."""

    def make(
        population: int | None = None, name: str = "run.h5", announced: tuple[Row, ...] = ()
    ) -> RecordWriter:
        outer = () if population is None else (population,)
        description = Description("linear", Geometry(rows=2, cols=2), outer)
        procedure = tiny_procedure()
        if announced:
            (prepared,) = procedure.steps
            step = replace(prepared.step, tables=lambda *_: announced)
            procedure = replace(procedure, steps=(replace(prepared, step=step),))
        header = RunHeader("run", procedure, 5, population, description, "emulated")
        return RecordWriter(tmp_path / name, header)

    return make


@dataclass(frozen=True, eq=False)
class Noted(Row):
    number: Any = column("V", "a number or an array")
    note: Any = column("1", "a text")


@dataclass(frozen=True, eq=False)
class Large(Row):
    a: Any = column("S", "a map")
    b: Any = column("S", "a map")
    c: Any = column("S", "a map")
    d: Any = column("S", "a map")


@dataclass(frozen=True, eq=False)
class Beside(Row):
    table: ClassVar[str] = "beside"

    map_conductance_s: Any = column("S", "a map")


@dataclass(frozen=True, eq=False)
class Bare(Row):
    pass


def done(writer: RecordWriter, operation: Operation, reading: Reading | None = None) -> None:
    writer.operation(operation, reading, started_s=0.0, array_time_s=0.25)


def assert_same(written: Operation, read_back: Operation) -> None:
    assert type(written) is type(read_back)
    for field in fields(written):
        mine, theirs = getattr(written, field.name), getattr(read_back, field.name)
        assert type(mine) is type(theirs)
        if isinstance(mine, np.ndarray):
            assert (mine.shape, mine.tobytes()) == (theirs.shape, theirs.tobytes())
        else:
            assert mine == theirs


def readings(shape: tuple[int, ...]) -> st.SearchStrategy[Reading]:
    currents = hnp.arrays(np.float64, shape, elements=st.floats(allow_nan=True))
    return st.builds(Reading, currents, hnp.arrays(np.uint8, shape))


@st.composite
def ramps(draw: st.DrawFn, shape: tuple[int, ...]) -> Ramp:
    start_v = draw(hnp.arrays(np.float64, shape, elements=st.floats(0, 9)))
    gate_v = draw(st.none() | FINITE | hnp.arrays(np.float64, shape, elements=FINITE))
    step_v = draw(hnp.arrays(np.float64, shape, elements=st.floats(0, 1)))
    return Ramp(
        start_v=start_v,
        step_v=step_v,
        width_s=draw(POSITIVE),
        steps=draw(st.integers(1, 3)),
        read_v=draw(POSITIVE),
        low_a=draw(hnp.arrays(np.float64, shape, elements=st.floats(-np.inf, 0))),
        high_a=draw(hnp.arrays(np.float64, shape, elements=st.floats(0, np.inf))),
        both_polarities=draw(st.booleans()),
        gate_v=gate_v,
        gate_step_v=0.0 if gate_v is None else draw(st.floats(-1, 1)),
    )


@st.composite
def operations(draw: st.DrawFn) -> tuple[Operation, Reading | None]:
    shape = draw(SHAPES)
    match draw(
        st.sampled_from(["pulse", "read", "failed read", "ramp", "failed ramp", "multiply", "wait"])
    ):
        case "pulse":
            amplitude_v = draw(hnp.arrays(np.float64, shape, elements=FINITE))
            gate_v = draw(
                st.none() | FINITE | hnp.arrays(np.float64, amplitude_v.shape, elements=FINITE)
            )
            return PulseMap(amplitude_v, draw(POSITIVE), draw(st.integers(1, 2**40)), gate_v), None
        case "read":
            addressed = draw(hnp.arrays(np.bool_, shape))
            read = ReadMap(addressed, draw(POSITIVE), draw(st.booleans()))
            return read, draw(readings(shape))
        case "failed read":
            return ReadMap(np.ones(shape, np.bool_), draw(POSITIVE)), None
        case "ramp" | "failed ramp" as kind:
            ramp = draw(ramps(shape))
            measured = draw(readings((ramp.steps, *shape))) if kind == "ramp" else None
            return ramp, measured
        case "multiply":
            driven = draw(st.sampled_from(get_args(DrivenLines)))
            batch = VectorBatch(draw(hnp.arrays(np.float64, shape, elements=FINITE)), driven)
            return batch, draw(readings((*shape[:-1], 2)))
    return Wait(draw(st.floats(0, 1e6))), None


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    sequence=st.lists(operations(), max_size=12),
    repeat=st.sampled_from([1, 1, 1, 25]),
    end=st.sampled_from(["finish", "copy", "abandon"]),
)
def test_any_operations_read_back_bit_for_bit_in_order_whether_or_not_the_run_ended(
    writer: Make, sequence: list[tuple[Operation, Reading | None]], repeat: int, end: str
) -> None:
    record_writer = writer()
    path = record_writer.path
    sequence = sequence * repeat
    for operation, reading in sequence:
        failed = reading is None and isinstance(operation, ReadMap | VectorBatch)
        record_writer.operation(operation, reading, started_s=0, array_time_s=0.5, failed=failed)
    if end == "copy":  # what another process would find now
        copy = path.with_name("copy.h5")
        copy.write_bytes(path.read_bytes())
        record_writer.finish("completed", pulses=np.zeros((2, 2)))
        path.unlink()
        path = copy
    elif end == "abandon":
        record_writer._file.close()
    else:
        record_writer.finish("completed", pulses=np.zeros((2, 2)))
    with Record(path) as record:
        assert record.status == ("completed" if end == "finish" else "interrupted")
        assert len(record) == len(sequence)
        for (operation, reading), recorded in zip(sequence, record.operations(), strict=True):
            assert_same(operation, recorded.operation)
            answered = isinstance(operation, ReadMap | VectorBatch)
            assert recorded.failed == (reading is None and answered)
            assert recorded.array_time_s == 0.5
            assert (reading is None) == (recorded.reading is None)
            if reading is not None and recorded.reading is not None:
                assert reading.current_a.tobytes() == recorded.reading.current_a.tobytes()
                assert reading.flags.tobytes() == recorded.reading.flags.tobytes()
    path.unlink()


NUMBERS = st.sampled_from([np.float64, np.float32, np.int8, np.int64, np.uint8, np.bool_])
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=300)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), dtype=NUMBERS, count=st.sampled_from([0, 1, 2, 15, 16, 17, 300]))
def test_any_rows_read_back_bit_for_bit(
    writer: Make, data: st.DataObject, dtype: type[Any], count: int
) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
    numbers = data.draw(
        hnp.arrays(dtype, (count, *shape), fill=st.nothing() if count < 3 else None)
    )
    notes = data.draw(st.lists(TEXTS, min_size=min(count, 20), max_size=min(count, 20)))
    notes = [notes[index % 20] for index in range(count)]
    record_writer = writer()
    for number, note in zip(numbers, notes, strict=True):
        record_writer.row("step", Noted(number, note))
    record_writer.finish("completed", pulses=np.zeros((2, 2)))
    with Record(record_writer.path) as record:
        results = record.results("step")
        if count == 0:
            assert results == {}
        else:
            assert results["number"].dtype == dtype
            assert results["number"].shape == (count, *shape)
            assert results["number"].tobytes() == numbers.tobytes()
            assert [note.decode() for note in results["note"]] == notes
            assert record.units("step") == {"number": "V", "note": "1"}
    record_writer.path.unlink()


@pytest.mark.parametrize("shape", [(0,), (4, 3, 0)])
def test_rows_with_an_array_without_entries_leave_the_columns_beside_it_whole(
    writer: Make, shape: tuple[int, ...]
) -> None:
    record_writer = writer()
    for number in range(40):  # more than there is room for at first
        record_writer.row("step", Noted(np.zeros(shape, np.int64), f"note {number}"))
    record_writer.finish("completed", pulses=np.zeros((2, 2)))
    with Record(record_writer.path) as record:
        results = record.results("step")
    assert results["number"].shape == (40, *shape)
    assert [note.decode() for note in results["note"]] == [f"note {n}" for n in range(40)]


def test_rows_of_the_same_step_go_to_their_own_tables(writer: Make) -> None:
    @dataclass(frozen=True, eq=False)
    class Side(Row):
        table = "side"
        value: int = column("1", "a value")

    record_writer = writer()
    record_writer.row("step", Noted(1.5, "a"))
    record_writer.row("step", Side(7))
    record_writer.row("other", Side(8))
    record_writer.finish("completed", pulses=np.zeros((2, 2)))
    with Record(record_writer.path) as record:
        assert record.tables("step") == ["", "side"]
        assert record.tables("other") == ["side"]
        assert record.results("step", "side")["value"].tolist() == [7]
        assert record.results("other", "side")["value"].tolist() == [8]
        assert record.results("step", "none") == {}
        assert record.tables("none") == []


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (1, 1.5, r"results/step/number: a row of float64 \(\) does not fit .* int64 \(\)"),
        (np.zeros((2, 2)), np.zeros(2), r"a row of float64 \(2,\) does not fit"),
        (np.zeros(2), 1.0, r"a row of float64 \(\) does not fit .* float64 \(2,\)"),
        (1.0, "text", r"results/step/number: a row of"),
        (True, 2, r"does not fit the rows before it, bool"),
    ],
)
def test_row_that_would_be_bent_to_fit_is_refused(
    writer: Make, first: Any, second: Any, words: str
) -> None:
    record_writer = writer()
    record_writer.row("step", Noted(first, "a"))
    with pytest.raises(RecordError, match=words):
        record_writer.row("step", Noted(second, "b"))
    record_writer.row("step", Noted(first, "c"))
    record_writer.finish("failed", pulses=np.zeros((2, 2)))
    with Record(record_writer.path) as record:
        assert record.results("step")["note"].tolist() == [b"a", b"c"]


def test_row_of_other_columns_is_refused_by_name(writer: Make) -> None:
    record_writer = writer()
    record_writer.row("step", Noted(1.0, "a"))

    @dataclass(frozen=True, eq=False)
    class Other(Row):
        number: float = column("V", "a number")
        extra: float = column("V", "another")

    with pytest.raises(RecordError, match="these differ: extra, note"):
        record_writer.row("step", Other(1.0, 2.0))
    with pytest.raises(RecordError, match="a row without columns"):
        record_writer.row("none", Bare())
    with pytest.raises(RecordError, match="results/odd/number: object cannot be recorded"):
        record_writer.row("odd", Noted(None, "a"))
    record_writer.finish("failed", pulses=np.zeros((2, 2)))


def test_existing_file_is_refused_and_left_alone(tmp_path: Path, writer: Make) -> None:
    (tmp_path / "run.h5").write_bytes(b"precious")
    with pytest.raises(RecordError, match=r"run\.h5: exists already; choose another name"):
        writer()
    assert [path.name for path in tmp_path.iterdir()] == ["run.h5"]
    assert (tmp_path / "run.h5").read_bytes() == b"precious"


def test_existing_file_is_refused_where_hard_links_are_unknown(
    tmp_path: Path, writer: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError("no hard links here")

    monkeypatch.setattr(os, "link", no_links)
    writer().finish("completed", pulses=np.zeros((2, 2)))
    with pytest.raises(RecordError, match="exists already"):
        writer()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a folder without write")
def test_folder_that_cannot_be_written_is_named(tmp_path: Path, writer: Make) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(RecordError, match=r"cannot be written: .*ermission"):
            writer()
    finally:
        tmp_path.chmod(0o700)


def test_path_below_a_file_cannot_be_written(tmp_path: Path, writer: Make) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match=r"cannot be written|exists already"):
        writer(name="file/run.h5")


def test_draft_that_cannot_be_put_in_place_leaves_the_file_as_it_was(
    writer: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_writer = writer()
    done(record_writer, Wait(1.0))

    def full(*_: object, **_named: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(record_file, "copy_of_open", full)
        with pytest.raises(RecordError, match=r"cannot be written: .*No space left"):
            record_writer.row("step", Noted(1.0, "a"))
    done(record_writer, Wait(2.0))
    record_writer.row("step", Noted(3.0, "b"))
    record_writer.finish("failed", pulses=np.zeros((2, 2)))
    with Record(record_writer.path) as record:
        assert len(record) == 2
        assert record.results("step")["number"].tolist() == [3.0]
    assert [path.name for path in record_writer.path.parent.iterdir()] == ["run.h5"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="sets space aside on Linux")
def test_full_disk_shows_before_a_copy_and_a_file_system_that_sets_nothing_aside_does_not_matter(
    writer: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_writer = writer()

    def failing(code: int) -> Callable[..., None]:
        def fail(*_: object) -> None:
            raise OSError(code, os.strerror(code))

        return fail

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", failing(errno.ENOSPC))
        with pytest.raises(RecordError, match=r"cannot be written: .*No space left"):
            record_writer.row("step", Noted(1.0, "a"))
        patch.setattr(os, "posix_fallocate", failing(errno.EOPNOTSUPP))
        record_writer.row("step", Noted(2.0, "b"))
    record_writer.finish("completed", pulses=np.zeros((2, 2)))
    with Record(record_writer.path) as record:
        assert record.results("step")["number"].tolist() == [2.0]


def test_a_table_of_one_large_row_takes_little_more_room_than_the_row(writer: Make) -> None:
    record_writer = writer()
    before = record_writer.path.stat().st_size
    row = Large(*(np.full((128, 128), float(value)) for value in range(4)))
    record_writer.row("step", row)
    assert record_writer.path.stat().st_size - before < 6 * 2**20 + 65536
    for _ in range(20):
        record_writer.row("step", row)
    record_writer.finish("completed", pulses=np.zeros((2, 2)))
    with Record(record_writer.path) as record:
        kept = record.results("step")
    assert [kept[name].shape for name in "abcd"] == [(21, 128, 128)] * 4
    assert [float(kept[name].min()) for name in "abcd"] == [0.0, 1.0, 2.0, 3.0]


def test_a_row_as_large_as_the_room_of_its_table_is_written_once_and_the_tail_is_still_nan(
    writer: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_writer = writer()
    rng = np.random.default_rng(3)
    rows = [Large(*(rng.normal(size=(500, 500)) for _ in "abcd")) for _ in range(3)]
    in_place: list[int] = []
    write_at = record_file.write_at

    def watched(descriptor: int, offset: int, values: memoryview) -> None:
        in_place.append(values.nbytes)
        write_at(descriptor, offset, values)

    monkeypatch.setattr(record_file, "write_at", watched)
    written = []
    for row in rows:
        record_writer.row("step", row)
        written.append(sum(size >= 2**20 for size in in_place))
    assert written == [0, 4, 8]  # the first row comes with the columns, the others in place
    column = record_writer._file.file["results/step/a"]
    assert column.shape == (4, 500, 500)
    assert np.isnan(column[3]).all()
    record_writer.finish("completed", pulses=np.zeros((2, 2)))
    with Record(record_writer.path) as record:
        kept = record.results("step")
    for name in "abcd":
        assert kept[name].tobytes() == np.stack([getattr(row, name) for row in rows]).tobytes()


def test_a_table_said_beforehand_is_made_with_the_file_and_is_none_until_it_has_a_row(
    writer: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = Beside(np.full((2, 2), 7.0))
    copies, copy = [], record_file.copy_of_open
    monkeypatch.setattr(
        record_file, "copy_of_open", lambda *paths: copies.append(0) or copy(*paths)
    )
    record_writer = writer(announced=(Noted(0.0, ""), Beside(np.zeros((2, 2)))))
    label = "train_manhattan"
    killed = record_writer.path.with_name("killed.h5")
    shutil.copy(record_writer.path, killed)
    with Record(killed) as record:
        assert (record.labels, record.tables(label)) == ([], [])
    record_writer.row(label, beside)
    assert not copies
    shutil.copy(record_writer.path, killed)
    with Record(killed) as record:
        assert (record.labels, record.tables(label)) == ([label], ["beside"])
        np.testing.assert_array_equal(
            record.results(label, "beside")["map_conductance_s"], [beside.map_conductance_s]
        )
        assert record.units(label, "beside") == {"map_conductance_s": "S"}
    record_writer.finish("completed", pulses=np.zeros((2, 2)))
    with h5py.File(record_writer.path) as file:
        assert list(file["results"][label]) == ["beside"]
        assert f"results.{label}" not in file["recorder"]


def test_a_side_table_said_beforehand_has_room_for_one_row_and_grows(writer: Make) -> None:
    row = Beside(np.full((128, 128), 3.0))
    record_writer = writer(announced=(row,))
    for length in (1, 2, 4, 4, 8):
        record_writer.row("train_manhattan", row)
        assert (
            record_writer._file.file["results/train_manhattan/beside/map_conductance_s"].shape[0]
            == length
        )
    record_writer.finish("completed", pulses=np.zeros((2, 2)))
    with Record(record_writer.path) as record:
        assert record.results("train_manhattan", "beside")["map_conductance_s"].shape == (
            5,
            128,
            128,
        )


def test_a_table_that_waits_for_its_row_does_not_grow_with_the_series_that_are_full(
    writer: Make,
) -> None:
    record_writer = writer(announced=(Beside(np.full((128, 128), 3.0)),))
    for _ in range(300):
        record_writer.log("info", "a line")
    file = record_writer._file.file
    assert file["log/message"].shape[0] > 256
    assert file["results/train_manhattan/beside/map_conductance_s"].shape[0] == 0
    record_writer.finish("completed", pulses=np.zeros((2, 2)))


def test_a_record_that_ends_in_order_has_no_series_of_operations_that_were_not_done(
    writer: Make,
) -> None:
    record_writer = writer()
    assert {"multiply", "pulse", "read"} <= set(record_writer._file.file["operations"])
    done(record_writer, Wait(1.0))
    record_writer.finish("stopped", pulses=np.zeros((2, 2)))
    with h5py.File(record_writer.path) as file:
        assert set(file["operations"]) == {"table", "wait"}
        assert file["operations/wait/duration_s"].shape == (1,)


def test_tables_said_beforehand_leave_nothing_where_the_step_came_to_no_row(writer: Make) -> None:
    record_writer = writer(announced=(Noted(0.0, ""), Beside(np.zeros((2, 2)))))
    record_writer.finish("failed", pulses=np.zeros((2, 2)))
    with h5py.File(record_writer.path) as file:
        assert list(file["results"]) == []
        assert not [name for name in file["recorder"] if name.startswith("results")]


def test_file_that_a_virus_scanner_holds_is_replaced_a_moment_later(
    writer: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_writer, tries, replace = writer(), [], Path.replace

    def busy(self: Path, target: Path) -> Path:
        tries.append(self)
        if len(tries) < 3:
            raise PermissionError(13, "The process cannot access the file")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", busy)
    record_writer.row("step", Noted(1.0, "a"))
    assert len(tries) == 3
    record_writer.finish("completed", pulses=np.zeros((2, 2)))
    with Record(record_writer.path) as record:
        assert record.results("step")["note"].tolist() == [b"a"]


def _assert_forty_rows_read_back(writer: Make) -> None:
    record_writer = writer()
    maps = np.random.default_rng(1).normal(size=(40, 16, 16))
    for number in range(40):
        record_writer.row("step", Noted(maps[number], f"row {number}"))
        done(record_writer, PulseMap(maps[number], 1e-6))
    record_writer.finish("completed", pulses=np.zeros((2, 2)))
    with Record(record_writer.path) as record:
        for recorded, amplitude_v in zip(record.operations(), maps, strict=True):
            assert_same(PulseMap(amplitude_v, 1e-6), recorded.operation)
        results = record.results("step")
        np.testing.assert_array_equal(results["number"], maps)
        assert results["note"].tolist() == [f"row {number}".encode() for number in range(40)]


def test_rows_read_back_where_the_system_writes_at_its_own_position_only(
    writer: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "_pwrite", disk._seek_and_write)
    _assert_forty_rows_read_back(writer)


def test_rows_read_back_where_the_system_takes_only_a_part_of_them_at_a_time(
    writer: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = disk._pwrite

    def part(descriptor: int, values: bytes | memoryview, offset: int) -> int:
        return whole(descriptor, bytes(values)[:29], offset)

    monkeypatch.setattr(disk, "_pwrite", part)
    _assert_forty_rows_read_back(writer)


def test_row_that_the_disk_does_not_take_is_an_error_and_is_not_counted(
    writer: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_writer = writer()
    record_writer.row("step", Noted(1.0, "a"))
    with monkeypatch.context() as patch:

        def fail(*_: object) -> int:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        patch.setattr(disk, "_pwrite", fail)
        with pytest.raises(RecordError, match=r"run\.h5: cannot be written: .*Errno 5"):
            record_writer.row("step", Noted(2.0, "b"))
    record_writer.row("step", Noted(3.0, "c"))
    record_writer.finish("failed", pulses=np.zeros((2, 2)))
    with Record(record_writer.path) as record:
        assert record.results("step")["number"].tolist() == [1.0, 3.0]


@pytest.mark.skipif(os.name == "nt", reason="POSIX: locks of whole files")
def test_run_goes_on_where_someone_began_to_read_between_two_changes(writer: Make) -> None:
    import fcntl

    record_writer = writer()
    record_writer._file.close()
    with record_writer.path.open() as viewer:
        fcntl.flock(viewer, fcntl.LOCK_SH)
        record_writer._file._take(*open_locked(record_writer.path))
        done(record_writer, Wait(1.0))
        record_writer.row("step", Noted(1.0, "a"))
    record_writer.finish("completed", pulses=np.zeros((2, 2)))
    with Record(record_writer.path) as record:
        assert (record.operation_kinds, record.status) == (["wait"], "completed")


@pytest.mark.skipif(os.name == "nt", reason="POSIX: a lock is refused with BlockingIOError")
def test_record_that_is_being_written_is_refused_by_a_second_process(writer: Make) -> None:
    record_writer = writer()
    code = (
        "import sys; from pathlib import Path; from hwloop.record.reader import Record\n"
        "Record(Path(sys.argv[1]))"
    )
    command = [sys.executable, "-c", code, str(record_writer.path)]
    reader = subprocess.run(command, check=False, capture_output=True, text=True)
    assert "the run is still in progress" in reader.stderr
    record_writer.finish("completed", pulses=np.zeros((2, 2)))
    subprocess.run(command, check=True)


def test_what_was_not_reached_is_none_and_not_filler(writer: Make) -> None:
    record_writer = writer()
    record_writer.conductance("initial_conductance_s", np.full((2, 2), 1e-6))
    shutil.copy(record_writer.path, record_writer.path.with_name("copy.h5"))
    record_writer.finish("stopped", pulses=np.arange(4).reshape(2, 2))
    for name, pulses in (("run.h5", [[0, 1], [2, 3]]), ("copy.h5", None)):
        with Record(record_writer.path.with_name(name)) as record:
            initial_conductance_s = record.array("initial_conductance_s")
            assert initial_conductance_s is not None
            assert initial_conductance_s.tolist() == [[1e-6, 1e-6], [1e-6, 1e-6]]
            assert record.array("final_conductance_s") is None
            recorded = record.array("pulses")
            assert (None if recorded is None else recorded.tolist()) == pulses
    with h5py.File(record_writer.path) as file:
        assert "final_conductance_s" not in file["array"]


def test_outcomes_and_log_read_back_however_long_their_text(writer: Make) -> None:
    record_writer = writer()
    words = "µ" * 1000
    record_writer.log("warning", "short")
    record_writer.log("error", words)
    record_writer.log("warning", "\udc80 broken text of an instrument")
    record_writer.outcome("train_manhattan", reached=False, message=words)
    record_writer._file.close()
    with Record(record_writer.path) as record:
        assert [(level, text) for _, level, text in record.log] == [
            ("warning", "short"),
            ("error", words),
            ("warning", "\\udc80 broken text of an instrument"),
        ]
        assert record.outcome("train_manhattan") == (False, words)
        assert record.outcome("other") is None
        assert record.labels == ["train_manhattan"]


def test_recorder_writes_an_operation_that_failed_and_raises_its_error(
    writer: Make, linear_array: type[Any]
) -> None:
    backend = linear_array(np.ones((2, 2)))
    record_writer = writer()
    recorder = Recorder(backend, record_writer)
    recorder.wait(Wait(1.0))
    backend.close()
    read = ReadMap.every_cell((2, 2), read_v=0.1)
    with pytest.raises(Exception, match="the linear array is closed"):
        recorder.read(read)
    record_writer.finish("failed", pulses=np.zeros((2, 2)))
    with Record(record_writer.path) as record:
        assert record.operation_kinds == ["wait", "read"]
        assert [entry.failed for entry in record.operations()] == [False, True]
        assert record.operation(1).reading is None
        assert_same(read, record.operation(1).operation)


_LOOP = """
import os, sys
from pathlib import Path
from hwloop.procedure.procedure import load_procedure
from hwloop.execution.observer import Quiet
from hwloop.execution.runner import RunOptions, run_procedure

class Telling(Quiet):
    rows = 0
    def row(self, label, row):
        self.rows += 1
        os.write(1, f"{self.rows} {type(row).__name__}\\n".encode())

procedure = load_procedure(Path(sys.argv[1]))
run_procedure(procedure, RunOptions("sim", Path(sys.argv[2]), population=100), Telling())
"""


@pytest.mark.skipif(os.name == "nt", reason="POSIX: SIGKILL; Windows has no such signal")
def test_killed_run_keeps_every_row_that_was_told_of(tmp_path: Path) -> None:
    source = Path(__file__).parents[3] / "procedures" / "manhattan_4x4.yaml"
    command = [sys.executable, "-c", _LOOP, str(source)]
    subprocess.run([*command, str(tmp_path / "whole.h5")], check=True, capture_output=True)
    moments = np.random.default_rng(0).integers(1, 45, 2)
    with Record(tmp_path / "whole.h5") as whole:
        for number, rows in enumerate(moments):
            path = tmp_path / f"{number}.h5"
            with subprocess.Popen([*command, str(path)], stdout=subprocess.PIPE) as run:
                assert run.stdout is not None
                told = [run.stdout.readline() for _ in range(rows)]
                time.sleep(0.0005 * number)  # so that the kill meets another instruction
                run.send_signal(signal.SIGKILL)
                told += run.stdout.readlines()
            with h5py.File(path) as file:
                assert file["operations/table"].shape[0] > rows
            with Record(path) as killed:
                assert killed.status == "interrupted"
                epochs = killed.results("train_manhattan")
                expected = whole.results("train_manhattan")
                length = len(epochs["epoch"])
                assert length >= sum(b"EpochRow" in line for line in told)
                for name, values in epochs.items():
                    assert values.tobytes() == expected[name][:length].tobytes()
                assert len(killed) >= 3 * (rows - 1)
                for one, other in zip(killed.operations(), whole.operations(), strict=False):
                    assert_same(one.operation, other.operation)
                    if one.reading is not None and other.reading is not None:
                        current_a = one.reading.current_a
                        assert current_a.tobytes() == other.reading.current_a.tobytes()


def test_header_says_what_was_run(writer: Make) -> None:
    record_writer = writer(population=3)
    record_writer._file.close()
    with Record(record_writer.path) as record:
        assert record.shape == (3, 2, 2)
        attrs = record.attrs
        assert (attrs["seed"], attrs["population"], attrs["backend"]) == (5, 3, "linear")
        assert record.procedure_text == "text: as read\n"
        assert record.attrs["procedure"] == "tiny"
        assert record.overrides == []
        assert set(attrs["run_id"]) <= set(string.printable)
        assert record.duration_s == 0.0
        assert list(record.operations()) == []
        assert record.log == []
