"""A completed record with little unused room ends in its place, as HDF5 itself would leave it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from hwloop.array.geometry import Geometry
from hwloop.array.operations import PulseMap
from hwloop.backend.base import Description
from hwloop.disk import hdf5_file
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import Procedure, load_procedure
from hwloop.record import writer as record_writer
from hwloop.record.header import CONDUCTANCES, RunHeader
from hwloop.record.reader import Record
from hwloop.record.storage import file as record_file
from hwloop.record.storage.in_place import UnknownPlace, length_place, reference_place, text_place
from hwloop.record.writer import RecordWriter

PROCEDURE = Path(__file__).parents[4] / "procedures" / "manhattan_4x4.yaml"


def _read(path: Path) -> Callable[[int, int], bytes]:
    content = path.read_bytes()
    return lambda at, size: content[at : at + size]


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[h5py.File]:
    """A file of the oldest format with datasets, and more attributes than fit one header."""
    with hdf5_file(tmp_path / "plain.h5", "w") as file:
        file.create_dataset("deep/values", data=np.arange(12.0).reshape(6, 2), maxshape=(None, 2))
        file.create_dataset("fixed", data=np.arange(7))
        for number in range(30):
            file.attrs[f"text_{number}"] = f"words {number}"
    with h5py.File(tmp_path / "plain.h5") as file:
        yield file


def test_places_are_where_hdf5_finds_the_values(plain: h5py.File) -> None:
    # Right values: what HDF5 reads from a copy in which the bytes at these places are others.
    path = Path(plain.filename)
    read, changed = _read(path), bytearray(path.read_bytes())
    for name, rows in (("deep/values", 4), ("fixed", 3)):
        place = length_place(read, plain[name].id)
        changed[place : place + 8] = rows.to_bytes(8, "little")
    references = {n: reference_place(read, plain.id, f"text_{n}") for n in (2, 17, 29)}
    of_17 = bytes(changed[references[17] : references[17] + 16])
    changed[references[2] : references[2] + 16] = of_17
    place, length = text_place(read, bytes(changed[references[29] : references[29] + 16]))
    changed[place : place + length] = b"other 29"
    other = path.with_name("other.h5")
    other.write_bytes(changed)
    with h5py.File(other) as file:
        assert (file["deep/values"][()] == np.arange(8.0).reshape(4, 2)).all()
        assert (file["fixed"][()] == [0, 1, 2]).all()
        assert file.attrs["text_2"] == file.attrs["text_17"] == "words 17"
        assert (file.attrs["text_3"], file.attrs["text_29"]) == ("words 3", "other 29")


def test_places_of_a_newer_format_are_not_guessed(tmp_path: Path) -> None:
    path = tmp_path / "new.h5"
    with hdf5_file(path, "w", compact=True) as file:
        file["values"] = np.arange(3)
        file.attrs["text"] = "words"
    with h5py.File(path) as file:
        read = _read(path)
        with pytest.raises(UnknownPlace, match="a header of version"):
            length_place(read, file["values"].id)
        with pytest.raises(UnknownPlace, match="a header of version"):
            reference_place(read, file.id, "text")
        with pytest.raises(UnknownPlace, match="the place of a text is not known"):
            text_place(read, bytes(16))


def _trained(path: Path) -> Path:
    procedure = load_procedure(PROCEDURE, ["steps.0.settings.max_updates=20"])
    run_procedure(procedure, RunOptions("sim", path, population=40))
    return path


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, one: shapes.update({name: one.shape} if hasattr(one, "shape") else {})
        )
    return shapes


def test_record_that_ends_in_its_place_reads_as_one_that_is_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_writer.RecordWriter, "_pack", None)  # it is not called
    cuts, cut = [], record_file.RecordFile.cut

    def cutting(self: record_file.RecordFile, end: int) -> None:
        cuts.append((self.path.stat().st_size, end))
        cut(self, end)

    monkeypatch.setattr(record_file.RecordFile, "cut", cutting)
    in_place = _trained(tmp_path / "in_place.h5")
    ((before, end),) = cuts
    assert before > end == in_place.stat().st_size
    monkeypatch.undo()
    monkeypatch.setattr(record_writer, "_MOST_UNUSED_BYTES", -1)
    anew = _trained(tmp_path / "anew.h5")
    assert _shapes(in_place) == _shapes(anew)
    with h5py.File(in_place) as file:  # as any viewer shows it
        assert (file.attrs["status"], len(file.attrs["ended_utc"])) == ("completed", 29)
        assert file.attrs["ended_utc"] > file.attrs["started_utc"]
        with h5py.File("copies", "w", driver="core", backing_store=False) as copies:
            for name in file:  # HDF5 copies no dataset whose size is not that of its rows
                file.copy(name, copies)
    with Record(in_place) as one, Record(anew) as other:
        assert (one.status, other.status) == ("completed", "completed")
        pairs = list(zip(one.operations(), other.operations(), strict=True))
        for mine, theirs in pairs:
            assert (mine.reading is None) == (theirs.reading is None)
            if mine.reading is not None and theirs.reading is not None:
                np.testing.assert_array_equal(mine.reading.current_a, theirs.reading.current_a)
        assert one.tables("train_manhattan") == ["", "predictions", "summary"]
        for table in one.tables("train_manhattan"):
            for name, values in one.results("train_manhattan", table).items():
                np.testing.assert_array_equal(values, other.results("train_manhattan", table)[name])
        for name in (*CONDUCTANCES, "pulses"):
            np.testing.assert_array_equal(one.array(name), other.array(name))
        assert (one.pulses_given() > 0).any()


def _writer(path: Path, procedure: Procedure) -> RecordWriter:
    description = Description("linear", Geometry(rows=2, cols=2))
    return RecordWriter(path, RunHeader("run", procedure, 5, None, description, "emulated"))


@pytest.mark.parametrize("status", ["stopped", "failed"])
def test_record_of_a_run_that_did_not_complete_is_written_anew(
    tmp_path: Path,
    tiny_procedure: Callable[..., Procedure],
    monkeypatch: pytest.MonkeyPatch,
    status: str,
) -> None:
    path = tmp_path / "run.h5"
    writer = _writer(path, tiny_procedure())
    monkeypatch.setattr(writer, "_is_tight", lambda: True)  # even then
    before = path.stat().st_ino
    writer.finish(status, pulses=np.full((2, 2), 3))
    assert path.stat().st_ino != before
    with Record(path) as record:
        assert (record.status, record.attrs["status"]) == (status, status)


def test_pulses_of_a_record_that_has_not_ended_are_counted_from_its_operations(
    tmp_path: Path, tiny_procedure: Callable[..., Procedure]
) -> None:
    path = tmp_path / "run.h5"
    writer = _writer(path, tiny_procedure())
    writer.operation(PulseMap(np.ones((2, 2)), 1e-3), None, started_s=0.0, array_time_s=0.0)
    writer._file.close()  # as if it was killed
    with Record(path) as record:
        assert record.status == "interrupted"
        assert record.array("pulses") is None
        assert (record.pulses_given() == 1).all()


@pytest.mark.parametrize(
    ("used_bytes", "most_bytes"), [(1000, 1000), (10 * 2**20, 2 * 2**20), (2**30, 8 * 2**20)]
)
def test_record_with_more_unused_room_than_a_fifth_is_written_anew(
    tmp_path: Path,
    tiny_procedure: Callable[..., Procedure],
    monkeypatch: pytest.MonkeyPatch,
    used_bytes: int,
    most_bytes: int,
) -> None:
    # Of a small record as much as is used; of a huge one 8 MiB.
    writer = _writer(tmp_path / "run.h5", tiny_procedure())
    writer._maps.update(CONDUCTANCES)
    for unused, tight in ((most_bytes, True), (most_bytes + 1, False)):
        series = SimpleNamespace(
            rows=1, row_bytes=used_bytes, bytes=used_bytes + unused, can_end=True
        )
        monkeypatch.setattr(RecordWriter, "_all_series", lambda _, one=series: iter([one]))
        monkeypatch.setattr(RecordWriter, "_empty", lambda _: [])
        assert writer._is_tight() is tight
    writer._file.close()
