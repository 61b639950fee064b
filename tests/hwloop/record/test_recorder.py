"""What is recorded reads back, also from a file that was never finished."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwloop.array.geometry import Geometry
from hwloop.array.operations import Hold, Operation, PulseMap, ReadMap, VectorBatch, Wait
from hwloop.backend.base import Description, Event
from hwloop.cli.printing import print_instruments
from hwloop.errors import InstrumentTimeout, RecordError
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import Procedure, load_procedure
from hwloop.record.header import RunHeader
from hwloop.record.reader import Record
from hwloop.record.recorder import Recorder
from hwloop.record.writer import RecordWriter
from hwloop.settings.foreign_hdf5 import trust
from hwloop.steps.rows import Row, column
from hwloop.types import FloatArray
from tests.hwloop.spy import SpyBackend

PROCEDURE_FILE = Path(__file__).parents[3] / "procedures" / "manhattan_4x4.yaml"


@pytest.fixture(scope="module")
def procedure() -> Procedure:
    return load_procedure(PROCEDURE_FILE)


@pytest.fixture(scope="module")
def small() -> Procedure:
    """A procedure of an array of 2 × 4 cells."""
    reads = PROCEDURE_FILE.with_name("read_map_8x8.yaml")
    return load_procedure(reads, ["array.rows=2", "array.cols=4"])


def writer_at(path: Path, procedure: Procedure, rows: int = 2) -> RecordWriter:
    description = Description("spy", Geometry(rows=rows, cols=4))
    return RecordWriter(path, RunHeader(path.stem, procedure, 7, None, description, "emulated"))


@dataclass(frozen=True, eq=False)
class ProbeRow(Row):
    """A row for these tests."""

    number: int = column("1", "a number")
    values_v: FloatArray = column("V", "some voltages")
    words: str = column("1", "some words")


finite = st.floats(-1e3, 1e3)
voltages = st.lists(finite, min_size=8, max_size=8).map(lambda v: np.array(v).reshape(2, 4))
operations = st.one_of(
    st.builds(
        PulseMap, voltages, st.floats(1e-9, 10), st.integers(1, 5), st.none() | st.floats(0, 3)
    ),
    st.builds(
        ReadMap,
        st.lists(st.booleans(), min_size=8, max_size=8).map(lambda v: np.array(v).reshape(2, 4)),
        st.floats(0.01, 0.2),
        st.booleans(),
    ),
    st.builds(
        VectorBatch,
        st.integers(1, 3).flatmap(
            lambda n: st.lists(finite, min_size=2 * n, max_size=2 * n).map(
                lambda v: np.array(v).reshape(-1, 2)
            )
        ),
    ),
    st.builds(Wait, st.floats(0, 10)),
    st.builds(
        Hold,
        st.lists(st.floats(0, 1e-3), min_size=8, max_size=8).map(
            lambda s: np.array(s).reshape(2, 4)
        ),
        st.lists(st.booleans(), min_size=8, max_size=8).map(lambda v: np.array(v).reshape(2, 4)),
    ),
)


def assert_same(mine: Operation, theirs: Operation) -> None:
    assert type(mine) is type(theirs)
    for name, value in vars(mine).items():
        other = getattr(theirs, name)
        if isinstance(value, np.ndarray):
            assert value.tobytes() == other.tobytes()
            assert value.shape == other.shape
        else:
            assert value == other


@settings(max_examples=30, deadline=None)
@given(asked=st.lists(operations, max_size=20), finished=st.booleans())
def test_operations_read_back_to_the_bit_also_from_an_unfinished_file(
    asked: list[Operation],
    finished: bool,
    small: Procedure,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("record") / "run.h5"
    writer = writer_at(path, small)
    recorder = Recorder(SpyBackend(), writer)
    answers = [recorder.perform(operation) for operation in asked]
    copy = path.with_name("copy.h5")
    if finished:
        writer.finish("completed", pulses=np.zeros((2, 4), dtype=np.int64))
        shutil.copy(path, copy)
    else:  # what a kill at this moment would leave on the disk
        shutil.copy(path, copy)
        writer.finish("completed", pulses=np.zeros((2, 4), dtype=np.int64))
    trust(copy)  # the test of kill points has unfinished files walked
    with Record(copy) as record:
        assert record.status == ("completed" if finished else "interrupted")
        assert len(record) == len(asked)
        for mine, answer, recorded in zip(asked, answers, record.operations(), strict=True):
            assert_same(mine, recorded.operation)
            if isinstance(answer, np.ndarray):
                told = recorded.answer(record.shape)
                assert isinstance(told, np.ndarray)
                assert answer.tobytes() == told.tobytes()
                continue
            assert (answer is None) == (recorded.reading is None)
            if answer is not None and recorded.reading is not None:
                assert answer.current_a.tobytes() == recorded.reading.current_a.tobytes()
                assert answer.flags.tobytes() == recorded.reading.flags.tobytes()


@settings(max_examples=20, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.integers(-(2**40), 2**40),
            voltages,
            st.text(max_size=5).filter(lambda t: "\0" not in t),
        ),
        max_size=300,
    )
)
def test_rows_read_back_with_units(
    rows: list[tuple[int, np.ndarray, str]],
    procedure: Procedure,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("record") / "run.h5"
    writer = writer_at(path, procedure)
    for number, values, words in rows:
        writer.row("probe", ProbeRow(number, values, words))
    writer.finish("completed", pulses=np.zeros((2, 4), dtype=np.int64))
    with Record(path) as record:
        results = record.results("probe")
        if not rows:
            assert results == {}
            return
        assert record.units("probe") == {"number": "1", "values_v": "V", "words": "1"}
        assert results["number"].tolist() == [row[0] for row in rows]
        assert [text.decode() for text in results["words"]] == [row[2] for row in rows]
        assert np.array_equal(results["values_v"], np.array([row[1] for row in rows]))


def test_a_record_holds_the_units_of_its_settings_and_of_what_was_read_back(
    procedure: Procedure, tmp_path: Path
) -> None:
    path = tmp_path / "run.h5"
    description = replace(
        Description("spy", Geometry(rows=2, cols=4)),
        identity={"smu": {"range": 2.0, "id": "an instrument"}},
        units={"smu.range": "V"},
    )
    RecordWriter(path, RunHeader("run", procedure, 0, None, description, "emulated")).finish(
        "completed", pulses=np.zeros((2, 4), dtype=np.int64)
    )
    with Record(path) as record:
        assert record.identity_units == {"smu.range": "V"}
        assert record.settings_units == procedure.units
        assert record.unit_of("array.limits.pulse_energy_j") == "J"
        for step in ("0", procedure.steps[0].label):
            assert record.unit_of(f"steps.{step}.settings.beta_per_a") == "1/A"
        assert record.unit_of("steps.0.settings.max_updates") == ""
        assert record.unit_of("steps.another.settings.beta_per_a") == ""


def test_a_record_holds_the_station_as_it_was_and_shows_it_with_what_was_read_back(
    small: Procedure, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.h5"
    text = "# the bench of room 3 [/red]\nname: bench_1\n"
    description = replace(
        Description("spy", Geometry(rows=2, cols=4)),
        identity={"station": "bench_1", "smu": {"id": "KEITHLEY,2400", "range": 2.0, "on": True}},
        units={"smu.range": "V"},
        station=text,
    )
    RecordWriter(path, RunHeader("run", small, 0, None, description, "emulated")).finish(
        "completed", pulses=np.zeros((2, 4), dtype=np.int64)
    )
    with Record(path) as record:
        assert record.station_text == text
    print_instruments(path)
    assert capsys.readouterr().out == (
        f"station: bench_1\nsmu: KEITHLEY,2400\n  range: 2.0 V\n  on: True\nstation file:\n{text}\n"
    )


def test_a_record_without_a_station_says_so(
    procedure: Procedure, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.h5"
    writer_at(path, procedure).finish("completed", pulses=np.zeros((2, 4), dtype=np.int64))
    with Record(path) as record:
        assert record.station_text == ""
    print_instruments(path)
    assert capsys.readouterr().out == "There was no station file.\n"


def test_a_record_from_before_units_were_kept_has_none(small: Procedure, tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    writer_at(path, small).finish("completed", pulses=np.zeros((2, 4), dtype=np.int64))
    with h5py.File(path, "r+") as file:
        del file["procedure/units"], file["instruments/units"]
    with Record(path) as record:
        assert record.settings_units == record.identity_units == {}
        assert record.unit_of("array.limits.pulse_energy_j") == ""


def test_an_existing_file_is_refused_and_left_alone(procedure: Procedure, tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    path.write_text("something of value")
    with pytest.raises(RecordError, match="exists already"):
        writer_at(path, procedure)
    assert path.read_text() == "something of value"


def test_an_operation_that_failed_is_recorded_as_failed(
    procedure: Procedure, tmp_path: Path
) -> None:
    path = tmp_path / "run.h5"
    writer = writer_at(path, procedure)
    recorder = Recorder(SpyBackend(fail_at=1, error=InstrumentTimeout("no answer")), writer)
    recorder.wait(Wait(1.0))
    with pytest.raises(InstrumentTimeout):
        recorder.read(ReadMap.every_cell((2, 4), read_v=0.1))
    writer.finish("failed", pulses=np.zeros((2, 4), dtype=np.int64))
    with Record(path) as record:
        assert [operation.failed for operation in record.operations()] == [False, True]
        assert record.operation(1).reading is None


def test_events_of_the_backend_go_into_the_log(procedure: Procedure, tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    writer = writer_at(path, procedure)
    spy = SpyBackend()
    recorder = Recorder(spy, writer)
    spy.events.append(Event("warning", "relay 3 is slow — µS"))
    recorder.wait(Wait(0.0))
    assert [event.message for event in recorder.take_events()] == ["relay 3 is slow — µS"]
    writer.finish("completed", pulses=np.zeros((2, 4), dtype=np.int64))
    with Record(path) as record:
        ((_, level, message),) = record.log
    assert (level, message) == ("warning", "relay 3 is slow — µS")


def test_an_unfinished_file_shows_filler_and_no_numbers_to_a_plain_viewer(
    procedure: Procedure, tmp_path: Path
) -> None:
    path = tmp_path / "run.h5"
    writer = writer_at(path, procedure, rows=4)
    recorder = Recorder(SpyBackend((4, 4)), writer)
    recorder.read(ReadMap.every_cell((4, 4), read_v=0.1))
    shutil.copy(path, tmp_path / "copy.h5")
    writer.finish("completed", pulses=np.zeros((4, 4), dtype=np.int64))
    with h5py.File(tmp_path / "copy.h5") as file:
        current_a = file["operations/read/current_a"][()]
        assert np.isfinite(current_a[0]).all()
        assert np.isnan(current_a[1:]).all()
    with h5py.File(path) as file:
        assert file["operations/read/current_a"].shape == (1, 4, 4)


CHILD = """
import sys
from pathlib import Path
from hwloop.procedure.procedure import load_procedure
from hwloop.execution.observer import Quiet
from hwloop.execution.runner import RunOptions, run_procedure

class Tell(Quiet):
    def row(self, label, row):
        print("row", flush=True)

overrides = ["steps.0.settings.max_updates=2000", "steps.0.settings.target_1=0.999999",
             "array.limits.pulses_per_device=1000000"]
run_procedure(load_procedure(Path(sys.argv[1]), overrides),
              RunOptions("sim", Path(sys.argv[2])), Tell())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is a signal of POSIX systems")
@pytest.mark.parametrize("rows", [1, 2, 17, 64, 129, 200])
def test_a_killed_run_keeps_every_row_that_was_acknowledged(rows: int, tmp_path: Path) -> None:
    path = tmp_path / "killed.h5"
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(PROCEDURE_FILE), str(path)], stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    for _ in range(rows):
        assert child.stdout.readline() == b"row\n"
    time.sleep(0.0007 * (rows % 5))  # another moment within an epoch each time
    child.send_signal(signal.SIGKILL)
    acknowledged = rows + len(child.stdout.read().split())
    child.wait()
    child.stdout.close()
    with h5py.File(path) as file:
        assert file.attrs["status"] == "running"
    with Record(path) as record:
        assert record.status == "interrupted"
        results = record.results("train_manhattan")
        kept = len(results["epoch"])
        assert kept >= acknowledged
        assert results["epoch"].tolist() == list(range(1, kept + 1))
        assert np.isfinite(results["conductance_s"]).all()
        # Each epoch reads, multiplies and pulses; the initial state is read once.
        assert len(record) >= 1 + 3 * (kept - 1) + 2
        assert all(not operation.failed for operation in record.operations())


def test_a_run_that_was_cut_short_equals_the_begin_of_one_that_was_not(
    procedure: Procedure, tmp_path: Path
) -> None:
    whole, cut = tmp_path / "whole.h5", tmp_path / "cut.h5"
    run_procedure(procedure, RunOptions("sim", whole))

    class Snatch:
        """Copies the file in the middle, as a kill would leave it."""

        def row(self, _label: str, row: Row) -> None:
            if getattr(row, "epoch", None) == 9 and not cut.exists():
                shutil.copy(whole.with_name("again.h5"), cut)

        def step_began(self, prepared: object) -> None: ...
        def event(self, event: Event) -> None: ...
        def step_ended(self, label: str, outcome: object) -> None: ...

    run_procedure(procedure, RunOptions("sim", whole.with_name("again.h5")), Snatch())
    with Record(whole) as first, Record(cut) as second:
        assert len(second.results("train_manhattan")["epoch"]) == 9
        for mine, theirs in zip(second.operations(), first.operations(), strict=False):
            assert_same(mine.operation, theirs.operation)
            assert mine.array_time_s == theirs.array_time_s


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n" + bytes(200), b"plain text"])
def test_a_damaged_file_is_a_record_error(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "damaged.h5"
    path.write_bytes(content)
    with pytest.raises(RecordError, match="cannot be read as HDF5"):
        Record(path)


def test_another_hdf5_file_is_not_taken_for_a_record(tmp_path: Path) -> None:
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file["x"] = 1
    with pytest.raises(RecordError, match="is not a record"):
        Record(path)
