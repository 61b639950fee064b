"""The life of an array adds up over its runs, whatever ends them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hwloop.errors import RecordError
from hwloop.record.life import ArrayLife, life_path, life_paths, read_life
from tests.hwloop.spy import array_settings

ARRAY = array_settings(name="W3-D12")
# Opens the ledger, gives cell (1, 2) pulses one by one for ever, and says so after each.
ENDLESS = """
import sys
from pathlib import Path
import numpy as np
from hwloop.record.life import ArrayLife
from tests.hwloop.spy import array_settings
life = ArrayLife(Path(sys.argv[1]), "endless", array_settings(name="W3-D12"))
one = np.zeros((2, 4), np.int64)
one[1, 2] = 1
for number in range(10**9):
    life.add(one, one * 2e-6)
    print(number + 1, flush=True)
"""


def at(row: int, col: int, count: int) -> np.ndarray:
    pulses = np.zeros((2, 4), np.int64)
    pulses[row, col] = count
    return pulses


def one_run(path: Path, run: str, row: int, col: int, count: int) -> None:
    life = ArrayLife(path, run, ARRAY)
    life.add(at(row, col, count), at(row, col, count) * 1e-6)
    life.add_formed(at(row, col, 1) > 0)
    life.status = "completed"
    life.close()


def test_pulses_energy_and_formings_add_up_over_runs(tmp_path: Path) -> None:
    path = life_path(tmp_path, "W3-D12", "physical")
    one_run(path, "a", 0, 1, 3)
    one_run(path, "b", 0, 1, 4)
    one_run(path, "b", 1, 3, 5)  # a second run of the same name is another run
    life = read_life(path, "W3-D12")
    total = life.table((2, 4))
    assert [(e.run, e.status) for e in life.entries] == [(n, "completed") for n in "abb"]
    assert total["pulses"].tolist() == [[0, 7, 0, 0], [0, 0, 0, 5]]
    assert total["energy_j"].tolist() == [[0, pytest.approx(7e-6), 0, 0], [0, 0, 0, 5e-6]]
    assert total["formings"].tolist() == [[0, 2, 0, 0], [0, 0, 0, 1]]
    assert [file.name for file in tmp_path.iterdir()] == ["W3-D12.life.jsonl"]


def test_a_ledger_is_appended_to_and_never_rewritten(tmp_path: Path) -> None:
    path = tmp_path / "W3-D12.life.jsonl"
    one_run(path, "a", 0, 1, 3)
    first = path.read_bytes()
    one_run(path, "b", 0, 0, 1)
    assert path.read_bytes().startswith(first)
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    assert [entry["cells"] for entry in entries] == [[[0, 1, 3, 3e-6, 1]], [[0, 0, 1, 1e-6, 1]]]


def test_a_run_without_a_pulse_leaves_no_entry(tmp_path: Path) -> None:
    path = tmp_path / "W3-D12.life.jsonl"
    ArrayLife(path, "reads", ARRAY).close()
    assert path.read_bytes() == b""


def test_every_pulse_before_a_kill_counts_and_counts_once(tmp_path: Path) -> None:
    path = tmp_path / "W3-D12.life.jsonl"
    one_run(path, "a", 0, 1, 3)
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS, path], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        seen = [int(process.stdout.readline()) for _ in range(50)][-1]
        while_it_runs = read_life(path).table((2, 4))["pulses"]
        process.kill()
        seen = max([seen, *(int(line) for line in process.stdout.read().split("\n")[:-1])])
    assert while_it_runs[1, 2] >= 50
    killed = read_life(path).table((2, 4))["pulses"]
    assert killed[0, 1] == 3
    assert seen <= killed[1, 2] <= seen + 1  # counted before it is given
    for _ in range(2):
        life = ArrayLife(path, "next", ARRAY)
        assert life.pulses.tolist() == killed.tolist()
        life.close()
    assert [entry.status for entry in read_life(path).entries] == ["completed", "killed"]
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_kill_between_the_entry_and_the_end_does_not_count_twice(tmp_path: Path) -> None:
    path = tmp_path / "W3-D12.life.jsonl"
    life = ArrayLife(path, "a", ARRAY)
    life.add(at(0, 0, 2), at(0, 0, 2) * 1e-6)
    (own,) = tmp_path.glob("*.running")
    content = own.read_bytes()
    life.close()
    own.write_bytes(content)  # as if it had not been deleted any more
    assert read_life(path).table((2, 4))["pulses"][0, 0] == 2
    ArrayLife(path, "b", ARRAY).close()
    assert read_life(path).table((2, 4))["pulses"][0, 0] == 2
    assert not own.exists()


def test_a_line_that_was_not_written_to_its_end_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "W3-D12.life.jsonl"
    one_run(path, "a", 0, 1, 3)
    whole = path.read_bytes()
    for length in (1, 20, len(whole) - 1):
        path.write_bytes(whole + whole[:length])
        assert len(read_life(path).entries) == 1
        ArrayLife(path, "b", ARRAY).close()
        assert path.read_bytes() == whole


def test_pulses_that_were_spared_are_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "W3-D12.life.jsonl"
    life = ArrayLife(path, "a", ARRAY)
    for count in (3, 4, -6):
        life.add(at(0, 1, count), at(0, 1, count) * 0.1)
    life.close()
    (entry,) = read_life(path).entries
    assert entry.cells == ((0, 1, 1, pytest.approx(0.1), 0),)


def test_an_array_has_one_run_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "W3-D12.life.jsonl"
    life = ArrayLife(path, "first", ARRAY)
    with pytest.raises(RecordError, match="W3-D12 is in use by run first; wait for its end"):
        ArrayLife(path, "second", ARRAY)
    life.add(at(0, 0, 1), at(0, 0, 1) * 1e-6)
    life.close()
    ArrayLife(path, "second", ARRAY).close()
    assert read_life(path).table((2, 4))["pulses"].sum() == 1


def test_physical_and_virtual_arrays_of_one_name_have_ledgers_of_their_own(tmp_path: Path) -> None:
    physical, virtual = (life_path(tmp_path, "x", kind) for kind in ("physical", "virtual"))
    for path in (physical, virtual, tmp_path / "xx.life.jsonl"):
        path.touch()
    assert life_paths(tmp_path, "x") == sorted([physical, virtual])
    assert len(life_paths(tmp_path)) == 3


def test_a_ledger_of_another_shape_or_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "W3-D12.life.jsonl"
    one_run(path, "a", 0, 1, 3)
    with pytest.raises(RecordError, match="run a was on 2 × 4 cells; the array W3-D12 has 2 × 2"):
        read_life(path).table((2, 2))
    with pytest.raises(RecordError, match="is the ledger of W3-D12, not of w3-d12"):
        read_life(path, "w3-d12")  # one file where the file system ignores case
