"""When the bytes of a record are brought to the disk, which keeps them if the power fails."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from hwloop.record.file import RecordFile


class Disk:
    """Every file synced and every file replaced, in order, as ("sync" or "replace", its id)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[str, int]] = []
        fsync, replace, link = os.fsync, Path.replace, os.link

        def noted_fsync(descriptor: int) -> None:
            self.calls.append(("sync", os.fstat(descriptor).st_ino))
            fsync(descriptor)

        def noted_replace(path: Path, target: Path) -> Path:
            self.calls.append(("replace", path.stat().st_ino))
            return replace(path, target)

        def noted_link(source: Path, target: Path) -> None:
            self.calls.append(("link", Path(source).stat().st_ino))
            link(source, target)

        monkeypatch.setattr(os, "fsync", noted_fsync)
        monkeypatch.setattr(Path, "replace", noted_replace)
        monkeypatch.setattr(os, "link", noted_link)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def _begin(file: h5py.File) -> None:
    file.create_dataset("values", data=np.zeros(4))


def _add(file: RecordFile, name: str) -> None:
    with file.changing() as changed:
        changed.create_dataset(name, data=np.ones(3))


def test_new_file_is_on_the_disk_before_it_has_its_name(tmp_path: Path, disk: Disk) -> None:
    file = RecordFile(tmp_path / "run.h5", _begin)
    number = (tmp_path / "run.h5").stat().st_ino
    assert disk.calls == [("sync", number), ("link", number)]
    file.close()


def test_copy_waits_for_the_disk_only_once_there_are_rows_that_are_safe_there(
    tmp_path: Path, disk: Disk
) -> None:
    path = tmp_path / "run.h5"
    file = RecordFile(path, _begin)
    disk.calls.clear()
    _add(file, "first")
    assert disk.calls == [("replace", path.stat().st_ino)]
    disk.calls.clear()
    file.sync()
    assert disk.calls == [("sync", path.stat().st_ino)]
    disk.calls.clear()
    for name in ("second", "third"):
        _add(file, name)
    copied = disk.calls
    assert [call for call, _ in copied] == ["sync", "replace"] * 2
    assert copied[0][1] == copied[1][1] != copied[2][1] == copied[3][1] == path.stat().st_ino
    file.close()
    with h5py.File(path) as whole:
        assert sorted(whole) == ["first", "second", "third", "values"]


def test_change_within_a_change_is_one_change(tmp_path: Path, disk: Disk) -> None:
    file = RecordFile(tmp_path / "run.h5", _begin)
    disk.calls.clear()
    with file.changing():
        _add(file, "inside")
        assert file.changes == 0
    assert file.changes == 1
    assert [call for call, _ in disk.calls] == ["replace"]
    file.close()
