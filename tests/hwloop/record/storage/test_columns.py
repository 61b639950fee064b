"""Columns have room for whole rows, and what is not used of it is NaN."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from hwloop.disk import hdf5_file
from hwloop.record.storage import columns
from hwloop.record.storage.columns import make_columns, resize_column


@pytest.mark.parametrize("rows", [5, 7, 11])
def test_columns_whose_room_does_not_end_with_a_chunk_grow_and_their_tail_is_nan(
    tmp_path: Path, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = {"map": np.zeros((200, 300))}  # 3 or 2 rows a chunk
    monkeypatch.setattr(columns, "_FIRST_ROWS", rows)
    path = tmp_path / "grown.h5"
    with hdf5_file(path, "w") as file:
        file.create_group("recorder")
        make_columns(file, "results/step", first, {})
        file["results/step/map"][:rows] = 7.0
    with hdf5_file(path, "r+") as file:
        there = len(file["results/step/map"])
        resize_column(file, "results/step/map", 2 * there)
    with h5py.File(path) as file:
        column = file["results/step/map"]
        assert len(column) == 2 * there >= 2 * rows
        assert (column[:rows] == 7.0).all()
        assert np.isnan(column[rows:]).all()
