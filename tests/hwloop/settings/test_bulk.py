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


def _saved(tmp_path: Path, **more: object) -> dict[str, object]:
    """Settings of four samples with the classes 0 to 3."""
    np.savez(
        tmp_path / "d.npz", x=np.eye(4), y=np.arange(4), half=[0, 1, 1.5, 2], less=[0, 1, -1, 2]
    )
    file = str(tmp_path / "d.npz")
    return {"inputs": {"file": file, "key": "x"}, "classes": {"file": file, "key": "y"}, **more}


@pytest.mark.parametrize(
    ("key", "words"),
    [("half", r"entry \(2,\) is 1\.5; classes are 0, 1, …"), ("less", r"entry \(2,\) is -1;")],
)
def test_a_class_that_is_none_is_refused_with_file_and_place(
    key: str, words: str, tmp_path: Path
) -> None:
    data = _saved(tmp_path)
    data["classes"] = {"file": str(tmp_path / "d.npz"), "key": key}
    with pytest.raises(ConfigError, match=rf"^data\.classes: .*d\.npz: {words}"):
        LabelledData.parse(data).load()


@pytest.mark.parametrize(
    ("setting", "value"), [("divide_by", 0), ("divide_by", -1), ("first", 0), ("first", -1)]
)
def test_a_setting_that_would_break_or_drop_samples_is_refused(
    setting: str, value: int, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=setting):
        LabelledData.parse(_saved(tmp_path, **{setting: value}))


def test_more_samples_than_there_are_is_refused_with_both_numbers(tmp_path: Path) -> None:
    assert len(LabelledData.parse(_saved(tmp_path, first=4)).load()[0]) == 4
    with pytest.raises(ConfigError, match=r"^test\.first: 5: .*d\.npz has 4 samples"):
        LabelledData.parse(_saved(tmp_path, first=5)).load("test")


def test_a_file_that_cannot_be_read_and_a_key_that_is_absent_are_named(tmp_path: Path) -> None:
    data = _saved(tmp_path)
    data["inputs"] = {"file": str(tmp_path / "d.npz"), "key": "z"}
    with pytest.raises(ConfigError) as absent:
        LabelledData.parse(data).load()
    assert str(absent.value.below("steps.2", file="p.yaml")) == (
        f"p.yaml: steps.2.data.inputs: {tmp_path / 'd.npz'}: there is no array 'z'; give one of its"
        " keys: x, y, half, less"
    )
    (tmp_path / "t.npz").write_bytes((tmp_path / "d.npz").read_bytes()[:100])
    data["inputs"] = {"file": str(tmp_path / "t.npz")}
    with pytest.raises(ConfigError) as broken:
        LabelledData.parse(data).load()
    assert str(broken.value.below("steps.2", file="p.yaml")).startswith(
        f"p.yaml: steps.2.data.inputs: {tmp_path / 't.npz'}: cannot be read as a NumPy file:"
    )
