"""Recorded data becomes a dataset, or one clear line says why not."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from hwloop.datasets.importing import import_measurement
from hwloop.datasets.measurement import read_measurement, write_measurement
from hwloop.datasets.tables import data_file, text_rows
from hwloop.datasets.tables.options import TableOptions
from hwloop.datasets.tables.table import DataTable
from hwloop.errors import ConfigError, RecordError

GIVEN = {"amplitude_v": "2 V", "width_s": "1 ms", "source": "lab book"}


@pytest.fixture
def log(shared_data: Path) -> Path:
    return shared_data / "manhattan_4x4" / "SP291D1NR100.dat"


def test_the_bench_log_gives_the_published_series_exactly(log: Path) -> None:
    measurement = import_measurement(log, reader=None, given={}).measurement
    published = np.loadtxt(log.with_name("datafile.csv"), skiprows=1)
    assert measurement.kind == "trains"
    np.testing.assert_array_equal(measurement.columns["conductance_s"], published)
    assert measurement.conditions.amplitude_v == 2.0
    assert measurement.conditions.width_s == 1e-3
    assert measurement.conditions.read_v == 0.05
    assert measurement.conditions.temperature_k == 449.1


def test_the_published_column_is_read_with_what_the_user_gives(log: Path) -> None:
    imported = import_measurement(log.with_name("datafile.csv"), reader=None, given=GIVEN)
    published = np.loadtxt(log.with_name("datafile.csv"), skiprows=1)
    np.testing.assert_array_equal(imported.measurement.columns["conductance_s"], published)
    assert "51 values in S under 'Conductance(S)'" in imported.messages


def test_one_train_repeats_its_pulse_in_every_row(tmp_path: Path) -> None:
    path = tmp_path / "column.csv"
    path.write_text("Conductance(uS)\n1\n2\n4\n")
    measurement = import_measurement(path, reader=None, given=GIVEN).measurement
    for name, values in {
        "cell": [0, 0, 0],
        "train": [0, 0, 0],
        "pulse": [0, 1, 2],
        "amplitude_v": [2.0, 2.0, 2.0],
        "width_s": [1e-3, 1e-3, 1e-3],
        "conductance_s": [1e-6, 2e-6, 4e-6],
    }.items():
        np.testing.assert_array_equal(measurement.columns[name], values)


def test_numbers_beyond_the_bound_are_refused_before_they_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log.csv.gz"
    rows = b"11,22,33\n" * 100_000
    path.write_bytes(gzip.compress(b"Voltage (V),Current (A),Time (s)\n" + rows))
    monkeypatch.setattr(text_rows, "MAX_NUMBERS", 299_999)
    with pytest.raises(ConfigError, match=r"log\.csv\.gz: holds more than 299999 numbers"):
        import_measurement(path, reader=None, given={"source": "lab book"})


def test_a_file_is_read_once_for_all_readers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "sweep.csv"
    path.write_text("Voltage (V),Current (A)\n0.1,1e-6\n0.2,2e-6\n0.3,3e-6\n")
    read: list[Path] = []
    whole = data_file.tables_of_text

    def noted(one: Path, options: TableOptions) -> list[DataTable]:
        read.append(one)
        return whole(one, options)

    monkeypatch.setattr(data_file, "tables_of_text", noted)
    measurement = import_measurement(path, reader=None, given={"source": "x"}).measurement
    assert measurement.columns["current_a"].tolist() == [1e-6, 2e-6, 3e-6]
    assert read == [path]


Change = Callable[[list[str]], object]


def replace(line: int, old: str, new: str) -> Change:
    def change(lines: list[str]) -> None:
        assert old in lines[line - 1]
        lines[line - 1] = lines[line - 1].replace(old, new)

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (replace(1, "50", "49"), "announces 49 pulses but has 153 rows"),
        (replace(5, "2.0", "2.1"), "line 15: voltage 2 V: expected ON Voltage"),
        (replace(4, "50.0", "60.0"), "line 14: voltages 0.05 V and -0.05 V"),
        (replace(14, "2.437500E-8", "2.437500E-6"), "line 14: resistance 2200317 ohm"),
        (
            replace(14, "2.200317E+6", "-2.200317E+6"),
            "line 14: resistance -2.20032e+06 ohm: expected a value above 0",
        ),
        (replace(14, "2.437500E-8", "nan"), "line 14: current 'nan': expected a finite number"),
        (replace(13, "0.000000E+0", "1.0"), "line 13: voltage 1 V: expected OFF Voltage"),
        (replace(20, "+", "-"), "line 20"),
        (replace(6, "tON (ms)", "tOn"), "line 6"),
        (replace(11, "Time", "Zeit"), "has no line of column names"),
        (lambda lines: lines.pop(40), "announces 50 pulses but has 152 rows"),
        (lambda lines: lines.__delitem__(slice(100, None)), "rows; expected 153"),
    ],
)
def test_a_log_that_contradicts_itself_is_refused_with_line_and_value(
    change: Change, words: str, log: Path, tmp_path: Path
) -> None:
    lines = log.read_text(encoding="ascii").splitlines()
    change(lines)
    damaged = tmp_path / "damaged.dat"
    damaged.write_text("".join(f"{line}\r\n" for line in lines), encoding="ascii", newline="")
    with pytest.raises(ConfigError) as refusal:
        import_measurement(damaged, reader=None, given={})
    assert str(refusal.value).startswith(f"{damaged}: ")
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "given", "values_conductance_s"),
    [
        ("Conductance(S)\n1e-6\n2e-6\n", {}, (1e-6, 2e-6)),
        ("G (uS)\n454.48\n490.1\n", {}, (454.48e-6, 490.1e-6)),
        ("R [kOhm]\n2\n4\n", {}, (1 / 2e3, 1 / 4e3)),
        ("1e-6\r\n\r\n2e-6\r\n", {"unit": "S"}, (1e-6, 2e-6)),
    ],
)
def test_a_column_is_taken_to_siemens(
    text: str, given: dict[str, str], values_conductance_s: tuple[float, ...], tmp_path: Path
) -> None:
    path = tmp_path / "column.csv"
    path.write_text(text, newline="")
    measurement = import_measurement(path, reader=None, given=GIVEN | given).measurement
    np.testing.assert_array_equal(measurement.columns["conductance_s"], values_conductance_s)


@pytest.mark.parametrize(
    ("text", "given", "words"),
    [
        (
            "Conductance(S)\n1e-6\n-2e-6\n",
            GIVEN,
            "line 3: conductance -2e-06 S: expected a value above 0",
        ),
        (
            "Conductance(S)\n1e-6\ninf\n",
            GIVEN,
            "line 3: Conductance(S) 'inf': expected a measured value: this one says that the meter",
        ),
        ("Conductance(S)\n1e-6\nx\n", GIVEN, "line 3: Conductance(S) 'x': expected a number"),
        ("Conductance(S)\n1e-6\n2e-6\n", {}, "does not say amplitude_v, width_s, source"),
        ("1e-6\n2e-6\n", GIVEN, "has no unit in its header; give it as --set unit=S"),
        ("Conductance(S)\n1e-6\n2e-6\n", GIVEN | {"width_s": "1 mV"}, "width_s"),
        ("Conductance(S)\n1e-6\n2e-6\n", GIVEN | {"witdh_s": "1"}, "did you mean 'width_s'"),
        ("Conductance(S)\n1e-6\n", GIVEN, "column.csv: holds 1 value: expected 2 or more"),
        ("Conductance(S)\n", GIVEN, "column.csv: holds no row of numbers"),
        ("Conductance(S)\n454\n460\n", GIVEN, "column.csv: its conductances are about 457 S"),
        ("Conductance(S)\n1e-6\n2e-6\n", GIVEN | {"amplitude_v": "0 V"}, "not of 0 V"),
        (
            "hello\nworld\n",
            GIVEN,
            "column.csv: holds no row of numbers",
        ),
        (
            "a (V),b (V)\n1,2\n2,3\n",
            GIVEN,
            "`hwloop import --explain FILE` shows what each of them misses",
        ),
        ("", GIVEN, "is empty"),
        ("\x00\x01\x02\x03", GIVEN, "it is not text"),
    ],
)
def test_a_column_that_cannot_be_used_is_refused_with_place_and_reason(
    text: str, given: dict[str, str], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "column.csv"
    path.write_text(text)
    with pytest.raises(ConfigError) as refusal:
        import_measurement(path, reader=None, given=given)
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file"):
        import_measurement(tmp_path / "none.csv", reader=None, given=GIVEN)
    with pytest.raises(ConfigError, match="is a folder"):
        import_measurement(tmp_path, reader=None, given=GIVEN)


def test_a_dataset_reads_back_as_it_was_written_and_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "column.csv"
    path.write_text("Conductance(S)\n1e-6\n2e-6\n")
    given = GIVEN | {"temperature_k": "300"}
    written = import_measurement(path, reader=None, given=given).measurement
    write_measurement(written, tmp_path / "t.h5")
    back = read_measurement(tmp_path / "t.h5")
    for name, column in written.columns.items():
        np.testing.assert_array_equal(back.columns[name], column)
    assert back.model_copy(update={"columns": {}}) == written.model_copy(update={"columns": {}})
    with h5py.File(tmp_path / "t.h5") as file:
        assert file["columns/conductance_s"].attrs["units"] == "S"
    with pytest.raises(RecordError, match="exists already"):
        write_measurement(written, tmp_path / "t.h5")
    with pytest.raises(RecordError, match=r"t\.h5: there is no folder .*none$"):
        write_measurement(written, tmp_path / "none" / "t.h5")


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A dataset of 1 and 2 µS."""
    path = tmp_path / "column.csv"
    path.write_text("Conductance(S)\n1e-6\n2e-6\n")
    imported = import_measurement(path, reader=None, given=GIVEN)
    write_measurement(imported.measurement, tmp_path / "t.h5")
    return tmp_path / "t.h5"


@pytest.mark.parametrize("value", [-1e-6, 0.0, np.nan, np.inf])
def test_a_dataset_with_an_impossible_conductance_is_refused(value: float, dataset: Path) -> None:
    with h5py.File(dataset, "a") as file:
        file["columns/conductance_s"][1] = value
    words = rf"t\.h5: columns\.conductance_s: row 1 is {value:g}: expected a value above 0 S"
    with pytest.raises(ConfigError, match=words):
        read_measurement(dataset)


def test_a_dataset_of_another_unit_is_refused(dataset: Path) -> None:
    with h5py.File(dataset, "a") as file:
        file["columns/conductance_s"].attrs["units"] = "uS"
    with pytest.raises(ConfigError, match=r"conductance_s: units are 'uS': expected 'S'"):
        read_measurement(dataset)


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n" + bytes(99)])
def test_a_damaged_dataset_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "t.h5").write_bytes(content)
    with pytest.raises(ConfigError, match="damaged, or not an HDF5 file"):
        read_measurement(tmp_path / "t.h5")


@pytest.mark.parametrize(
    ("last", "claimed"), [("2,7.25\n", True), ("2,7.25\n\n# end\n", True), ("2,7.2", False)]
)
def test_a_row_that_was_left_out_never_stands_beside_none_was_dropped(
    last: str, claimed: bool, tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text("Time (s),G (uS)\n0,5.25\n1,6.25\n1.5,6.5\n" + last)
    messages = import_measurement(tmp_path / "t.csv", reader=None, given={"source": "x"}).messages
    assert ("no row of the table was dropped" in messages) == claimed
    assert any("was left out" in one for one in messages) != claimed
