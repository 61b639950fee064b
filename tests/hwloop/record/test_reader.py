"""What a record says of its run, and where two records differ."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import h5py
import numpy as np
import pytest

from hwloop.array.operations import Operation, PulseMap, Ramp, ReadMap, VectorBatch, Wait
from hwloop.backend.base import Event
from hwloop.errors import InstrumentTimeout, ReplayMismatch
from hwloop.procedure.procedure import load_procedure
from hwloop.record.comparison import differences
from hwloop.record.header import RunHeader
from hwloop.record.reader import Record
from hwloop.record.recorder import Recorder
from hwloop.record.replay import Replay
from hwloop.record.writer import RecordWriter
from tests.hwloop.spy import SpyBackend

FILE = Path(__file__).parents[3] / "procedures" / "manhattan_4x4.yaml"
CELL = np.zeros((4, 4))
CELL[1, 2] = 1.5
RAMP = Ramp(
    start_v=CELL,
    step_v=np.array(0.0),
    width_s=1e-3,
    steps=5,
    read_v=0.1,
    low_a=np.array(0.45e-6),  # the spy gives 0.1 µA more with each pulse, from 0.3 µA on
    high_a=np.array(1.0),
)


def _record(folder: Path, name: str, asked: tuple[Operation, ...], *, end: bool = True) -> Path:
    spy = SpyBackend((4, 4))
    header = RunHeader("spy", load_procedure(FILE), 1, None, spy.description, "emulated")
    writer = RecordWriter(folder / name, header)
    recorder = Recorder(spy, writer)
    for operation in asked:
        recorder.perform(operation)
    if end:
        writer.finish("completed", pulses=np.full((4, 4), 9, dtype=np.int64))
    else:
        writer._file.close()  # as after a kill
    return folder / name


def test_pulses_of_a_killed_run_are_counted_from_its_pulses_and_ramps(tmp_path: Path) -> None:
    asked = (PulseMap(CELL, 1e-3, count=2), Wait(1.0), RAMP, PulseMap(CELL.T, 1e-3))
    with Record(_record(tmp_path, "killed.h5", asked, end=False)) as record:
        given = record.pulses_given()
    wanted = np.zeros((4, 4), dtype=np.int64)
    wanted[2, 1] = 1
    # After the train of two 0.3 µA, then 0.4 and 0.5 in the ramp.
    wanted[1, 2] = 2 + 2
    np.testing.assert_array_equal(given, wanted)


def test_pulses_of_a_run_that_ended_are_those_that_it_wrote_down(tmp_path: Path) -> None:
    with Record(_record(tmp_path, "ended.h5", (PulseMap(CELL, 1e-3),))) as record:
        assert (record.pulses_given() == 9).all()


def test_what_only_one_of_two_records_has_is_named_and_the_rest_compared(tmp_path: Path) -> None:
    first = _record(tmp_path, "first.h5", (PulseMap(CELL, 1e-3), Wait(1.0)))
    second = shutil.copy(first, tmp_path / "second.h5")
    assert differences(first, second) == []
    with h5py.File(second, "r+") as file:
        del file["array/pulses"]
        file["array"].attrs["of_another"] = 1
    assert differences(first, second) == [
        "array/pulses: only in one of them",
        "array: attribute of_another",
    ]


def test_table_of_operations_says_which_were_done_and_which_failed(tmp_path: Path) -> None:
    spy = SpyBackend((4, 4), fail_at=1, error=InstrumentTimeout("late"))
    header = RunHeader("spy", load_procedure(FILE), 1, None, spy.description, "emulated")
    before = datetime.now(UTC)
    writer = RecordWriter(tmp_path / "run.h5", header)
    recorder = Recorder(spy, writer)
    recorder.perform(Wait(1.0))
    with pytest.raises(InstrumentTimeout):
        recorder.perform(PulseMap(CELL, 1e-3))
    writer.finish("failed", pulses=np.zeros((4, 4), dtype=np.int64))
    with h5py.File(tmp_path / "run.h5") as file:
        table = file["operations/table"]
        assert table["kind"].tolist() == [b"wait", b"pulse"]
        assert table["outcome"].tolist() == [b"done", b"failed"]
        ended = datetime.fromisoformat(file.attrs["ended_utc"])
    assert ended.utcoffset() == timedelta(0)
    assert before - timedelta(seconds=1) <= ended <= datetime.now(UTC) + timedelta(seconds=1)


def test_traffic_of_a_link_is_logged_and_handed_to_nobody(tmp_path: Path) -> None:
    spy = SpyBackend((4, 4))
    header = RunHeader("spy", load_procedure(FILE), 1, None, spy.description, "emulated")
    writer = RecordWriter(tmp_path / "run.h5", header)
    recorder = Recorder(spy, writer)
    spy.events += [Event("wire", "smu > *IDN?"), Event("warning", "warm")]
    recorder.perform(Wait(1.0))
    assert recorder.take_events() == [Event("warning", "warm")]
    writer.finish("completed", pulses=np.zeros((4, 4), dtype=np.int64))
    with h5py.File(tmp_path / "run.h5") as file:
        assert file["log/message"][()].tolist() == [b"smu > *IDN?", b"warm"]
        assert file["log/level"][()].tolist() == [b"wire", b"warning"]


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        (PulseMap(CELL, 1e-3), "pulse"),
        (ReadMap.every_cell((4, 4), read_v=0.1), "read"),
        (RAMP, "ramp"),
        (VectorBatch(np.full((1, 4), 0.1)), "multiply"),
    ],
)
def test_replay_names_the_operation_that_was_asked_for_and_the_one_recorded(
    tmp_path: Path, asked: Operation, name: str
) -> None:
    replay = Replay(Record(_record(tmp_path, "waits.h5", (Wait(1.0),))))
    assert replay.description.name == "replay"
    words = f"operation 0: the run asks for a {name}, the record has a wait"
    with pytest.raises(ReplayMismatch, match=f"^{re.escape(words)}$"):
        replay.perform(asked)
