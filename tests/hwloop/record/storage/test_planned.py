"""Series that are planned before a run: where they stand, what a kill leaves, how they grow."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from hwloop import disk
from hwloop.disk import Placed
from hwloop.errors import RecordError
from hwloop.record.storage import planned as planned_places
from hwloop.record.storage.columns import counter_path
from hwloop.record.storage.file import RecordFile
from hwloop.record.storage.planned import Layout
from hwloop.record.storage.series import Series, write_rows

ABOUT = {"map_s": {"units": "S", "meaning": "a map"}, "note": {"units": "1"}}
SHAPE = (30, 70)  # 16,800 bytes: a column of its own


def _row(number: int) -> dict[str, Any]:
    values = np.random.default_rng(number)
    return {
        "number": number,
        "map_s": values.normal(size=SHAPE),
        "volts": np.float64(values.normal()),
        "flags": values.integers(0, 255, SHAPE, np.uint8),
        "nothing": np.empty((0, 3)),
    }


def _note(number: int) -> str:
    return "µ" * 50**number if number < 3 else "x" * number


class Planned:
    """A record's file with planned series: rows of maps and numbers, of texts, of one number."""

    def __init__(self, path: Path, planned: int) -> None:
        self.path, layout = path, Layout()

        def begin(file: h5py.File) -> None:
            file.create_group("recorder")
            file.create_group("array")
            layout.add(file, "count", {"table": 0}, {}, planned=200)
            layout.add(file, "maps", _row(0), ABOUT, planned=planned)
            layout.add(file, "texts", {"note": "a"}, ABOUT, planned=planned)
            layout.add_map(file, "array/state", np.dtype(float), SHAPE, {"units": "S"})

        self.file = RecordFile(path, begin, lay_out=layout.lay_out)
        self.series = {name: Series(self.file, name, layout) for name in ("count", "maps", "texts")}

    def write(self, *names: str) -> None:
        """Write the next row of each of these series."""
        rows = [(self.series[name], self._next(name), dict) for name in names]
        write_rows(rows, self.series.values())

    def _next(self, name: str) -> dict[str, Any]:
        number = self.series[name].rows
        return {
            "count": {"table": number},
            "maps": _row(number),
            "texts": {"note": _note(number)},
        }[name]


@pytest.fixture
def planned(tmp_path: Path) -> Iterator[Planned]:
    record = Planned(tmp_path / "run.h5", 5)
    yield record
    record.file.close()


def _assert_whole(path: Path, rows: dict[str, int], parted: Collection[str] = ()) -> None:
    """HDF5 reads the whole file, with these counted rows and filler behind them."""
    copy = shutil.copy(path, path.with_name("copy.h5"))  # of an open one HDF5 has read a part
    with h5py.File(copy) as file:
        with h5py.File("copies", "w", driver="core", backing_store=False) as copies:
            for name in ("maps", "texts", "array"):  # HDF5 refuses a size that is not of the rows
                if name not in parted:
                    file.copy(name, copies)
        for name, count in rows.items():
            assert file[counter_path(name)][0] == count
        columns = {name: file["maps"][name][()] for name in _row(0)}
        for number in range(rows["maps"]):
            for name, value in _row(number).items():
                np.testing.assert_array_equal(columns[name][number], value)
        for name in ("map_s", "volts"):
            assert np.isnan(columns[name][rows["maps"] + 1 :]).all()
        notes = [_note(number).encode() for number in range(rows["texts"])]
        assert file["texts/note"][: rows["texts"]].tolist() == notes
        assert file["count/table"][: rows["count"]].tolist() == list(range(rows["count"]))
        assert file["maps/map_s"].attrs["units"] == file["array/state"].attrs["units"] == "S"
        assert file["array/state"].shape == SHAPE
        assert np.isnan(file["array/state"][()]).all()


def test_planned_file_has_no_rows_and_those_of_a_row_are_a_few_writes(
    planned: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    _assert_whole(planned.path, {"count": 0, "maps": 0, "texts": 0})
    with h5py.File(planned.path, locking=False) as file:
        assert (len(file["maps/map_s"]), len(file["maps/volts"])) == (0, 5)
    places: list[Placed] = []
    monkeypatch.setattr(planned.file, "write", places.extend)
    planned.write("maps", "count")
    # The map, its header, all that is narrow, the table; both counters at last.
    assert len(places) == 5
    assert places[-1][1].nbytes <= 3 * 8
    size = planned.path.stat().st_size
    assert all(0 < at < at + values.nbytes <= size for at, values in places)


def test_columns_that_outgrow_their_places_grow_and_their_tail_is_nan(planned: Planned) -> None:
    for number in range(1, 24):
        planned.write("maps", "count")
        if number % 3 == 0:
            planned.write("texts")
        if number in {5, 6, 7, 11, 23}:
            rows = {"count": number, "maps": number, "texts": number // 3}
            _assert_whole(planned.path, rows)


def test_text_that_is_wider_than_planned_is_whole_beside_those_before(planned: Planned) -> None:
    for _ in range(5):
        planned.write("texts")
    planned.write("maps")
    _assert_whole(planned.path, {"count": 0, "maps": 1, "texts": 5})


@pytest.mark.parametrize("page_bytes", [16, 4096])
def test_kill_between_any_two_pages_of_a_write_leaves_a_file_that_hdf5_reads(
    tmp_path: Path, page_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Pages of 16 bytes part headers and counters that pages of today do not.
    monkeypatch.setattr(planned_places, "_PAGE_BYTES", page_bytes)
    record = Planned(tmp_path / "run.h5", 5)
    places: list[Placed] = []
    monkeypatch.setattr(record.file, "write", places.extend)
    content, killed, states = bytearray(record.path.read_bytes()), tmp_path / "killed.h5", 0
    rows, parted = {"count": 0, "maps": 0, "texts": 0}, {"maps", "texts"} if page_bytes < 64 else ()
    for names in (("maps", "count"), ("texts",)):
        places.clear()
        record.write(*names)
        for at, values in places:
            written, done = values.tobytes(), 0
            while done < len(written):
                end = min(done + page_bytes - (at + done) % page_bytes, len(written))
                changes = content[at + done : at + end] != written[done:end]
                content[at + done : at + end] = written[done:end]
                done = end
                if changes and (len(written) < 4096 or done % 4096 == 0) and at != places[-1][0]:
                    killed.write_bytes(content)
                    _assert_whole(killed, rows, parted)
                    states += 1
        rows |= {name: rows[name] + 1 for name in names}
        killed.write_bytes(content)
        _assert_whole(killed, rows, parted)
    record.file.close()
    assert states > 3


def test_counter_of_a_row_that_the_disk_did_not_take_is_not_written_with_its_neighbours(
    planned: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned.write("count", "maps", "texts")
    whole, calls = disk._pwrite, 0

    def fails_late(descriptor: int, values: bytes | memoryview, offset: int) -> int:
        nonlocal calls
        calls += 1
        if calls > 3:  # the last is that of the counters
            raise OSError(errno.EIO, "broken")
        return whole(descriptor, values, offset)

    monkeypatch.setattr(disk, "_pwrite", fails_late)
    with pytest.raises(RecordError, match=r"cannot be written: .*broken"):
        planned.write("maps")
    monkeypatch.undo()
    planned.write("count", "texts")  # on either side
    _assert_whole(planned.path, {"count": 2, "maps": 1, "texts": 2})
    planned.write("maps")
    _assert_whole(planned.path, {"count": 2, "maps": 2, "texts": 2})


def test_change_that_fails_leaves_the_planned_columns_in_their_places(
    planned: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        planned.write("maps", "count")

    def refuses(*_: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(disk, "_pwrite", refuses)
    with pytest.raises(RecordError, match=r"cannot be written: .*full"):
        planned.write("maps", "count")
    monkeypatch.undo()
    planned.write("texts")
    planned.write("maps")
    planned.write("count")
    _assert_whole(planned.path, {"count": 6, "maps": 6, "texts": 1})
