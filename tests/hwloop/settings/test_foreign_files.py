"""Bytes of files from elsewhere are bounded before memory is taken for them."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import pytest

from hwloop.errors import ConfigError
from hwloop.settings.foreign_files import read_bounded, refuse_claims, unpack_gzip

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
