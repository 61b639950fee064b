"""A replay is compared with its record row by row, and to the last bit."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from hwloop.errors import ReplayMismatch
from hwloop.execution.reproduce import reproduce
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import load_procedure
from hwloop.record.reader import Record

FILE = Path(__file__).parents[3] / "procedures" / "manhattan_4x4.yaml"
TABLE = "results/train_manhattan"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "whole.h5"
    run_procedure(load_procedure(FILE), RunOptions("sim", path))
    return path


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(whole, tmp_path / "copy.h5"))


def _a_float_column(file: h5py.File) -> str:
    found: str = next(
        name
        for name, item in file[TABLE].items()
        if isinstance(item, h5py.Dataset) and item.dtype.kind == "f"
    )
    return found


def test_replay_of_a_whole_record_has_its_operations_and_rows(copy: Path) -> None:
    same = reproduce(copy)
    with Record(copy) as record:
        assert same.operations == len(record)
        tables = [
            record.results("train_manhattan", name) for name in record.tables("train_manhattan")
        ]
    assert same.rows == sum(len(next(iter(columns.values()))) for columns in tables)
    assert same.complete


def test_replay_leaves_no_file_and_changes_none(copy: Path) -> None:
    before = copy.read_bytes()
    reproduce(copy)
    assert list(copy.parent.iterdir()) == [copy]
    assert copy.read_bytes() == before


@pytest.mark.parametrize("row", [0, 5, -1])
def test_one_bit_of_one_value_of_a_row_is_named(copy: Path, row: int) -> None:
    with h5py.File(copy, "r+") as file:
        name = _a_float_column(file)
        column = file[f"{TABLE}/{name}"]
        row = range(len(column))[row]
        values = np.array(column[row])
        values.reshape(-1).view(np.uint64)[-1] ^= np.uint64(1)
        column[row] = values
    with pytest.raises(ReplayMismatch, match=rf"{TABLE}/{name}: row {row} differs"):
        reproduce(copy)


def test_row_that_only_the_run_or_only_the_record_has_is_a_mismatch(copy: Path) -> None:
    counter = f"recorder/{TABLE.replace('/', '.')}"
    with h5py.File(copy, "r+") as file:
        rows = int(file[counter][0])
        file[counter][0] = rows - 1
    with pytest.raises(ReplayMismatch, match=f"{TABLE}: {rows} rows, in the record {rows - 1}"):
        reproduce(copy)


def test_column_of_another_name_or_shape_is_a_mismatch(copy: Path) -> None:
    with h5py.File(copy, "r+") as file:
        group, name = file[TABLE], _a_float_column(file)
        counter = file[f"recorder/{TABLE.replace('/', '.')}"]
        group.move(name, "other")
        counter.attrs["columns"] = ["other" if c == name else c for c in counter.attrs["columns"]]
    with pytest.raises(ReplayMismatch, match=f"{TABLE}: the columns differ"):
        reproduce(copy)
