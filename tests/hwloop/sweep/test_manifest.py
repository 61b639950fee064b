"""The files of a sweep on a disk that is full."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from hwloop.errors import RecordError
from hwloop.sweep import manifest as sweep_manifest
from hwloop.sweep.manifest import Manifest, read_manifest, write_manifest
from hwloop.sweep.table import write_csv


def _manifest(backend: str) -> Manifest:
    return Manifest(
        hwloop_version="1",
        procedure="p.yaml",
        procedure_sha256="0",
        folder="sweep",
        backend=backend,
        population=None,
        over=("seed=1:2",),
        overrides=(),
        points=("a", "b"),
        failed={},
    )


def test_manifest_that_the_disk_does_not_take_leaves_the_former_one_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_manifest(_manifest("sim"), tmp_path)

    def full(path: Path, *_: object, **__: object) -> None:
        path.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(RecordError) as raised:
        write_manifest(_manifest("bench"), tmp_path)
    path = tmp_path / sweep_manifest.MANIFEST
    assert str(raised.value) == f"{path}: cannot be written: No space left on device"
    assert raised.value.exit_code == 7
    assert read_manifest(tmp_path).backend == "sim"
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_table_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "sweep.csv"
    with pytest.raises(RecordError, match=r"sweep\.csv: cannot be written: No such file"):
        write_csv([], path)
