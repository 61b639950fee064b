"""``hwloop import`` writes a dataset or nothing, and explains a file without writing."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwloop.datasets.measurement import read_measurement
from tests.command_line import hwloop

SWEEP = "# operator=N\nAV;AI\n0,5;20\n1,5;60\n1,0;40\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A sweep without units, in nanoamperes."""
    path = tmp_path / "sweep.dat"
    path.write_text(SWEEP, encoding="utf-8")
    return path


def test_options_decide_and_what_was_recognised_is_printed(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "sweep.h5"
    done = hwloop("import", path, "-o", out, "--set", "source=book", "--unit", "current_a=nA")
    assert (done.returncode, done.stderr) == (0, "")
    assert "recognised as iv_sweep" in done.stdout
    assert "text in UTF-8, fields between semicolons, decimal comma" in done.stdout
    columns = read_measurement(out).columns
    assert columns["voltage_v"].tolist() == [0.5, 1.5, 1.0]
    assert columns["current_a"].tolist() == [2e-8, 6e-8, 4e-8]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--set", "source=book"), "at most 20 A: is the unit another, or the column?"),
        (("--column", "current_a=BI"), "--column: there is no column 'BI'"),
        (("--column", "AI"), "--column: 'AI': expected QUANTITY=VALUE"),
        (("--decimal", "."), "not recognised by any reader"),
        (("--reader", "iv"), "there is no reader 'iv'"),
        (("--sheet", "1"), "is text, which has no sheets"),
        (("--set", "source"), "--set: 'source': expected KEY=VALUE"),
    ],
)
def test_a_refusal_is_one_line_and_nothing_is_written(
    arguments: tuple[str, ...], words: str, path: Path, tmp_path: Path
) -> None:
    done = hwloop("import", path, "-o", tmp_path / "out.h5", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == [path]


def test_explain_shows_head_columns_and_each_reader_and_writes_nothing(path: Path) -> None:
    done = hwloop("import", "--explain", path)
    assert done.returncode == 0
    for words in (
        "  | AV;AI",
        "metadata operator: N",
        "column 1, 'AV': voltage_v; without a unit; from 0.5 to 1, first to last",
        "  iv_sweep: yes, it fits",
        "  single_column: no, it has 2 columns; expected one",
    ):
        assert words in done.stdout
    assert list(path.parent.iterdir()) == [path]


def test_explain_of_what_is_no_table_says_so(tmp_path: Path) -> None:
    picture = tmp_path / "curve.csv"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(60))
    done = hwloop("import", "--explain", picture)
    assert done.returncode == 0
    assert "no table: is a picture (PNG); export the numbers that it shows" in done.stdout


def test_an_import_without_a_file_to_write_is_refused(path: Path) -> None:
    done = hwloop("import", path, "--set", "source=book")
    assert done.returncode == 2
    assert "--out: missing: name the dataset file to write" in done.stderr
