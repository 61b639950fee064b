"""Groups, datasets and attributes of a record; right values are what h5py itself makes or reads."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from hwloop.record.storage.objects import (
    copy_attributes,
    group_at,
    make_dataset,
    make_group,
    make_text,
    set_attributes,
)

VALUES = {
    "text": "größe",
    "empty": "",
    "count": 3,
    "level_v": -2.5,
    "exact": True,
    "columns": ["a", "bü"],
}


def test_attributes_are_those_that_h5py_makes_and_stay_so_when_copied(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file, h5py.File(tmp_path / "b.h5", "w") as other:
        ours, theirs = file.create_group("ours"), file.create_group("theirs")
        set_attributes(ours.id, VALUES)
        theirs.attrs.update(VALUES)
        copied = other.create_group("copied")
        copy_attributes(ours.id, copied.id)
        for name in VALUES:
            expected = theirs.attrs[name]
            for found in (ours.attrs[name], copied.attrs[name]):
                assert type(found) is type(expected)
                assert np.array_equal(found, expected)
            assert ours.attrs.get_id(name).dtype == theirs.attrs.get_id(name).dtype


def test_datasets_read_back_as_written_with_their_types_and_attributes(tmp_path: Path) -> None:
    numbers = np.arange(6, dtype=np.int16).reshape(2, 3)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        inner = make_group(file.id, "größe")
        make_dataset(inner, "numbers", numbers.T, {"units": "S"})
        make_dataset(file.id, "one", np.array(b"running", "S16"))
        make_text(inner, "text", "λ" * 70_000)
    with h5py.File(tmp_path / "a.h5") as file:
        assert list(file) == ["größe", "one"]
        read = file["größe/numbers"]
        assert read.dtype == np.int16
        assert np.array_equal(read[()], numbers.T)
        assert read.attrs["units"] == "S"
        assert read.id.get_offset() is not None
        assert file["one"][()] == b"running"
        assert file["größe/text"][()].decode() == "λ" * 70_000


def test_group_at_a_path_is_made_once_with_those_on_the_way(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group_at(file.id, "results/map/cells")
        make_dataset(group_at(file.id, "results/map"), "level", [1.5])
        assert list(file["results/map"]) == ["cells", "level"]
