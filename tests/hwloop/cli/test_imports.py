"""`hwloop show` of imported files prints the numbers that stand in them, and a dash for none."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwloop.cli.imports import print_import
from hwloop.datasets.importing import import_measurement
from hwloop.datasets.measurement import write_measurement


def shown(folder: Path, text: str, capsys: pytest.CaptureFixture[str]) -> dict[str, list[str]]:
    """Return the cells of each line of the table of columns, by the name of the column."""
    path, out = folder / "file.txt", folder / "file.h5"
    path.write_text(text)
    write_measurement(
        import_measurement(path, reader=None, given={"source": "lab book"}).measurement, out
    )
    print_import(out)
    lines = [line.split("  ") for line in capsys.readouterr().out.splitlines() if "/" in line]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    return {one[0].partition("/")[2]: one[1:] for one in cells}


def test_a_target_without_an_upper_end_has_no_highest_conductance(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = "9\t4\t2\t1\t4000\t0\t{low}\t5000\t1\t0\t0\n"
    name = "target_high_conductance_s"
    none = shown(tmp_path, 2 * row.format(low=0), capsys)
    assert none[name] == ["2", "–", "–"]
    (tmp_path / "file.h5").unlink()
    one = shown(tmp_path, row.format(low=0) + row.format(low=2500), capsys)
    assert one[name] == ["2", "400 µS", "400 µS"]
