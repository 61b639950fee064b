"""Files that are read once by a process, and again when they have changed."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from hwloop.settings.kept_files import Kept, kept_arrays, kept_sha256


def counting(reads: list[Path], bound: int = 100) -> Kept[bytes]:
    def read(path: Path) -> bytes:
        reads.append(path)
        return path.read_bytes()

    return Kept(read, len, bound)


def written(path: Path, text: bytes) -> Path:
    path.write_bytes(text)
    return path


def test_a_file_is_read_once_until_it_changes(tmp_path: Path) -> None:
    reads: list[Path] = []
    kept, path = counting(reads), written(tmp_path / "a", b"one")
    assert [kept.get(path), kept.get(path)] == [b"one", b"one"]
    assert len(reads) == 1
    written(path, b"two")
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    assert kept.get(path) == b"two"
    assert len(reads) == 2


def test_the_longest_unused_file_goes_where_the_bound_is_met(tmp_path: Path) -> None:
    reads: list[Path] = []
    kept = counting(reads, bound=10)
    first, second, third = (written(tmp_path / name, name.encode() * 4) for name in "abc")
    for path in (first, second, first, third):
        kept.get(path)
    reads.clear()
    for path in (first, third, second):
        kept.get(path)
    assert reads == [second]


def test_a_file_beyond_the_bound_is_read_each_time(tmp_path: Path) -> None:
    reads: list[Path] = []
    kept, path = counting(reads, bound=2), written(tmp_path / "a", b"long")
    assert kept.get(path) == kept.get(path) == b"long"
    assert len(reads) == 2


def test_kept_arrays_cannot_be_written_to_and_have_the_digest_of_their_file(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=np.arange(3))
    with pytest.raises(ValueError, match="read-only"):
        kept_arrays(path)["x"][0] = 1.0
    first = kept_sha256(path)
    np.savez(path, x=np.arange(4))
    assert kept_arrays(path)["x"].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert kept_sha256(path) != first
