"""Text of any program becomes the same columns, or one line says what is ambiguous or wrong.

Right values are written by hand beside the text that holds them.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from hwloop.datasets.tables.data_file import DataFile
from hwloop.datasets.tables.options import TableOptions
from hwloop.datasets.tables.table import DataTable
from hwloop.errors import ConfigError


def table(tmp_path: Path, text: str | bytes, **options: object) -> DataTable:
    path = tmp_path / "measured.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return DataFile(path, TableOptions(**options)).table  # type: ignore[arg-type]


def numbers(found: DataTable) -> list[list[float]]:
    return [column.values.tolist() for column in found.columns]


VOLTS, AMPERES = [0.25, -1.5, 0.5], [1e-6, 2e-3, -3.5e-7]


def text(separator: str, decimal: str, *, names: str = "Voltage (V)|Current (A)") -> str:
    rows = [f"{v}|{a}" for v, a in zip(VOLTS, AMPERES, strict=True)]
    body = "\n".join(rows).replace(".", decimal).replace("|", separator)
    return names.replace("|", separator) + "\n" + body + "\n"


@pytest.mark.parametrize(
    ("separator", "decimal"),
    [(",", "."), ("\t", "."), (";", "."), ("\t", ","), (";", ","), (" , ", "."), (", ", ".")],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_every_separator_decimal_mark_encoding_and_line_end_gives_the_same_numbers(
    separator: str, decimal: str, encoding: str, line_end: str, tmp_path: Path
) -> None:
    written = text(separator, decimal, names="Voltage (V)|Current (µA)")
    found = table(tmp_path, written.replace("\n", line_end).encode(encoding))
    assert numbers(found) == [VOLTS, AMPERES]
    assert [(c.role, c.unit.symbol if c.unit else None) for c in found.columns] == [
        ("voltage_v", "V"),
        ("current_a", "uA"),
    ]


@pytest.mark.parametrize("blanks", [" ", "   ", "  \t "])
def test_numbers_between_blanks_are_columns(blanks: str, tmp_path: Path) -> None:
    found = table(tmp_path, f"V{blanks}I\n0.5{blanks}1e-6\n  1.5{blanks}2e-6 \n")
    assert numbers(found) == [[0.5, 1.5], [1e-6, 2e-6]]


def test_names_between_blanks_may_stand_above_rows_between_tabs(tmp_path: Path) -> None:
    found = table(tmp_path, "Voltage Current\n0.5\t1e-6\n1.5\t2e-6\n")
    assert [column.role for column in found.columns] == ["voltage_v", "current_a"]


@pytest.mark.parametrize(
    "words",
    [
        "# operator=N\n# date: 2024-02-01\nV (V),I (A)\n",
        "% made by a program\n! of an instrument\nV (V),I (A)\n",
        "Title,loop,,\nOperator,N\n\nV (V),I (A)\n",
        "V,I\nV,A\n",
        "V,I\n[V],[A]\n",
        "# V (V),I (A)\n",
        "#V (V),I (A)\n# 2\n",
        '"V (V)","I (A)"\n',
        "sep=,\nV (V),I (A)\n",
    ],
)
def test_names_and_units_are_found_below_metadata(words: str, tmp_path: Path) -> None:
    found = table(tmp_path, words + "0.5,1e-6\n1.5,2e-6\n2.5,3e-6\n")
    assert numbers(found) == [[0.5, 1.5, 2.5], [1e-6, 2e-6, 3e-6]]
    assert [(c.role, c.unit and c.unit.symbol) for c in found.columns] == [
        ("voltage_v", "V"),
        ("current_a", "A"),
    ]


def test_metadata_are_kept_by_their_keys(tmp_path: Path) -> None:
    found = table(tmp_path, "# operator=N\n#\tGain: 1e3\nStart\t0.5\nV\tI\n1\t2\n2\t3\n3\t4\n")
    assert found.metadata == {"operator": "N", "Gain": "1e3", "Start": "0.5"}


def test_names_over_several_columns_are_put_before_the_names_below(tmp_path: Path) -> None:
    found = table(tmp_path, "Cell 1,,Cell 2,\nV,I,V,I\n1,2,3,4\n5,6,7,8\n")
    assert [c.label for c in found.columns] == ["Cell 1 V", "Cell 1 I", "Cell 2 V", "Cell 2 I"]


def test_columns_of_one_name_are_kept_apart(tmp_path: Path) -> None:
    found = table(tmp_path, "G (uS),G (uS),G (uS)\n1,2,3\n4,5,6\n")
    assert [c.label for c in found.columns] == ["G (uS)", "G (uS)#2", "G (uS)#3"]
    assert numbers(found) == [[1, 4], [2, 5], [3, 6]]


def test_numbers_with_units_may_be_names(tmp_path: Path) -> None:
    found = table(tmp_path, "pulse,1ms,5ms\n0,4.5e-7,4.6e-7\n1,4.7e-7,\n2,4.9e-7,5.1e-7\n")
    assert [column.label for column in found.columns] == ["pulse", "1ms", "5ms"]


def test_first_row_of_numbers_is_data_and_a_table_without_names_says_so(tmp_path: Path) -> None:
    found = table(tmp_path, "1.0,4.0\n1.1,4.1\n1.2,4.2\n")
    assert not found.has_header
    assert numbers(found) == [[1.0, 1.1, 1.2], [4.0, 4.1, 4.2]]


@pytest.mark.parametrize("gap", ["", "NaN", "nan", "#REF!", "N/A", "-", "null", "1.#QNAN"])
def test_gaps_are_gaps_and_counted(gap: str, tmp_path: Path) -> None:
    found = table(tmp_path, f"V,I\n1,2\n{gap},4\n5,6\n")
    np.testing.assert_array_equal(found.columns[0].values, [1, np.nan, 5])
    assert [column.missing for column in found.columns] == [1, 0]
    with pytest.raises(ConfigError, match="line 3: no value of V: expected a number in every row"):
        found.numbers(found.columns[0])


@pytest.mark.parametrize("value", ["9.9e37", "-9.9E+37", "9.91e37", "199.999E+99", "inf", "OVLD"])
def test_value_over_range_is_never_data(value: str, tmp_path: Path) -> None:
    found = table(tmp_path, f"V,I\n1,2\n3,{value}\n5,6\n")
    np.testing.assert_array_equal(found.columns[1].values, [2, np.nan, 6])
    with pytest.raises(ConfigError, match=r"line 3: I .* the meter was over range"):
        found.numbers(found.columns[1])


@pytest.mark.parametrize(
    ("cells", "value", "unit"),
    [
        (["2.3 mA", "2.5 mA"], [2.3, 2.5], "mA"),
        (["4.7kOhm", "5kOhm"], [4.7, 5], "kohm"),
        (["1.5D-03", "−2.0"], [1.5e-3, -2.0], None),
    ],
)
def test_numbers_with_units_and_other_spellings_are_read(
    cells: list[str], value: list[float], unit: str | None, tmp_path: Path
) -> None:
    found = table(tmp_path, "t,x\n" + "".join(f"{i},{cell}\n" for i, cell in enumerate(cells)))
    assert found.columns[1].values.tolist() == value
    assert (found.columns[1].unit.symbol if found.columns[1].unit else None) == unit


def test_two_units_in_one_column_are_refused(tmp_path: Path) -> None:
    found = table(tmp_path, "t,I\n0,2.3 mA\n1,500 uA\n")
    with pytest.raises(ConfigError, match="line 3: I '… uA': expected one unit"):
        found.numbers(found.columns[1])


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("G\n1,234\n5,678\n", "line 2: '1,234' may be 2 whole numbers, or 1 with a decimal"),
        ("V;G\n1;1,234\n2;5,678\n", "line 2: '1,234' may be a decimal number or thousands"),
        ("1,25\n1,30\n1,35\n", "line 1: '1,25' may be 2 whole numbers, or 1 with a decimal comma"),
        ("V,I\n1,2\n3,4,5,6\n1,2\n", "line 3: 4 values: expected 2"),
        ("V I\n1 2\n3\n5 6\n", "line 3: 1 values: expected 2"),
        ("no numbers\nat all\n", "holds no row of numbers"),
        ("V,I\n1,2\n3,4\n\nt,G\n1,2\n3,4\n", r"holds several tables: 1 \(line 2: 2 rows of V, I\)"),
    ],
)
def test_what_would_change_numbers_is_refused_in_one_line(
    written: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=words) as refusal:
        table(tmp_path, written)
    assert "\n" not in str(refusal.value)


def test_options_decide_what_is_ambiguous(tmp_path: Path) -> None:
    assert numbers(table(tmp_path, "V;G\n1;1,234\n", decimal=",")) == [[1], [1.234]]
    assert numbers(table(tmp_path, "V;G\n1;1,234\n", thousands=",")) == [[1], [1234]]
    assert numbers(table(tmp_path, "1,25\n1,30\n", separator=",")) == [[1, 1], [25, 30]]
    assert numbers(table(tmp_path, "1,25\n1,30\n", decimal=",")) == [[1.25, 1.30]]
    assert numbers(table(tmp_path, "9,9\n8,8\nV,I\n1,2\n", skip=2)) == [[1], [2]]
    two = "V,I\n1,2\n3,4\n\nt,G\n1,2\n3,9\n"
    assert numbers(table(tmp_path, two, table="2")) == [[1, 3], [2, 9]]


def test_thousands_are_never_guessed(tmp_path: Path) -> None:
    found = table(tmp_path, 'V,G\n1,"1,234.5"\n2,"1,300.5"\n')
    with pytest.raises(ConfigError, match=r"'1,234\.5': expected a number"):
        found.numbers(found.columns[1])


@pytest.mark.parametrize(
    ("ending", "rows", "words"),
    [
        ("4.25,1.5e-0", 3, "shorter than one before"),
        ("4.25,1.5", 3, "lacks an exponent"),
        ("4.2", 3, "1 of 2 values: it is cut off"),
        ("4.25,1.5e-06", 4, ""),
    ],
)
def test_last_line_that_is_cut_off_is_left_out_and_said(
    ending: str, rows: int, words: str, tmp_path: Path
) -> None:
    found = table(tmp_path, "V,I\n1.25,1.0e-06\n2.25,2.0e-06\n3.25,3.0e-06\n" + ending)
    assert found.rows == rows
    assert words in "; ".join(found.notes)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        # 10002 that ended as 100, and 1.2345e-05 that ended as 1.2345e-0.
        ("Time (s),R (ohm)\n0,10000\n1,10001\n2,100", 2),
        ("Pulse,G (S)\n1,1e-5\n2,1.5e-05\n3,1.2345e-05\n4,1.2345e-0", 3),
        ("V (V),I (A)\n1,1.2345E-12\n2,1.25E-11\n3,2E-13", 3),  # as EasyEXPERT ends its files
        ("V (V),I (A)\n1,1.2345E-12\n2,1.25E-11\n3,2E-1", 2),
        ("Cell,R (ohm)\nA,10000\nB,10001\nC,100", 2),  # a column of text switches nothing off
        ("R (ohm),Cell\n10000,A12\n10001,A12\n10000,A1", 2),
        ("R (ohm),State\n10000,SET\n10001,RESET\n10000,SET", 3),  # a word that stood before
        ("Time (s),R (ohm)\n0,10000\n1,10001\n2,100\n", 3),
    ],
)
def test_last_line_without_an_end_is_kept_only_where_it_is_as_long_as_the_others(
    text: str, rows: int, tmp_path: Path
) -> None:
    assert table(tmp_path, text).rows == rows


def test_text_after_a_table_and_separators_at_the_end_of_lines_are_left_out(
    tmp_path: Path,
) -> None:
    found = table(tmp_path, "V,I,\n1,2,\n3,4,\nEnd of test\n")
    assert numbers(found) == [[1, 3], [2, 4]]
    assert "1 line after the table left out: line 4 'End of test'" in found.notes


def test_columns_of_text_stand_apart(tmp_path: Path) -> None:
    found = table(tmp_path, "Cell;V (V);State\nA1;1,5;SET\nA2;2,5;RESET\n")
    assert [column.texts for column in found.columns] == [["A1", "A2"], None, ["SET", "RESET"]]
    assert found.columns[1].values.tolist() == [1.5, 2.5]


def test_an_odd_row_among_thousands_is_found_and_its_line_named(tmp_path: Path) -> None:
    rows = [f"{i},{i * 1e-6!r}" for i in range(30_000)]
    rows[20_000] = "20000,broken"
    rows.insert(10, "# a remark")
    found = table(tmp_path, "V,I\n" + "\n".join(rows) + "\n")
    assert found.rows == 30_000
    np.testing.assert_array_equal(found.columns[0].values, np.arange(30_000))
    assert found.columns[1].values[29_999] == 29_999 * 1e-6
    with pytest.raises(ConfigError, match="line 20003: I 'broken': expected a number"):
        found.numbers(found.columns[1])


def test_packed_text_is_read_and_text_of_another_encoding_late_in_the_file(
    tmp_path: Path,
) -> None:
    rows = "".join(f"{i},{i}\n" for i in range(400_000))
    written = ("V,I\n" + rows + "# 5 °C\n").encode("cp1252")
    found = table(tmp_path, gzip.compress(written, compresslevel=1))
    assert found.rows == 400_000
    assert found.recognised.startswith("text in Windows-1252")


def test_file_that_grows_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hwloop.datasets.tables import data_file

    whole = data_file.tables_of_text

    def read_and_grow(path: Path, options: TableOptions) -> list[DataTable]:
        found = whole(path, options)
        with path.open("a") as stream:
            stream.write("5,6\n")
        return found

    monkeypatch.setattr(data_file, "tables_of_text", read_and_grow)
    with pytest.raises(ConfigError, match="changed while it was read, from 12 to 16 bytes"):
        table(tmp_path, "V,I\n1,2\n3,4\n")


def test_thousands_beside_a_decimal_comma_never_split_a_number(tmp_path: Path) -> None:
    found = table(tmp_path, "U;I\n1.234,5;1,2E-6\n1.300,5;1,3E-6\n")
    assert found.columns[1].values.tolist() == [1.2e-6, 1.3e-6]
    with pytest.raises(ConfigError, match=r"U '1\.234,5': expected a number"):
        found.numbers(found.columns[0])
    found = table(tmp_path, "U;I\n1.234,5;1,2E-6\n", decimal=",", thousands=".")
    assert found.columns[0].values.tolist() == [1234.5]


def test_decimal_commas_between_commas_are_read_in_quotation_marks(tmp_path: Path) -> None:
    found = table(tmp_path, '"U (V)","I (A)"\n"0,5","1,2E-6"\n"0,75","1,3E-6"\n')
    assert numbers(found) == [[0.5, 0.75], [1.2e-6, 1.3e-6]]


@pytest.mark.parametrize("row", ["broken,1e-6", "x-axis,1"])
def test_a_line_of_text_and_numbers_above_the_rows_is_neither_names_nor_left_out(
    row: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"line 2: '.*' stands among numbers"):
        table(tmp_path, f"V,I\n{row}\n2.5,2e-6\n3.5,3e-6\n")


def test_events_in_a_last_column_that_is_else_empty_are_left_out_and_said(tmp_path: Path) -> None:
    rows = "0,5;1,5E-6;\n0,6;1,6E-6;Number of crossings\n0,75;1,7E-6;\n"
    found = table(tmp_path, "U (V);I (A);User events\n" + rows)
    assert numbers(found)[:2] == [[0.5, 0.6, 0.75], [1.5e-6, 1.6e-6, 1.7e-6]]


@pytest.mark.parametrize("word", ["Min", "Max:", "Mean", "StdDev", "Average", "TOTAL"])
def test_statistics_below_a_table_are_no_rows_of_it(word: str, tmp_path: Path) -> None:
    rows = f"Index,V (V),I (A)\n1,0.1,1e-6\n2,0.2,2e-6\n{word},0.2,2e-6\nCV,50%,40%\n"
    found = table(tmp_path, rows)
    assert numbers(found) == [[1, 2], [0.1, 0.2], [1e-6, 2e-6]]
    assert any("2 lines after the table left out: line 4" in note for note in found.notes)


def test_names_that_are_more_than_the_values_below_name_no_column(tmp_path: Path) -> None:
    """The first may be missing as well as the last: "Date Time" stand above one column."""
    found = table(tmp_path, "Date\tTime\tV\tI\n10:00\t0.1\t1e-6\n10:01\t0.2\t2e-6\n")
    assert not found.has_header


def test_names_between_doubled_tabs_name_the_columns_in_their_order(tmp_path: Path) -> None:
    found = table(
        tmp_path, "t\t\tV\t\tI\t\tP\t\t\n0.5\t-1.0\t-2e-9\t2e-9\t\n1.0\t-0.5\t-1e-9\t5e-10\t\n"
    )
    (volts,), (current,) = found.of_role("voltage_v"), found.of_role("current_a")
    assert volts.values.tolist() == [-1.0, -0.5]
    assert current.values.tolist() == [-2e-9, -1e-9]


def test_empty_fields_at_the_end_of_every_row_leave_the_names_where_they_are(
    tmp_path: Path,
) -> None:
    found = table(tmp_path, "U / V\tI / A\n0\t1e-11\t\t\t\n0.05\t2e-11\t\t\t\n")
    assert [one.role for one in found.columns] == ["voltage_v", "current_a"]
    assert numbers(found) == [[0, 0.05], [1e-11, 2e-11]]


@pytest.mark.parametrize("tail", ["\x1a", "\n\x1a", "\n\x1a\x1a\x1a", "\n\x1a\r\n"])
def test_the_end_mark_of_dos_ends_a_text(tail: str, tmp_path: Path) -> None:
    found = table(tmp_path, "Time (s),G (uS)\n0,10.5\n1,11.25\n2,9" + tail)
    assert numbers(found) == [[0, 1, 2], [10.5, 11.25, 9]]


@pytest.mark.parametrize("encoding", ["utf-32", "utf-32-le", "utf-32-be"])
def test_text_in_utf_32_is_read(encoding: str, tmp_path: Path) -> None:
    written = text(";", ",", names="Voltage (V)|Current (µA)")
    assert numbers(table(tmp_path, written.encode(encoding))) == [VOLTS, AMPERES]


@pytest.mark.parametrize(
    "rows",
    [
        "0,10.5,,\n1,11.2,\n2,12.9\n3,13.1,,,\n",
        "0,10.5,,,\n1,11.2,,,\n2,12.9,,,\n3,13.1,,,\n,,,,\n",
        "0,10.5, ,\n1,11.2, ,\n2,12.9, ,\n3,13.1, ,\n",
    ],
)
def test_rows_filled_up_with_separators_have_the_columns_that_are_named(
    rows: str, tmp_path: Path
) -> None:
    found = table(tmp_path, "Time (s),G (uS)\n" + rows)
    filled = [column for column in found.columns if column.missing < found.rows]
    assert [column.values.tolist() for column in filled] == [[0, 1, 2, 3], [10.5, 11.2, 12.9, 13.1]]
    assert [column.role for column in filled] == ["time_s", "conductance_s"]


def test_names_with_units_after_blanks_stand_apart_by_several_blanks(tmp_path: Path) -> None:
    found = table(tmp_path, "Time (s)   G (S)\n 0.0D+00  1.2D-06\n 1.0D+00  1.3D-06\n")
    assert [column.name for column in found.columns] == ["Time (s)", "G (S)"]
    assert numbers(found) == [[0, 1], [1.2e-6, 1.3e-6]]


def test_blanks_within_cells_between_commas_are_no_separators(tmp_path: Path) -> None:
    found = table(tmp_path, "Time (s),G (uS)\n0,5 +/- 1\n1,6 +/- 1\n2,7 +/- 1\n")
    assert found.columns[0].values.tolist() == [0, 1, 2]
    assert found.columns[1].texts == ["5 +/- 1", "6 +/- 1", "7 +/- 1"]


def test_a_last_exponent_of_fortran_that_is_cut_off_is_left_out(tmp_path: Path) -> None:
    head = "Time (s),G (S)\n0,1.2D-06\n1,1.3D-06\n"
    assert numbers(table(tmp_path, head + "2,1.4D-06"))[1] == [1.2e-6, 1.3e-6, 1.4e-6]
    for cut in ("2,1.4D-0", "2,1.4", "2"):
        found = table(tmp_path, head + cut)
        assert numbers(found)[1] == [1.2e-6, 1.3e-6]
        assert any("line 4 has no line end" in note for note in found.notes)
