"""Ledgers from anywhere are one error with the file and the bound, or right."""

from __future__ import annotations

import json
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from hwloop.errors import RecordError
from hwloop.record.life import CELL, ArrayLife, read_life
from tests.hwloop.spy import array_settings

ARRAY = array_settings(name="W3-D12")
ENTRY = {
    "array": "W3-D12",
    "run": "a",
    "key": "k",
    "status": "completed",
    "ended_utc": "2026-01-01T00:00:00+00:00",
    "rows": 2,
    "cols": 4,
    "cells": [[0, 1, 3, 3e-6, 1]],
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "W3-D12.life.jsonl"


def write(path: Path, *changes: dict[str, object]) -> None:
    lines = [json.dumps(ENTRY | {"key": str(n)} | one) for n, one in enumerate(changes)]
    path.write_text("".join(f"{line}\n" for line in lines))


@pytest.mark.parametrize(
    "damage",
    [
        "[]",
        "{",
        "[" * 10**5,
        {"cells": [[0, 1, -3, 0.0, 0]]},
        {"cells": [[2, 0, 3, 0.0, 0]]},
        {"cells": [[0, 1, 2**63, 0.0, 0]]},
        {"cells": [[0, 1, 1, float("nan"), 0]]},
        {"cells": [[0, 1, 1, float("inf"), 0]]},
        {"cells": [[0, 1, 1, 1e300, 0]]},
        {"cells": [[0, 1, 1, 0.0, 0], [0, 1, 2, 0.0, 0]]},
        {"rows": 2**62, "cols": 2**62, "cells": []},
        {"rows": 10**6, "cols": 10**6, "cells": []},
        {"rows": 2**63 - 1, "cols": 1, "cells": []},
        {"more": 1},
    ],
)
def test_a_damaged_entry_is_named_by_file_and_line(
    damage: str | dict[str, object], tmp_path: Path
) -> None:
    path = tmp_path / "W3-D12.life.jsonl"
    write(path, {})
    whole = path.read_text()
    line = damage if isinstance(damage, str) else json.dumps(json.loads(whole) | damage)
    path.write_text(f"{whole}{line}\n")
    with pytest.raises(RecordError, match=r"W3-D12\.life\.jsonl: line 2: is no entry") as refusal:
        ArrayLife(path, "b", ARRAY)
    assert "\n" not in str(refusal.value)


def filled(**values: float) -> np.ndarray:
    table = np.zeros((2, 4), CELL)
    for name, value in values.items():
        table[name] = value
    return table


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"\x93NUMPY\x01\x00", b"PK\x03\x04", b"text"),
        *(
            b"\x93NUMPY\x01\x00\x05\x00" + header
            for header in (b"{[\n\n\n", b"(((((", b"1\xff\x00'")
        ),
    ],
)
def test_a_damaged_count_of_a_killed_run_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "W3-D12.life.jsonl"
    (tmp_path / f"{path.name}.1234.killed.running").write_bytes(content)
    with pytest.raises(RecordError, match="pulses of a run that was killed cannot be read"):
        ArrayLife(path, "b", ARRAY)


def test_counts_of_a_killed_run_must_be_counts(tmp_path: Path) -> None:
    path = tmp_path / "W3-D12.life.jsonl"
    file = tmp_path / f"{path.name}.1234.killed.running"
    negative = np.zeros((2, 4), CELL)
    negative["pulses"][0, 1], negative["pulses"][1, 1] = 1, -1
    negative["formings"][0, 1] = -1
    for table, message in (
        (np.zeros(8, CELL), r"holds .* of shape \(8,\)"),
        (np.zeros((2, 4)), "holds float64"),
        (filled(pulses=2**62), r"2\*\*53|9007199254740992"),
        (filled(pulses=1, energy_j=np.nan), "finite number"),
        (np.asfortranarray(np.zeros((2, 4), CELL)), "holds"),
        (np.zeros((0, 4), CELL), r"claims the shape \(0, 4\), but has 0 bytes"),
        (negative, "greater than or equal to 0"),
    ):
        with file.open("wb") as stream:
            np.save(stream, table)
        with pytest.raises(RecordError, match=message) as refusal:
            read_life(path)
        assert "\n" not in str(refusal.value)


def test_counts_of_a_killed_run_that_claim_more_than_the_file_has_are_refused(path: Path) -> None:
    file = path.with_name(f"{path.name}.1234.killed.running")
    with file.open("wb") as stream:
        np.save(stream, np.zeros((2, 4), CELL))
    whole = file.read_bytes()
    file.write_bytes(whole.replace(b"(2, 4), }" + b" " * 12, b"(2000000, 4000000), }"))
    with pytest.raises(RecordError, match=r"claims the shape \(2000000, 4000000\), but has 192"):
        read_life(path)
    file.write_bytes(whole[:-1])
    with pytest.raises(RecordError, match=r"claims the shape \(2, 4\), but has 191 bytes"):
        read_life(path)


@pytest.mark.parametrize("name", ["W3-D12.life.jsonl", "W3-D12.life.jsonl.1.killed.running"])
def test_a_pipe_in_place_of_a_ledger_or_of_counts_is_refused_without_waiting(
    name: str, path: Path
) -> None:
    os.mkfifo(path.with_name(name))
    for opened in (lambda: read_life(path), lambda: ArrayLife(path, "b", ARRAY)):
        with pytest.raises(RecordError, match=rf"{name}: is a pipe or a device"):
            opened()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("W3-D12.life.jsonl", "has 2 GiB; at most 128 MiB are read"),
        ("W3-D12.life.jsonl.1.killed.running", "has 2 GiB; at most 96.06 MiB are read"),
    ],
)
def test_a_sparse_ledger_is_refused_by_its_size_before_it_is_read(
    name: str, message: str, path: Path
) -> None:
    with path.with_name(name).open("wb") as stream:
        stream.truncate(2**31)
    tracemalloc.start()
    for opened in (lambda: read_life(path), lambda: ArrayLife(path, "b", ARRAY)):
        with pytest.raises(RecordError, match=f"{name}: {message}"):
            opened()
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


def test_an_array_of_too_many_cells_has_no_ledger(path: Path) -> None:
    write(path, {"rows": 2048, "cols": 2048, "cells": [[2047, 2047, 1, 0.0, 0]]})
    assert read_life(path).table((2048, 2048))["pulses"][2047, 2047] == 1
    with pytest.raises(RecordError, match="has 2049 × 2048 cells; at most 4194304 have a ledger"):
        read_life(path.with_name("none")).table((2049, 2048))


@pytest.mark.parametrize(
    ("cell", "sum_of_two"),
    [
        ([0, 1, 2**53, 0.0, 0], "pulses of cell (0, 1) add up to 18014398509481984"),
        ([1, 3, 1, 2.0**53, 0], "energy_j of cell (1, 3) add up to 1.80143985094"),
        ([0, 0, 1, 0.0, 2**53], "formings of cell (0, 0) add up to 18014398509481984"),
    ],
)
def test_sums_beyond_what_a_life_can_be_are_refused_with_the_cell(
    cell: list[float], sum_of_two: str, path: Path
) -> None:
    write(path, {"cells": [cell]})
    assert read_life(path).table((2, 4))[cell[0], cell[1]]["pulses"] == cell[2]
    write(path, *[{"cells": [cell]}] * 2000)
    for opened in (lambda: read_life(path).table((2, 4)), lambda: ArrayLife(path, "b", ARRAY)):
        with pytest.raises(RecordError) as refusal:
            opened()
        assert sum_of_two in str(refusal.value)
