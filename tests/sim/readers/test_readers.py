"""Each layout is recognised by one reader, read in SI units, and refused with file and place."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np
import pytest

from hwloop import plugins
from hwloop.datasets.importing import import_measurement
from hwloop.datasets.measurement import read_measurement, write_measurement
from hwloop.datasets.tables.data_file import DataFile
from hwloop.errors import ConfigError, RecordError

PULSE = {"amplitude_v": "1 V", "width_s": "1 us"}
VOLTS = {"program_v": "5 V", "erase_v": "-8 V"}

FILES = {
    "train_columns": ("a,b\n1e-6,2e-6\n2e-6,3e-6\n3e-6,4e-6\n4e-6,\n", PULSE | {"unit": "S"}),
    "train_lines": (
        "(U2,0,1),tprog=0.0002,Gprog, 3e-6, 2e-6, 1e-6\n"
        "(U2,0,1),terase=0.0001,Gerase, 1e-6, 2e-6, 3e-6\n",
        VOLTS,
    ),
    "iv_sweep": ("V1,I1,absI\n1,2e-3,2e-3\n0,0,0\n-1,-2e-3,2e-3\n", {}),
    "pulse_sweep": ("7\t200\t0.5\t4\t5000\t10000\n7\t200\t1\t4\t5000\t20000\n", {"line": "source"}),
    "program_verify": (
        "9\t4\t2\t1\t5800\t0\t5770\t6010\t1\t0\t0\n9\t4\t2\t1\t4000\t0\t0\t5000\t1\t0\t0\n",
        {},
    ),
    "cycling": ("5\t5000\t80000\t1\n5\t5000\t70000\t2\n", {}),
    "read_series": ("3,100.0,10000,1e-4,2e-5,0.01\n3,100.5,8000,1.25e-4,2e-5,0.01\n", {}),
}


def given(more: dict[str, str]) -> dict[str, str]:
    return {"source": "lab book", **more}


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "measured.txt"
    path.write_text(text, newline="")
    return path


@pytest.mark.parametrize("name", FILES)
def test_a_layout_is_recognised_by_one_reader_and_written_and_read_back(
    name: str, tmp_path: Path
) -> None:
    text, more = FILES[name]
    path = written(tmp_path, text)
    readers = plugins.load_all(plugins.READERS)
    assert [key for key, one in readers.items() if not one.objection(DataFile(path))] == [name]
    imported = import_measurement(path, reader=None, given=given(more))
    assert imported.messages[0].startswith(f"recognised as {name}: ")
    assert re.search("dropped|all .* are used", imported.messages[-1])
    out = tmp_path / "data.h5"
    write_measurement(imported.measurement, out)
    back = read_measurement(out)
    for column, values in imported.measurement.columns.items():
        np.testing.assert_array_equal(back.columns[column], values)
    with pytest.raises(RecordError, match="exists already"):
        write_measurement(imported.measurement, out)


@pytest.mark.parametrize(
    ("name", "column", "values"),
    [
        ("train_columns", "conductance_s", [1e-6, 2e-6, 3e-6, 4e-6, 2e-6, 3e-6, 4e-6]),
        ("train_columns", "train", [0, 0, 0, 0, 1, 1, 1]),
        ("train_lines", "amplitude_v", [5, 5, 5, -8, -8, -8]),
        ("train_lines", "width_s", [2e-4] * 3 + [1e-4] * 3),
        ("iv_sweep", "current_a", [2e-3, 0, -2e-3]),
        ("pulse_sweep", "amplitude_v", [-0.5, -1]),
        ("pulse_sweep", "width_s", [2e-7, 2e-7]),
        ("pulse_sweep", "after_conductance_s", [1e-4, 5e-5]),
        ("program_verify", "target_low_conductance_s", [1 / 6010, 1 / 5000]),
        ("cycling", "reset_conductance_s", [1 / 80000, 1 / 70000]),
        ("read_series", "time_s", [0, 0.5]),
    ],
)
def test_values_are_in_si_units(
    name: str, column: str, values: list[float], tmp_path: Path
) -> None:
    text, more = FILES[name]
    table = import_measurement(written(tmp_path, text), reader=None, given=given(more)).measurement
    np.testing.assert_allclose(table.columns[column], values, rtol=1e-12)


@pytest.mark.parametrize(
    ("header", "scale_v", "scale_a"),
    [
        ("Voltage (V),Current (A)", 1.0, 1.0),
        ("V (mV),I (nA)", 1e-3, 1e-9),
        ("voltage (V),current [µA]", 1.0, 1e-6),
    ],
)
def test_sweeps_are_in_the_units_of_their_header(
    header: str, scale_v: float, scale_a: float, tmp_path: Path
) -> None:
    path = written(tmp_path, f"{header}\n1,2\n3,4\n1,2\n")
    imported = import_measurement(path, reader=None, given=given({}))
    np.testing.assert_allclose(
        imported.measurement.columns["voltage_v"], [scale_v, 3 * scale_v, scale_v]
    )
    np.testing.assert_allclose(imported.measurement.columns["current_a"][1], 4 * scale_a)
    assert ("as they stand" in imported.messages[2]) == (scale_v == scale_a == 1)


def test_a_sweep_whose_currents_go_against_it_is_asked_about(tmp_path: Path) -> None:
    path = written(tmp_path, "V1,I1\n1,-2\n3,-4\n1,-2\n")
    words = import_measurement(path, reader=None, given=given({})).messages
    assert any("3 currents" in line and "signs, exchanged?" in line for line in words)


@pytest.mark.parametrize(
    ("unit", "first_conductance_s"),
    [("S", 1e-1), ("nS", 1e-10), ("nA", 1e-9), ("uA", 1e-6), ("mA", 1e-3), ("MOhm", 1e-5)],
)
def test_trains_in_columns_are_in_the_unit_of_their_header(
    unit: str, first_conductance_s: float, tmp_path: Path
) -> None:
    path = written(tmp_path, f"a ({unit}),b ({unit})\n0.1,0.2\n0.2,0.3\n0.3,0.4\n")
    table = import_measurement(
        path, reader=None, given=given(PULSE | {"read_v": "0.1 V"})
    ).measurement
    assert table.columns["conductance_s"][0] == pytest.approx(first_conductance_s, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "more", "words"),
    [
        ("a,b\n1,2\n,3\n4,5\n", PULSE | {"unit": "S"}, "line 3: a gap in column 'a'"),
        ("a,b\n1,2\n-2,3\n4,5\n", PULSE | {"unit": "S"}, "line 3: a -2: expected a value above 0"),
        ("a,b\n1,2\n1,2\n", PULSE | {"unit": "S"}, "column 'a' has 2 values: expected 3 or more"),
        ("a,b\n1,2\n1,2\n1,2\n", PULSE, "has no unit in its header"),
        ("a (uS),b (uS)\n1,2\n1,2\n1,2\n", PULSE | {"unit": "S"}, "own header says uS"),
        ("a,b\n1,2\n1,2\n1,2\n", PULSE | {"unit": "A"}, "does not say read_v"),
        ("a,b\n1,2\n1,2\n1,2\n", {"unit": "S"}, "does not say amplitude_v"),
        ("a,b\n1,2\n1,2\n1,2\n", PULSE | {"unit": "S", "columns": "c"}, "has no column 'c'"),
        (FILES["train_lines"][0], {"program_v": "5 V"}, "does not say erase_v"),
        (FILES["train_lines"][0].replace("2e-6", "-2e-6"), VOLTS, "line 1: conductance -2e-06 S"),
        (FILES["train_lines"][0] + "(U2,0,1)\n", VOLTS, "line 3: '(U2,0,1)'"),
        ("V1,I1\n1,2\n2,\n1,2\n", {}, "line 3: no value of I1"),
        ("V1,I1\n1,2\n", {}, "1 points: expected 3 or more"),
        (FILES["pulse_sweep"][0], {}, "give --set line=bit"),
        (FILES["program_verify"][0].replace("4000", "0"), {}, "line 2: final resistance 0 ohm"),
        (FILES["program_verify"][0].replace("5770", "6770"), {}, "line 1: target low 6770 ohm"),
        (FILES["program_verify"][0] * 2 + "1\t2\n", {}, "line 5: no value of column 3"),
        ("5\t80000\t5000\t1\n5\t70000\t5000\t2\n", {}, "the other way round"),
        (
            FILES["read_series"][0].replace("100.5", "99"),
            {},
            "line 2: time 99 s: expected 100 s or later",
        ),
        (FILES["read_series"][0] * 2 + "3,200,100,1,1,1\n", {}, "line 5: conductance 1 S"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line_with_its_place(
    text: str, more: dict[str, str], words: str, tmp_path: Path
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as refusal:
        import_measurement(path, reader=None, given=given(more))
    assert str(refusal.value).startswith(f"{path}: ") or refusal.value.key in more
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_packed_file_is_read_as_it_is_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    packed = gzip.compress(FILES["cycling"][0].encode())
    path = tmp_path / "cycles.tsv.gz"
    path.write_bytes(packed)
    table = import_measurement(path, reader=None, given=given({})).measurement
    assert table.title == "cycles"
    assert table.columns["cycle"].tolist() == [1, 2]
    path.write_bytes(packed[:-9])
    with pytest.raises(ConfigError, match="Compressed file ended"):
        import_measurement(path, reader="cycling", given=given({}))


@pytest.mark.parametrize(
    ("name", "reader", "more", "rows"),
    [
        ("taox_pulses/set.csv", "train_columns", PULSE | {"unit": "A", "read_v": "0.1"}, 3776),
        ("yflash/data_cycle2cycle.txt", "train_lines", VOLTS, None),
        ("yflash/data_device2device_prog_erase.txt", "train_lines", VOLTS, None),
        ("nbsto_iv/large_m2V.csv", "iv_sweep", {}, 602),
        ("nbsto_iv/radius100um_m2V.csv", "iv_sweep", {}, 601),
        ("nbsto_iv/radius100um_m3V.csv", "iv_sweep", {}, 1002),
        ("rram_1t1r_mlc/ispp-wl0.010-7-24-20.csv", "program_verify", {}, 2048),
        ("rram_1t1r_mlc/cycling-5-1-20.csv.gz", "cycling", {}, 30000),
        ("rram_1t1r_reliability/100cyc.tsv.gz", "cycling", {}, 2048),
        ("rram_1t1r_reliability/1us_endurance.tsv.gz", "cycling", {}, 10050),
        ("rram_1t1r_reliability/ret1.csv.gz", "read_series", {}, 10000),
        (
            "rram_1t1r_mlc/set-sweep-wl-noreset-200ns-step-0.05-7-30-20.csv.gz",
            "pulse_sweep",
            {"line": "bit"},
            9143,
        ),
    ],
)
def test_a_measured_file_is_read_by_its_reader(
    name: str, reader: str, more: dict[str, str], rows: int | None, shared_data: Path
) -> None:
    imported = import_measurement(shared_data / name, reader=None, given=given(more))
    assert imported.messages[0].startswith(f"recognised as {reader}: ")
    assert rows is None or imported.measurement.rows == rows


@pytest.mark.parametrize(
    "name",
    [
        "rram_1t1r_mlc/form-5-1-20.csv",
        "rram_1t1r_mlc/ber-time-temp.csv",
        "letters_4x4/letters_4x4.csv",
    ],
)
def test_a_file_of_another_kind_is_recognised_by_none(name: str, shared_data: Path) -> None:
    with pytest.raises(ConfigError, match="not recognised by any reader"):
        import_measurement(shared_data / name, reader=None, given=given({}))


def test_the_published_figures_of_the_measured_files_come_out(shared_data: Path) -> None:
    reads = import_measurement(
        shared_data / "rram_1t1r_reliability" / "ret1.csv.gz", reader=None, given=given({})
    ).measurement.columns["conductance_s"]
    assert reads.mean() == pytest.approx(92.96e-6, rel=1e-4)
    assert reads.std() == pytest.approx(1.57e-6, rel=5e-3)
    cycles = import_measurement(
        shared_data / "rram_1t1r_mlc" / "cycling-5-1-20.csv.gz", reader=None, given=given({})
    ).measurement.columns
    assert 1 / np.median(cycles["set_conductance_s"]) == pytest.approx(5.0e3, rel=5e-3)
    assert 1 / np.median(cycles["reset_conductance_s"]) == pytest.approx(73.9e3, rel=1e-3)


def test_line_that_a_table_cannot_have_is_named_and_no_traceback(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    rows = [f"{n},{n}e-6,{2 * n}e-6" for n in range(1, 9)]
    table.write_bytes("\n".join(["n,a (S),b (S)", *rows, "9,1e-6\r2e-6,3e-6"]).encode())
    given = {"amplitude_v": "2 V", "width_s": "1 ms", "source": "lab book"}
    with pytest.raises(
        ConfigError, match=r"t\.csv: line 10: a carriage return stands within the line"
    ):
        import_measurement(table, reader=None, given=given)
