"""Bytes of files from elsewhere are bounded before memory is taken for them."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import pytest

from hwloop.errors import ConfigError
from hwloop.settings.foreign_files import (
    first_bytes,
    read_bounded,
    refuse_claims,
    refuse_many_fields,
    unpack_gzip,
)

NAME = Path("a.gz")


def test_a_file_of_exactly_the_bound_is_read_and_one_byte_more_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * 1024)
    assert read_bounded(path, 1024) == b"x" * 1024
    with pytest.raises(ConfigError, match="has 1 KiB; at most 1023 bytes are read"):
        read_bounded(path, 1023)


def test_a_file_without_a_size_is_read_no_further_than_the_bound() -> None:
    with pytest.raises(ConfigError, match="at most 10 bytes are read"):
        read_bounded(Path("/proc/self/status"), 10)  # its size is 0 until it is read


def test_packed_zeros_are_refused_without_memory_for_them() -> None:
    packed = gzip.compress(bytes(2**26))
    tracemalloc.start()
    with pytest.raises(ConfigError, match=r"a\.gz: unpacks to more than 4 MiB, from 63\.\d+ KiB"):
        unpack_gzip(packed, 2**22, NAME)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 2**24
    assert unpack_gzip(packed, 2**26, NAME) == bytes(2**26)


@pytest.mark.parametrize("cut", [3, 20, -3])
def test_a_broken_packed_file_is_refused_with_its_name(cut: int) -> None:
    with pytest.raises(ConfigError, match=r"a\.gz: cannot be unpacked as gzip"):
        unpack_gzip(gzip.compress(b"0 1 2 3" * 99)[:cut], 2**20, NAME)


def test_claimed_shapes_count_together() -> None:
    refuse_claims({"a": (2**14, 2**13), "b": (2**27,), "scalar": ()} | {"scalar": (0, 9)})
    with pytest.raises(ValueError, match=r"b claims the shape \(134217728,\)"):
        refuse_claims({"a": (2**14, 2**12), "b": (2**27,), "c": (2**26, 2)})


def test_the_begin_of_a_file_is_read_without_the_rest(tmp_path: Path) -> None:
    text = b"a,b\n1,2\n" + b"3,4\n" * 100
    (tmp_path / "a.csv").write_bytes(text)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(text) + b"no gzip file any more")
    for name in ("a.csv", "a.csv.gz"):
        assert first_bytes(tmp_path / name, 8) == b"a,b\n1,2\n"[:8]
    assert first_bytes(tmp_path / "a.csv", 10**6) == text
    (tmp_path / "cut.gz").write_bytes(gzip.compress(text)[:12])
    with pytest.raises(ConfigError, match=r"cut\.gz: cannot be read: "):
        first_bytes(tmp_path / "cut.gz", 8)


@pytest.mark.parametrize("separator", [",", ";", "\t", "\n"])
def test_fields_are_counted_before_they_are_taken_apart(separator: str) -> None:
    text = f"1{separator}" * 2**23
    refuse_many_fields(text, Path("a.csv"))
    with pytest.raises(ConfigError, match=r"^a\.csv: has 8388609 fields; at most 8388608 are"):
        refuse_many_fields(text + separator, Path("a.csv"))
