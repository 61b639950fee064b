"""How often a record is brought to the disk while its run goes on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hwloop.array.geometry import Geometry
from hwloop.array.operations import Wait
from hwloop.backend.base import Description
from hwloop.procedure.procedure import Procedure
from hwloop.record import writer as record_writer
from hwloop.record.header import RunHeader
from hwloop.record.writer import RecordWriter


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
