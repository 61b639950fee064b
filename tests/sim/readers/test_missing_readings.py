"""A reading over range is missing: said with count and first line, and the rest is kept.

Right values: those that stand in the other rows of each table.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwloop.datasets.importing import Imported, import_measurement
from hwloop.errors import ConfigError

OVER = ["9.9e37", "-9.9E+37", "9.91e37", "OVRFLW", "Overflow"]


def imported(folder: Path, text: str, **given: str) -> Imported:
    path = folder / "file.csv"
    path.write_text(text, encoding="utf-8")
    return import_measurement(path, reader=None, given={"source": "lab book", **given})


@pytest.mark.parametrize("gone", [*OVER, "#REF!"])
def test_the_other_points_of_a_sweep_are_kept(gone: str, tmp_path: Path) -> None:
    text = f"V (V),I (A)\n0,0\n0.5,1e-6\n1,{gone}\n1.5,{gone}\n1,4e-6\n0.5,3e-6\n"
    found = imported(tmp_path, text)
    assert found.measurement.columns["voltage_v"].tolist() == [0, 0.5, 1, 0.5]
    assert found.measurement.columns["current_a"].tolist() == [0, 1e-6, 4e-6, 3e-6]
    over = ", 2 of them over range" if gone != "#REF!" else ""
    assert any(
        f"2 readings of I (A) missing{over}, the first in line 4" in m for m in found.messages
    )


@pytest.mark.parametrize("gone", OVER)
def test_a_train_ends_at_a_reading_over_range_and_the_next_begins_after_it(
    gone: str, tmp_path: Path
) -> None:
    states = ["10", "11", "12", gone, "14", "15"]
    rows = "".join(f"{n},1,1e-3,{state}\n" for n, state in enumerate(states))
    found = imported(tmp_path, "pulse,amplitude (V),width (s),G (uS)\n" + rows)
    columns = found.measurement.columns
    by_train = [columns["conductance_s"][columns["train"] == n] * 1e6 for n in (0, 1)]
    np.testing.assert_allclose(by_train[0], [10, 11, 12])
    np.testing.assert_allclose(by_train[1], [14, 15])
    said = "1 rows without a value, 1 of them over range, the first in line 5"
    assert any(said in line for line in found.messages)


def test_reads_and_cycles_without_a_value_are_left_out_and_counted(tmp_path: Path) -> None:
    reads = imported(tmp_path, "Time (s),R (ohm)\n0,1e5\n1,9.9e37\n2,2e5\n")
    assert reads.measurement.columns["time_s"].tolist() == [0, 2]
    assert any("1 reading of R (ohm) missing" in line for line in reads.messages)
    text = "Cycle,HRS (ohm),LRS (ohm)\n1,1e6,1e4\n2,9.9e37,1e4\n3,1e6,OVRFLW\n4,2e6,2e4\n"
    cycles = imported(tmp_path, text)
    assert cycles.measurement.columns["cycle"].tolist() == [1, 4]
    np.testing.assert_allclose(cycles.measurement.columns["reset_conductance_s"], [1e-6, 5e-7])
    assert sum("reading of" in line for line in cycles.messages) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("V (V),I (A)\n0,0\n9.9e37,1e-6\n1,2e-6\n1,2e-6\n", "line 3: V .V. '9.9e37'"),
        ("V (V),I (A)\n0,0\n1,9.9e37\n2,9.9e37\n1,1e-6\n", "line 3: no value of I"),
        ("V (V),I (A)\n0,0\n1,OVRFLW\n2,abc\n1,1e-6\n1,1e-6\n", "line 4: .*'abc'"),
        ("Time (s),R (ohm)\n0,9.9e37\n1,9.9e37\n", "no value of R"),
    ],
)
def test_where_nothing_sound_is_left_the_line_is_named(
    text: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=words):
        imported(tmp_path, text)
