"""How often a record is brought to the disk, and how much of a long text it takes."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hwloop.array.geometry import Geometry
from hwloop.array.operations import Wait
from hwloop.backend.base import Description
from hwloop.errors import RecordError, UnexpectedReply
from hwloop.procedure.procedure import Procedure
from hwloop.record import writer as record_writer
from hwloop.record.header import RunHeader
from hwloop.record.reader import Record
from hwloop.record.writer import RecordWriter
from hwloop.steps.rows import Row, column


@dataclass(frozen=True, eq=False)
class Worded(Row):
    """A row with a text."""

    words: str = column("1", "some words")


def test_record_is_synced_with_the_first_row_after_each_interval_and_at_the_end(
    tmp_path: Path, tiny_procedure: Callable[..., Procedure], monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 0.0
    monkeypatch.setattr(record_writer, "time", SimpleNamespace(monotonic=lambda: now_s))
    path = tmp_path / "run.h5"
    description = Description("linear", Geometry(rows=2, cols=2))
    writer = RecordWriter(
        path, RunHeader("run", tiny_procedure(), 5, None, description, "emulated")
    )
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_ino))

    def syncs(at_s: float) -> int:
        nonlocal now_s
        now_s = at_s
        before = synced.count(path.stat().st_ino)
        writer.operation(Wait(1.0), None, started_s=at_s, array_time_s=at_s)
        return synced.count(path.stat().st_ino) - before

    assert [syncs(at_s) for at_s in (0.4, 0.9, 1.1, 1.2, 2.0, 2.2)] == [0, 0, 1, 0, 0, 1]
    writer.finish("completed", pulses=np.zeros((2, 2)))
    assert synced[-1] == path.stat().st_ino


def test_message_of_ten_megabytes_makes_no_large_record(
    tmp_path: Path, tiny_procedure: Callable[..., Procedure]
) -> None:
    path = tmp_path / "run.h5"
    description = Description("linear", Geometry(rows=2, cols=2))
    writer = RecordWriter(
        path, RunHeader("run", tiny_procedure(), 5, None, description, "emulated")
    )
    flood = "begin " + "9" * 10_000_000 + " end"
    whole = f"smu: READ? answered {flood!r}, not a number; check its settings"
    reply = UnexpectedReply(whole)
    assert len(str(reply)) < 1100
    assert str(reply).startswith("smu: READ? answered 'begin 999")
    assert str(reply).endswith("999 end', not a number; check its settings")
    assert f"({len(whole)} characters)" in str(reply)
    before = path.stat().st_size
    writer.log("error", flood)
    writer.outcome("train_manhattan", reached=False, message=flood)
    assert path.stat().st_size < before + 4 * 2**20
    with pytest.raises(RecordError, match="a text of 10000010 bytes; at most 65536 are recorded"):
        writer.row("train_manhattan", Worded(flood))
    writer.finish("failed", pulses=np.zeros((2, 2)))
    with Record(path) as record:
        ((_, level, text),) = record.log
        outcome = record.outcome("train_manhattan")
    assert outcome is not None
    assert outcome[1] == text
    assert text.startswith("begin 9999")
    assert text.endswith("9999 end")
    assert (level, len(text)) == ("error", 2000 + len(" … (10000010 characters) … "))
    assert path.stat().st_size < 100_000


def test_message_of_the_longest_length_is_whole(
    tmp_path: Path, tiny_procedure: Callable[..., Procedure]
) -> None:
    path = tmp_path / "run.h5"
    description = Description("linear", Geometry(rows=2, cols=2))
    writer = RecordWriter(
        path, RunHeader("run", tiny_procedure(), 5, None, description, "emulated")
    )
    for length in (1999, 2000, 2001):
        writer.log("info", "µ" * length)
    writer.finish("completed", pulses=np.zeros((2, 2)))
    with Record(path) as record:
        texts = [text for _, _, text in record.log]
    assert texts[:2] == ["µ" * 1999, "µ" * 2000]
    assert texts[2] == "µ" * 1500 + " … (2001 characters) … " + "µ" * 500


def _cut_to(size: int) -> Callable[[Path], None]:
    return lambda path: os.truncate(path, size)


def _zeroed(first: float, last: float) -> Callable[[Path], None]:
    """Return what fills a part of a file with zeros in place; bounds as fractions of its size."""

    def fill(path: Path) -> None:
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.seek(round(first * size))
            file.write(bytes(round(last * size) - round(first * size)))

    return fill


def _scrambled(path: Path) -> None:
    values = np.random.default_rng(1).bytes(path.stat().st_size)
    path.write_bytes(values)


def _extended(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x" * 100)


DAMAGES = {
    "cut to 0": _cut_to(0),
    "cut to 1000": _cut_to(1000),
    "cut to 20000": _cut_to(20000),
    "zeros": _zeroed(0, 1),
    "zeros in its first half": _zeroed(0, 0.5),
    "zeros in its middle": _zeroed(0.05, 0.6),
    "zeros behind the superblock": _zeroed(0.004, 1),
    "noise": _scrambled,
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("operations", [0, 1, 20])
def test_record_that_others_damage_in_place_during_a_run_is_refused_in_a_line_or_whole(
    damage: str, operations: int, tmp_path: Path, tiny_procedure: Callable[..., Procedure]
) -> None:
    path = tmp_path / "run.h5"
    description = Description("linear", Geometry(rows=2, cols=2))
    header = RunHeader("run", tiny_procedure(), 5, None, description, "emulated")
    writer = RecordWriter(path, header)

    def work(number: int) -> None:
        writer.operation(Wait(1.0), None, started_s=0.0, array_time_s=0.0)
        writer.row("words", Worded("w" * 10 * number))

    for number in range(operations):
        work(number)
    DAMAGES[damage](path)
    acts: list[Callable[[], None]] = [lambda number=number: work(number) for number in range(100)]  # type: ignore[misc]
    acts.append(lambda: writer.conductance("final_conductance_s", np.zeros((2, 2))))
    acts.append(lambda: writer.log("error", "as when the run ends"))
    acts.append(lambda: writer.finish("failed", pulses=np.zeros((2, 2))))
    refused: list[str] = []
    for act in acts:
        try:
            act()
        except RecordError as exc:
            refused.append(str(exc))
    assert refused
    assert all("another program while the run was in progress" in message for message in refused)
    assert not any("\n" in message for message in refused)


def test_record_to_which_others_append_loses_nothing(
    tmp_path: Path, tiny_procedure: Callable[..., Procedure]
) -> None:
    path = tmp_path / "run.h5"
    description = Description("linear", Geometry(rows=2, cols=2))
    header = RunHeader("run", tiny_procedure(), 5, None, description, "emulated")
    writer = RecordWriter(path, header)
    for number in range(100):
        writer.operation(Wait(1.0), None, started_s=0.0, array_time_s=0.0)
        writer.row("words", Worded("w" * number))
        if number == 7:
            _extended(path)
    writer.finish("completed", pulses=np.zeros((2, 2)))
    with Record(path) as record:
        assert len(record) == 100
        assert [len(words) for words in record.results("words")["words"]] == list(range(100))
