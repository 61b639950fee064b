"""The file of a record on a disk that loses power, is full or broken, or that others work on."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwloop import disk as disk_module
from hwloop.errors import RecordError
from hwloop.record.storage.file import RecordFile
from hwloop.record.storage.replacing import copy_of_open


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


class Held:
    """A record's file with a counter that is written in place, as that of a run."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.path = folder / "run.h5"
        self.file = RecordFile(self.path, _begin_counter, holds=lambda: "all before is safe in it")
        self.count(1)

    def count(self, number: int) -> None:
        place = self.file.file["counter"].id.get_offset()
        self.file.write([(place, np.array([number]).data)])

    def add(self) -> None:
        _add(self.file, "more")


def _begin_counter(file: h5py.File) -> None:
    file.create_dataset("counter", data=np.zeros(1, np.int64))


def _counter(path: Path) -> int:
    with h5py.File(path, locking=False) as file:
        return int(file["counter"][0])


@pytest.fixture
def held(tmp_path: Path) -> Held:
    return Held(tmp_path / "runs")


def _delete(path: Path) -> None:
    path.unlink()


def _move(path: Path) -> None:
    path.rename(path.with_name("elsewhere.h5"))


def _move_the_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


def _delete_the_folder(path: Path) -> None:
    shutil.rmtree(path.parent)


def _replace_by_a_copy(path: Path) -> None:
    shutil.copy(path, path.with_name("copy"))
    path.with_name("copy").rename(path)


def _replace_by_a_link_to_a_copy(path: Path) -> None:
    path.rename(path.with_name("moved.h5"))
    shutil.copy(path.with_name("moved.h5"), path.with_name("copy"))
    path.symlink_to(path.with_name("copy"))


def _replace_by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


TAKEN_AWAY = {
    _delete: "was deleted or moved",
    _move: "was deleted or moved",
    _move_the_folder: "was deleted or moved",
    _delete_the_folder: "was deleted or moved",
    _replace_by_a_copy: "was replaced by another file",
    _replace_by_a_link_to_a_copy: "was replaced by another file",
    _replace_by_a_folder: "was replaced by another file",
}


@pytest.mark.skipif(os.name == "nt", reason="POSIX: Windows leaves an open file its name")
@pytest.mark.parametrize("how", TAKEN_AWAY, ids=lambda how: how.__name__)
@pytest.mark.parametrize("then", ["sync", "add"])
def test_file_that_is_taken_away_is_kept_under_another_name_and_the_run_refused(
    how: Callable[[Path], None], then: str, held: Held
) -> None:
    held.count(5)
    how(held.path)
    there = held.path.read_bytes() if held.path.is_file() else None
    kept = held.path.with_name("run.kept1.h5")
    act = held.file.sync if then == "sync" else held.add
    with pytest.raises(RecordError) as raised:
        act()
    assert str(raised.value) == (
        f"{held.path}: {TAKEN_AWAY[how]} while the run was in progress; what was recorded until"
        f" then is in {kept}"
    )
    assert held.file.path == kept
    assert _counter(kept) == 5
    held.count(6)  # such as the log of why the run ended
    held.add()
    held.file.close()
    assert _counter(kept) == 6
    if there is not None:
        assert held.path.read_bytes() == there
    assert not [path for path in kept.parent.iterdir() if path.name.endswith(".new")]


@pytest.mark.skipif(os.name == "nt", reason="POSIX: Windows leaves an open file its name")
@pytest.mark.parametrize("how", [_delete, _replace_by_a_copy, _delete_the_folder])
def test_row_after_the_file_has_lost_its_name_is_refused_at_once(
    how: Callable[[Path], None], held: Held
) -> None:
    how(held.path)
    with pytest.raises(RecordError, match=r"what was recorded until then is in .*run\.kept1\.h5"):
        held.count(7)
    assert _counter(held.file.path) == 1
    held.file.close()


def test_file_under_two_names_is_the_same_file(held: Held) -> None:
    os.link(held.path, held.path.with_name("second.h5"))
    held.path.rename(held.path.with_name("third.h5"))
    held.path.with_name("second.h5").rename(held.path)
    held.add()
    held.file.sync()
    held.count(3)
    held.file.close()
    assert _counter(held.path) == 3


def _cut(path: Path) -> None:
    os.truncate(path, 100)


def _overwrite_by_an_older_copy(path: Path) -> None:
    path.write_bytes(path.with_name("older.h5").read_bytes())


@pytest.mark.parametrize("then", ["sync", "add"])
@pytest.mark.parametrize(
    ("how", "fate"),
    [(_cut, "was cut from .* to 100 bytes"), (_overwrite_by_an_older_copy, "was overwritten")],
)
def test_file_whose_content_others_have_changed_is_refused_and_not_made_whole_with_zeros(
    how: Callable[[Path], None], fate: str, then: str, held: Held
) -> None:
    shutil.copy(held.path, held.path.with_name("older.h5"))
    held.count(9)
    how(held.path)
    left = held.path.read_bytes()
    with pytest.raises(RecordError, match=fate + " by another program.*what it held is lost"):
        held.file.sync() if then == "sync" else held.add()
    if how is _cut:
        with pytest.raises(RecordError, match=fate):
            held.count(10)
        assert held.path.read_bytes() == left
    held.file.close()


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_disk_that_fails_at_any_write_of_a_change_leaves_the_file_as_it_was(
    code: int, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, whole = held.path.read_bytes(), disk_module._pwrite
    for at in itertools.count():
        calls = itertools.count()

        def pwrite(
            descriptor: int,
            values: bytes | memoryview,
            offset: int,
            *,
            at: int = at,
            calls: Iterator[int] = calls,
        ) -> int:
            if next(calls) >= at:
                raise OSError(code, os.strerror(code))
            return whole(descriptor, values, offset)

        monkeypatch.setattr(disk_module, "_pwrite", pwrite)
        message = ""
        try:
            held.add()
        except RecordError as exc:
            message = str(exc)
        if not message:
            break
        assert message == (
            f"{held.path}: cannot be written: [Errno {code}] {os.strerror(code)}; all before is"
            " safe in it"
        )
        assert held.path.read_bytes() == before
        assert [path.name for path in held.path.parent.iterdir()] == ["run.h5"]
    assert at > 3
    monkeypatch.undo()
    held.count(2)
    held.file.close()
    with h5py.File(held.path) as file:
        assert sorted(file) == ["counter", "more"]
        assert file["counter"][0] == 2


@given(
    size=st.integers(0, 3000),
    unused=st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 900)), max_size=4),
    room=st.integers(0, 5000),
)
def test_copy_has_all_bytes_but_those_of_parts_that_are_unused(
    tmp_path_factory: pytest.TempPathFactory,
    size: int,
    unused: list[tuple[int, int]],
    room: int,
) -> None:
    folder = tmp_path_factory.mktemp("copy")
    given_bytes = np.random.default_rng(size).integers(1, 256, size, dtype=np.uint8).tobytes()
    (folder / "a").write_bytes(given_bytes)
    parts = [(begin, begin + length) for begin, length in unused]
    with (folder / "a").open("rb") as stream:
        copy_of_open(stream.fileno(), folder / "b", room, unused=parts)
    copied = (folder / "b").read_bytes()
    assert len(copied) >= size
    left_out = {index for begin, end in parts for index in range(begin, end)}
    for index, value in enumerate(given_bytes):
        assert copied[index] in ({value, 0} if index in left_out else {value})
