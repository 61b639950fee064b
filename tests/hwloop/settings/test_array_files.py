"""One reader of arrays for every setting that names a file."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from hwloop.errors import ConfigError
from hwloop.settings.array_files import csv_lines, read_array, read_arrays

MAP = np.array([[1.0, 2.0], [3.0, 4.0]])


def test_every_format_gives_the_same_array(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", MAP)
    np.savez(tmp_path / "a.npz", map=MAP, other=np.zeros(3))
    np.savetxt(tmp_path / "a.csv", MAP, delimiter=",")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["inner/map"] = MAP
    for name, key in (("a.npy", None), ("a.npz", "map"), ("a.csv", None), ("a.h5", "inner/map")):
        assert np.array_equal(read_array(tmp_path / name, key), MAP), name


def test_only_the_wanted_array_is_read(tmp_path: Path) -> None:
    # An array of objects cannot be read without unpickling it, which is refused.
    np.savez(tmp_path / "a.npz", map=MAP, other=np.array([{}], dtype=object))
    assert np.array_equal(read_array(tmp_path / "a.npz", "map"), MAP)
    with pytest.raises(ConfigError, match=r"a\.npz: cannot be read as a NumPy file: .*pickle"):
        read_array(tmp_path / "a.npz", "other")


def test_an_empty_field_of_a_table_is_a_gap(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("left,right\n1,\n,\n3,4\n", encoding="utf-8")
    expected = [[1.0, np.nan], [np.nan, np.nan], [3.0, 4.0]]
    assert np.array_equal(read_array(tmp_path / "a.csv", None), expected, equal_nan=True)
    # By name, a column with a gap is no column of numbers.
    assert list(read_arrays(tmp_path / "a.csv")) == []


def test_blank_lines_count_but_hold_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2\n\n3,4\n", encoding="utf-8")
    assert csv_lines(tmp_path / "a.csv") == [(1, ["1", "2"]), (3, ["3", "4"])]


@pytest.mark.parametrize(
    ("name", "key", "message"),
    [
        ("a.npz", None, "give one of its keys: map, names"),
        ("a.npz", "mep", "give one of its keys: map, names"),
        ("a.npz", "names", "give one of its keys: map"),
        ("a.npy", "map", "an NPY file has no keys; leave 'map' out"),
        ("text.npy", None, "holds no numbers"),
        ("gone.h5", "map", "cannot be read as an HDF5 file"),
        ("a.xls", None, "expected a file ending in .npz"),
    ],
)
def test_an_array_that_is_not_there_is_refused_with_the_file(
    name: str, key: str | None, message: str, tmp_path: Path
) -> None:
    np.savez(tmp_path / "a.npz", map=MAP, names=np.array(["x", "y"]))
    np.save(tmp_path / "a.npy", MAP)
    np.save(tmp_path / "text.npy", np.array(["x"]))
    with pytest.raises(ConfigError) as refusal:
        read_array(tmp_path / name, key)
    assert str(refusal.value).startswith(f"{tmp_path / name}: {message}")
