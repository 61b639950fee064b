"""The disk begins to take what is written while the run goes on."""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from hwloop.record.storage import write_back
from hwloop.record.storage.file import RecordFile
from hwloop.record.storage.write_back import WriteBack

MB = 2**20
CACHESTAT = 451  # the number of this call of Linux, from 6.5 on, on every processor
PATIENCE_S = 10.0  # Linux by itself begins after 30 s


class Asked:
    """Requests to begin with a file, (descriptor, offset, bytes, flags)."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, int, int, int]] = []

    def __call__(self, descriptor: int, offset: int, size: int, flags: int) -> int:
        self.calls.append((descriptor, offset, size, flags))
        return -1


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    found = Asked()
    monkeypatch.setattr(write_back, "_sync_file_range", lambda: found)
    return found


def test_disk_is_asked_once_for_every_four_megabytes_of_the_whole_file(asked: Asked) -> None:
    counted = WriteBack(7)
    for size in (3 * MB, MB - 1, 1, 9 * MB, 2 * MB):
        counted.wrote(size)
    assert asked.calls == [(7, 0, 0, 2)] * 2


def test_rows_that_are_written_in_place_and_a_record_that_is_written_anew_are_begun_with(
    tmp_path: Path, asked: Asked
) -> None:
    file = RecordFile(tmp_path / "run.h5", _begin)
    place = file.file["values"].id.get_offset()
    half = np.ones(3 * MB // 8).data
    file.write([(place, half), (place + half.nbytes, half)])
    (in_place,) = asked.calls
    with file.rewriting(room=8 * MB) as (_, packed, copy):
        packed.create_dataset("values", data=np.zeros(2))
        to = packed["values"].id.get_offset()
        copy(place, to + 4096, 5 * MB)
    anew = asked.calls[1:]
    assert [one[1:] for one in anew] == [(0, 0, 2)]
    assert anew[0][0] != in_place[0]
    file.close()


def _begin(file: h5py.File) -> None:
    file.create_dataset("values", data=np.zeros(6 * MB // 8))


@pytest.fixture
def begun_anew() -> Iterator[None]:
    write_back._sync_file_range.cache_clear()
    yield
    write_back._sync_file_range.cache_clear()


@pytest.mark.usefixtures("begun_anew")
def test_system_without_the_request_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    WriteBack(-1).wrote(8 * MB)
    assert write_back._sync_file_range() is None


@pytest.mark.usefixtures("begun_anew")
def test_library_without_the_request_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    WriteBack(-1).wrote(8 * MB)
    assert write_back._sync_file_range() is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a call of Linux tells it")
def test_pages_are_on_the_disk_soon_though_nobody_waits_for_them(tmp_path: Path) -> None:
    with (tmp_path / "rows").open("w+b", buffering=0) as stream:
        stream.write(bytes(MB))
        unwritten = _unwritten_pages(stream.fileno())
        if not unwritten:
            pytest.skip("this kernel does not tell, or the folder is not on a disk")
        WriteBack(stream.fileno()).wrote(4 * MB)
        give_up = time.monotonic() + PATIENCE_S
        while unwritten and time.monotonic() < give_up:
            time.sleep(0.005)
            unwritten = _unwritten_pages(stream.fileno())
    assert not unwritten


def _unwritten_pages(descriptor: int) -> int:
    """Return the pages of a file that the disk does not have; 0 where the kernel does not tell."""
    whole, found = (ctypes.c_uint64 * 2)(0, 0), (ctypes.c_uint64 * 5)()
    status = ctypes.CDLL(None).syscall(CACHESTAT, descriptor, whole, found, 0)
    _, dirty, being_written, *_ = found
    return 0 if status else int(dirty + being_written)
