"""Data named by file: tables of columns, keys of several arrays, images with one pixel flipped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwloop.bulk_data import BulkFile, LabelledData
from hwloop.errors import ConfigError


@pytest.fixture
def table(tmp_path: Path) -> Path:
    file = tmp_path / "letters.csv"
    file.write_text("letter,label,p0,p1,p2\nA,0,1,0,1\nX,1,0,0,1\n", encoding="utf-8")
    return file


def test_columns_of_a_table_stand_side_by_side(table: Path) -> None:
    found = BulkFile.parse({"file": str(table), "key": "p?"}).array()
    np.testing.assert_array_equal(found, [[1, 0, 1], [0, 0, 1]])
    assert list(BulkFile.parse({"file": str(table)}).arrays()) == ["label", "p0", "p1", "p2"]


def test_a_key_that_names_nothing_is_answered_with_the_keys(table: Path) -> None:
    with pytest.raises(ConfigError, match="give one of its keys: label, p0, p1, p2"):
        BulkFile.parse({"file": str(table), "key": "q*"}).array()


def test_a_ragged_table_is_refused_with_its_line(table: Path) -> None:
    table.write_text("a,b\n1,2\n3\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="line 3 has 1 fields for 2 names"):
        BulkFile.parse({"file": str(table)}).array()


def test_copies_with_one_entry_flipped_keep_their_class(table: Path) -> None:
    data = {
        "inputs": {"file": str(table), "key": "p?"},
        "classes": {"file": str(table), "key": "label"},
        "one_flipped": True,
    }
    x, y = LabelledData.parse(data).load()
    np.testing.assert_array_equal(
        x, [[0, 0, 1], [1, 1, 1], [1, 0, 0], [1, 0, 1], [0, 1, 1], [0, 0, 0]]
    )
    np.testing.assert_array_equal(y, [0, 0, 0, 1, 1, 1])
    table.write_text("label,p0\n0,1\n1,0.5\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"entry \(1, 0\) is 0.5, neither 0 nor 1"):
        LabelledData.parse(data).load()
