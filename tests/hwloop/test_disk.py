"""HDF5 files on a disk that fails: the error comes as it is, and the process lives on."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from hwloop import disk
from hwloop.disk import hdf5_file

CODES = [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS]


def _fill(file: h5py.File) -> None:
    for number in range(6):
        column = file.create_dataset(
            f"group{number % 2}/column{number}", (4, 100), "f8", maxshape=(None, 100)
        )
        column[:] = number
        column.attrs["units"] = "S"
    file.attrs["text"] = "a text"


class Failing:
    """``os.pwrite`` that fails at a call and from then on."""

    def __init__(self, at: int, code: int) -> None:
        self.at, self.code, self.calls = at, code, 0
        self.whole = disk._pwrite

    def __call__(self, descriptor: int, values: bytes | memoryview, offset: int) -> int:
        self.calls += 1
        if self.calls >= self.at:
            raise OSError(self.code, os.strerror(self.code))
        return self.whole(descriptor, values, offset)


def test_file_holds_what_was_put_into_it(tmp_path: Path) -> None:
    with hdf5_file(tmp_path / "a.h5", "x", durable=True) as file:
        _fill(file)
    with hdf5_file(tmp_path / "a.h5", "r+") as file:
        file["group0/column0"].resize((6, 100))
        file["group0/column0"][4:] = 7.0
    with hdf5_file(tmp_path / "a.h5", "r") as file:
        np.testing.assert_array_equal(file["group0/column0"][:, 0], [0, 0, 0, 0, 7, 7])
    with h5py.File(tmp_path / "a.h5") as file:
        assert [float(file[f"group{n % 2}/column{n}"][3, 99]) for n in range(6)] == [
            0,
            1,
            2,
            3,
            4,
            5,
        ]
        assert file.attrs["text"] == "a text"


def test_neighbouring_small_writes_reach_the_system_together_and_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Failing(sys.maxsize, errno.EIO)
    monkeypatch.setattr(disk, "_pwrite", counted)
    pieces = [bytes([number]) * (number + 1) for number in range(9)]
    with (tmp_path / "a").open("w+b", buffering=0) as stream:
        through = disk._Through(stream)
        for piece in pieces:
            through.write(piece)
        assert (counted.calls, through.seek(0, os.SEEK_END)) == (0, 45)
        through.seek(45 + 3)  # not a neighbour
        through.write(b"end")
        assert counted.calls == 1
        found = bytearray(51)
        through.seek(0)
        through.readinto(found)
        assert (counted.calls, bytes(found)) == (2, b"".join(pieces) + b"\0\0\0end")
        through.seek(1)
        through.write(b"small")
        through.write(bytes(disk._COLLECTED_BYTES + 1))  # in order, though it is not collected
        assert counted.calls == 4
    assert (tmp_path / "a").read_bytes() == b"\0small" + bytes(disk._COLLECTED_BYTES + 1)


def test_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_text("of value")
    with pytest.raises(FileExistsError), hdf5_file(tmp_path / "a.h5", "x"):
        pytest.fail("it was opened")
    assert (tmp_path / "a.h5").read_text() == "of value"


@pytest.mark.parametrize("code", CODES, ids=errno.errorcode.get)
def test_error_of_the_disk_at_any_write_is_raised_as_it_is(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Failing(sys.maxsize, code)
    monkeypatch.setattr(disk, "_pwrite", counted)
    with hdf5_file(tmp_path / "whole.h5", "x") as file:
        _fill(file)
    assert counted.calls > 10
    for at in range(1, counted.calls + 1):
        monkeypatch.setattr(disk, "_pwrite", Failing(at, code))
        with (
            pytest.raises(OSError, match=os.strerror(code)) as raised,
            hdf5_file(tmp_path / f"{at}.h5", "x") as file,
        ):
            _fill(file)
        assert raised.value.errno == code


def test_error_of_reading_is_raised_as_it_is_whatever_hdf5_makes_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hdf5_file(tmp_path / "a.h5", "x") as file:
        _fill(file)

    def broken(*_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(disk, "_some_into", broken)
    with pytest.raises(OSError, match="Input/output error"), hdf5_file(tmp_path / "a.h5", "r"):
        pytest.fail("it was opened")


def test_a_file_that_ends_before_what_is_read_is_an_error_that_says_where(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(range(10)))
    found = bytearray(4)
    with (tmp_path / "a").open("rb", buffering=0) as stream:
        disk.read_into(stream, 5, memoryview(found))
        assert found == bytes([5, 6, 7, 8])
        with pytest.raises(OSError, match="the file ends at 10 bytes"):
            disk.read_into(stream, 8, memoryview(found))


_READING_CHILD = """
import os, sys
from pathlib import Path
from hwloop import disk

with disk.hdf5_file(Path(sys.argv[1]), "x") as file:
    file.create_dataset("x", data=[1.0] * 10000)
calls, whole = 0, disk._some_into
def some_into(*args):
    global calls
    calls += 1
    if calls > int(sys.argv[2]):
        raise OSError(5, os.strerror(5))
    return whole(*args)
disk._some_into = some_into
try:
    with disk.hdf5_file(Path(sys.argv[1]), "r+") as file:
        file["x"].attrs["units"] = "S"
except OSError as exc:
    sys.exit(f"{exc}")
"""


@pytest.mark.parametrize("at", [0, 2, 6])
def test_process_whose_disk_cannot_be_read_ends_in_order(at: int, tmp_path: Path) -> None:
    command = [sys.executable, "-c", _READING_CHILD, str(tmp_path / "a.h5"), str(at)]
    child = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (child.returncode, child.stderr) == (1, "[Errno 5] Input/output error\n")


_CHILD = """
import os, sys
from pathlib import Path
from hwloop import disk
from hwloop.datasets.files import write_complete
from hwloop.errors import RecordError

calls, whole = 0, disk._pwrite
def pwrite(*args):
    global calls
    calls += 1
    if calls >= int(sys.argv[2]):
        raise OSError(28, os.strerror(28))
    return whole(*args)
disk._pwrite = pwrite
try:
    write_complete(Path(sys.argv[1]), lambda file: file.create_dataset("x", data=[1.0] * 10000))
except RecordError as exc:
    sys.exit(f"{exc}")
"""


@pytest.mark.parametrize("at", [1, 2, 4])
def test_process_whose_disk_is_full_ends_in_order(at: int, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    command = [sys.executable, "-c", _CHILD, str(path), str(at)]
    child = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (child.returncode, child.stderr) == (
        1,
        f"{path}: cannot be written: No space left on device\n",
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("room", [1, 10**5, 10**7])
def test_room_that_is_set_aside_is_given_back_where_the_file_came_out_smaller(
    room: int, tmp_path: Path
) -> None:
    for name, aside in (("a.h5", 0), ("b.h5", room)):
        with hdf5_file(tmp_path / name, "w", room=aside) as file:
            file.create_dataset("x", data=np.arange(3000.0), track_times=False)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_disk_without_room_shows_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with (
        pytest.raises(OSError, match="No space left on device"),
        hdf5_file(tmp_path / "a.h5", "w", room=10**6),
    ):
        raise AssertionError("the block is not entered")


def test_index_of_many_chunks_is_not_kept_in_memory_whole(tmp_path: Path) -> None:
    rows = 10_000
    with hdf5_file(tmp_path / "a.h5", "w") as file:
        for number in range(3):  # their index takes 960 kB
            file.create_dataset(f"c{number}", (rows,), "u1", chunks=(1,), fillvalue=0)
            file[f"c{number}"][:] = 1
    with hdf5_file(tmp_path / "a.h5", "r") as file:
        for number in range(3):
            assert file[f"c{number}"].id.get_chunk_info_by_coord((rows - 1,)).size == 1
        _, _, kept_bytes, _ = file.id.get_mdc_size()
    assert 1e5 < kept_bytes < 3e5
