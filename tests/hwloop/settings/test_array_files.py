"""One reader of arrays for every setting that names a file."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import re
import struct
import tracemalloc
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from hwloop.errors import ConfigError
from hwloop.settings.array_files import csv_lines, read_array, read_arrays
from hwloop.settings.foreign_files import MAX_NUMBERS
from hwloop.settings.foreign_hdf5 import walk

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


def npy_claiming(shape: str) -> bytes:
    """Return an NPY file of version 1.0 of eight bytes of data, whose header claims ``shape``."""
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}"
    text = header.ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(8)


@pytest.mark.parametrize("shape", ["(1000000000000,)", "(1000000, 1000000)", "(18,)"])
def test_an_npy_header_that_claims_more_than_the_file_has_is_refused(
    shape: str, tmp_path: Path
) -> None:
    (tmp_path / "a.npy").write_bytes(npy_claiming(shape))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("map.npy", npy_claiming(shape))
    for name in ("a.npy", "a.npz"):
        with pytest.raises(ConfigError, match=rf"{name}: .*claims the shape .* but has 136"):
            read_arrays(tmp_path / name)


def test_an_npz_of_packed_zeros_is_refused_by_what_it_unpacks_to(tmp_path: Path) -> None:
    count = MAX_NUMBERS + 1
    header = npy_claiming(f"({count},)").replace(b"<f8", b"|u1")[:-8]
    with (
        zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("map.npy", "w", force_zip64=True) as stream,
    ):
        stream.write(header)
        for _ in range(2**8):
            stream.write(bytes(2**20))
        stream.write(bytes(1))
    assert (tmp_path / "a.npz").stat().st_size < 2**19
    with pytest.raises(ConfigError, match=rf"map claims the shape \({count},\); at most 268435456"):
        read_arrays(tmp_path / "a.npz")


@pytest.mark.parametrize("name", ["w", "w.npy", "W", "x/w", "../w"])
def test_a_member_of_any_name_is_read_only_if_its_header_is_of_numbers(
    name: str, tmp_path: Path
) -> None:
    with (
        zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(name, "w") as stream,
    ):
        for _ in range(16):
            stream.write(bytes(2**22))
    tracemalloc.start()
    key = name.removesuffix(".npy")
    for read in (read_arrays, lambda path: read_array(path, key)):
        with contextlib.suppress(ConfigError):  # by its key: there is none of that name
            assert read(tmp_path / "a.npz") == {}
    assert tracemalloc.get_traced_memory()[1] < 2**22  # unpacked, it is 64 MiB
    tracemalloc.stop()


def test_a_member_without_the_ending_of_numpy_is_an_array_and_bounded_as_one(
    tmp_path: Path,
) -> None:
    content = io.BytesIO()
    np.save(content, MAP)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("map", content.getvalue())
        archive.writestr("huge", npy_claiming("(1000000000000,)"))
    assert np.array_equal(read_array(tmp_path / "a.npz", "map"), MAP)
    with pytest.raises(ConfigError, match=r"huge claims the shape .* but has 136"):
        read_array(tmp_path / "a.npz", "huge")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("names", [("w.npy", "w.npy"), ("w", "w.npy"), ("w", "w")])
def test_two_members_of_one_name_are_refused(names: tuple[str, str], tmp_path: Path) -> None:
    content = io.BytesIO()
    np.save(content, MAP)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        for name in names:
            archive.writestr(name, content.getvalue())
    with pytest.raises(ConfigError, match="holds two members with the name 'w'"):
        read_array(tmp_path / "a.npz", "w")


def test_a_directory_of_an_archive_that_is_longer_than_the_bound_is_not_read(
    tmp_path: Path,
) -> None:
    length, offset = 2**30, 0
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, length, offset, 0)
    with (tmp_path / "a.npz").open("wb") as stream:
        stream.truncate(length)
        stream.seek(length)
        stream.write(end)
    with pytest.raises(ConfigError, match="its directory has 1073741824 bytes; at most 16777216"):
        read_arrays(tmp_path / "a.npz")


@pytest.mark.parametrize("length", [10_001, 2**32 - 1])
def test_a_long_header_is_one_line_with_its_place(length: int, tmp_path: Path) -> None:
    raw = b"\x93NUMPY\x02\x00" + length.to_bytes(4, "little") + b" " * 20_000
    (tmp_path / "a.npy").write_bytes(raw)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("map", raw)
    for name, member in (("a.npy", "a"), ("a.npz", "map")):
        with pytest.raises(ConfigError) as refusal:
            read_arrays(tmp_path / name)
        assert str(refusal.value) == (
            f"{tmp_path / name}: cannot be read as a NumPy file: the header of {member} has"
            f" {length} bytes; at most 10000 are read"
        )


@pytest.mark.parametrize("header", [b"(" * 9000, b"{'descr': '<f8'}", b"\xff" * 50, b"1 +\n" * 99])
def test_a_header_that_python_cannot_parse_is_one_line(header: bytes, tmp_path: Path) -> None:
    raw = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    (tmp_path / "a.npy").write_bytes(raw)
    with pytest.raises(ConfigError, match=r"file: the header of a is not that of an NPY file$"):
        read_arrays(tmp_path / "a.npy")


@pytest.mark.parametrize("shape", [(10**12,), (2**20, 2**20)])
def test_a_sparse_hdf5_dataset_is_refused_by_its_shape(
    shape: tuple[int, ...], tmp_path: Path
) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("huge", shape, "f8", chunks=(1024,) * len(shape))
        file["small"] = MAP
        file["nothing"] = h5py.Empty("f8")
    assert (tmp_path / "a.h5").stat().st_size < 2**16
    with pytest.raises(ConfigError, match=r"huge claims the shape .*; at most 268435456 numbers"):
        read_arrays(tmp_path / "a.h5")
    assert np.array_equal(read_array(tmp_path / "a.h5", "small"), MAP)


def test_an_idx_file_that_unpacks_without_end_or_claims_too_much_is_refused(tmp_path: Path) -> None:
    packed = gzip.compress(bytes(2**20)) * 257  # gzip files one after the other are one
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(packed)
    with pytest.raises(ConfigError, match="unpacks to more than 256 MiB, from "):
        read_arrays(path)
    header = struct.pack(">HBBIII", 0, 8, 3, 2**31, 2**31, 2**31)
    path.write_bytes(gzip.compress(header + bytes(10)))
    with pytest.raises(ConfigError, match=r"cannot be read as an idx file: cannot reshape"):
        read_arrays(path)


def test_a_table_of_a_long_line_or_of_too_many_bytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"x" * 2**20)
    with pytest.raises(ConfigError, match="not a CSV file: field larger than field limit"):
        csv_lines(path)
    with path.open("wb") as stream:
        stream.truncate(200 * 2**20)
    with pytest.raises(ConfigError, match="has 200 MiB; at most 128 MiB are read"):
        csv_lines(path)


@pytest.mark.parametrize("name", ["a.npz", "a.npy", "a.h5", "a.csv", "x-idx1-ubyte"])
def test_a_pipe_is_refused_in_every_format_without_waiting(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(ConfigError, match="is a pipe or a device"):
        read_arrays(tmp_path / name)


@pytest.mark.parametrize("name", ["a.npz", "a.npy", "a.h5", "a.csv", "x-idx1-ubyte.gz"])
def test_a_damaged_file_of_every_format_is_one_error_with_its_name(
    name: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "a.npy", MAP)
    np.savez(tmp_path / "a.npz", map=MAP, other=MAP)
    np.savetxt(tmp_path / "a.csv", MAP, delimiter=",")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["inner/map"] = MAP
    idx = struct.pack(">HBBII", 0, 8, 2, 2, 2) + bytes(4)
    (tmp_path / "x-idx1-ubyte.gz").write_bytes(gzip.compress(idx))
    whole = (tmp_path / name).read_bytes()
    rng = np.random.default_rng(15)
    paths = []
    for number in range(60):
        damaged = bytearray(whole[: rng.choice([len(whole), rng.integers(len(whole))])])
        for _ in range(rng.choice([0, 1, 4, 20]) if damaged else 0):
            damaged[rng.integers(len(damaged))] = int(rng.integers(256))
        paths.append(tmp_path / str(number) / name)
        paths[-1].parent.mkdir()
        paths[-1].write_bytes(damaged)
    walk(paths)  # those that are HDF5, in one process
    refused = 0
    for path in paths:
        try:
            read_arrays(path)
        except ConfigError as exc:
            assert name in str(exc)  # noqa: PT017 - some damage leaves a file that can be read
            refused += 1
    assert refused > 10


def test_onnx_array_whose_data_is_in_another_file_is_refused(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="ONNX is not installed (extra onnx)")
    weight = onnx.numpy_helper.from_array(np.ones((2, 3), np.float32), "w")
    model = onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [], [weight]))
    onnx.save(
        model,
        tmp_path / "a.onnx",
        save_as_external_data=True,
        location="beside.bin",
        size_threshold=0,
    )
    with pytest.raises(ConfigError, match=r"a\.onnx: .*'w' has its data in another file"):
        read_arrays(tmp_path / "a.onnx")


@pytest.mark.parametrize("name", ["a.npz", "a.npy", "a.h5", "a.csv"])
@pytest.mark.parametrize("value", [1e308, -1e101])
def test_a_number_beyond_any_quantity_is_refused_and_a_missing_one_is_left(
    name: str, value: float, tmp_path: Path
) -> None:
    table = MAP.copy()
    for missing, refused in ((np.nan, False), (value, True)):
        table[0, 1] = missing
        np.save(tmp_path / "a.npy", table)
        np.savez(tmp_path / "a.npz", a=table)
        np.savetxt(tmp_path / "a.csv", table, delimiter=",")
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["a"] = table
        key = "a" if name in ("a.npz", "a.h5") else None
        if not refused:
            assert np.array_equal(read_array(tmp_path / name, key), table, equal_nan=True)
            continue
        with pytest.raises(ConfigError, match=rf"a holds {re.escape(f'{value:g}')}; magnitudes of"):
            read_array(tmp_path / name, key)
