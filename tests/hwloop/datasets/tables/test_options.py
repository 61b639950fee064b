"""Options of the user decide, and those that are wrong or do not fit the file are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwloop.datasets.tables.data_file import DataFile
from hwloop.datasets.tables.options import TableOptions, pairs
from hwloop.errors import ConfigError


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"separator": "|"}, "--separator: '|': expected one of"),
        ({"decimal": ";"}, "--decimal: ';': expected . or ,"),
        ({"decimal": ",", "thousands": ","}, "--thousands: ',' is the decimal mark as well"),
        ({"skip": -1}, "--skip: -1: expected 0 or more"),
        ({"columns": (("voltage", "AV"),)}, "--column: 'voltage' is no quantity; did you mean"),
        ({"units": {"current_a": "V"}}, "--unit: 'V' is no unit of current_a"),
        ({"units": {"current_a": "MA"}}, "--unit: 'MA' is no unit of current_a"),
    ],
)
def test_an_option_that_cannot_be_is_refused_with_its_name(
    options: dict[str, object], words: str
) -> None:
    with pytest.raises(ConfigError) as refusal:
        TableOptions(**options)  # type: ignore[arg-type]
    assert words in str(refusal.value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A table of three columns, of which two have one name."""
    path = tmp_path / "t.csv"
    path.write_text("AV,AI (nA),AV\n1,2,3\n4,5,6\n")
    return path


def test_a_column_is_named_by_name_by_name_without_unit_and_by_number(path: Path) -> None:
    for wanted, first in (("AV", 1.0), ("av#2", 3.0), ("AI", 2.0), ("3", 3.0)):
        options = TableOptions(columns=(("current_a" if wanted == "AI" else "voltage_v", wanted),))
        role = options.columns[0][0]
        (column,) = DataFile(path, options).table.of_role(role)
        assert column.values[0] == first


def test_a_unit_of_the_user_replaces_that_of_the_file(path: Path) -> None:
    table = DataFile(path, TableOptions(units={"current_a": "uA"})).table
    assert table.numbers(table.of_role("current_a")[0]).tolist() == [2e-6, 5e-6]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (TableOptions(columns=(("voltage_v", "BV"),)), "there is no column 'BV'; there are 'AV'"),
        (TableOptions(columns=(("voltage_v", "AI (nA)"),)), "its unit in the file is nA"),
        (TableOptions(units={"time_s": "ms"}), "time_s: no column is known to hold it"),
        (TableOptions(sheet="2"), "--sheet: is text, which has no sheets"),
        (TableOptions(table="7"), "has no table '7'"),
    ],
)
def test_an_option_that_does_not_fit_the_file_is_refused(
    options: TableOptions, words: str, path: Path
) -> None:
    with pytest.raises(ConfigError) as refusal:
        _ = DataFile(path, options).table
    assert words in str(refusal.value)


def test_a_pair_without_a_value_is_refused() -> None:
    assert pairs(["voltage_v=AV=1"], "--column") == (("voltage_v", "AV=1"),)
    with pytest.raises(ConfigError, match="--column: 'AV': expected QUANTITY=VALUE"):
        pairs(["AV"], "--column")
