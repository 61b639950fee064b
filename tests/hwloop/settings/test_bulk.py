"""Data named by file: tables of columns, keys of several arrays, images with one pixel flipped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwloop.errors import ConfigError
from hwloop.settings.bulk import BulkFile, LabelledData


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


def test_images_gain_a_channel_and_are_scaled_channel_by_channel(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    grey, colour = rng.random((5, 4, 3)), rng.random((5, 4, 3, 2))
    np.savez(tmp_path / "d.npz", grey=grey, colour=colour, y=np.arange(5))
    file = str(tmp_path / "d.npz")

    def load(key: str, **more: object) -> np.ndarray:
        data = {"inputs": {"file": file, "key": key}, "classes": {"file": file, "key": "y"}}
        return LabelledData.parse({**data, "flatten": False, **more}).load()[0]

    np.testing.assert_array_equal(load("grey"), grey[:, None])
    found = load("colour", channels_last=True, divide_by=2, mean=[0.1, 0.2], deviation=[0.5, 4.0])
    np.testing.assert_allclose(found[:, 1], (colour[..., 1] / 2 - 0.2) / 4)
    with pytest.raises(ConfigError, match=r"3 entries for samples of \(1, 4, 3\)"):
        load("grey", mean=[1, 2, 3])


def test_mnist_is_read_in_its_own_format(shared_data: Path) -> None:
    folder = shared_data / "mnist"
    data = {
        "inputs": str(folder / "t10k-images-idx3-ubyte.gz"),
        "classes": str(folder / "t10k-labels-idx1-ubyte.gz"),
        "divide_by": 255,
        "flatten": False,
    }
    x, y = LabelledData.parse(data).load()
    assert x.shape == (10_000, 1, 28, 28)
    assert x.max() == 1.0
    # Published counts of the ten digits in the test set.
    counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    np.testing.assert_array_equal(np.bincount(y.astype(int)), counts)


@pytest.mark.parametrize("shape", [(0, 7), (4, 0), (0,), ()])
def test_samples_without_an_entry_are_refused_with_their_shape(
    shape: tuple[int, ...], tmp_path: Path
) -> None:
    file = tmp_path / "samples.npz"
    np.savez(file, x=np.zeros(shape), y=np.zeros(shape[:1]))
    data = {"inputs": {"file": str(file), "key": "x"}, "classes": {"file": str(file), "key": "y"}}
    with pytest.raises(ConfigError) as refusal:
        LabelledData.parse(data).load()
    assert f"has shape {shape}: it holds no samples" in str(refusal.value)
