"""Tables written as any program might come out with their very numbers, or are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import table_fuzz
from hwloop.datasets.tables.data_file import DataFile


def test_tables_of_random_form_give_the_same_numbers_or_one_line(tmp_path: Path) -> None:
    found = [table_fuzz.outcome(seed, tmp_path) for seed in range(200)]
    assert found.count("same") > 100
    assert found.count("damaged") > 20


def test_a_wrong_number_a_lost_row_and_a_second_line_are_found(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("V,I\n1,2\n3,4\n")
    table = DataFile(path).table
    table_fuzz.assert_same(table, np.array([[1.0, 2.0], [3.0, 4.0]]), "")
    for wrong in ([[1.0, 2.0], [3.0, 4.1]], [[1.0, 2.0]], [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]):
        with pytest.raises(AssertionError):
            table_fuzz.assert_same(table, np.array(wrong), "")
    with pytest.raises(AssertionError):
        table_fuzz.refuse_lines(table_fuzz.ConfigError("one\ntwo"))
