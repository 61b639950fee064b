"""Columns have room for whole rows, and what is not used of it is NaN."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from hwloop.disk import hdf5_file
from hwloop.record.columns import make_columns, resize_column


@pytest.mark.parametrize("planned", [5, 7, 11])
def test_columns_whose_room_does_not_end_with_a_chunk_grow_and_their_tail_is_nan(
    tmp_path: Path, planned: int
) -> None:
    first = {"map": np.zeros((200, 300))}  # 3 or 2 rows a chunk
    path = tmp_path / "grown.h5"
    with hdf5_file(path, "w") as file:
        file.create_group("recorder")
        make_columns(file, "results/step", first, {}, planned=planned)
        file["results/step/map"][:planned] = 7.0
    with hdf5_file(path, "r+") as file:
        rows = len(file["results/step/map"])
        resize_column(file, "results/step/map", 2 * rows)
    with h5py.File(path) as file:
        column = file["results/step/map"]
        assert len(column) == 2 * rows >= 2 * planned
        assert (column[:planned] == 7.0).all()
        assert np.isnan(column[planned:]).all()
