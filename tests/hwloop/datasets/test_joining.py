"""Files of trains, or of sweeps, become one dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwloop.datasets.importing import import_measurement
from hwloop.datasets.joining import import_files, import_joined
from hwloop.errors import ConfigError

GIVEN = {"amplitude_v": "2 V", "width_s": "1 ms", "source": "lab book"}


def _column(path: Path, *values: str, unit: str = "S") -> Path:
    path.write_text("\n".join([f"Conductance({unit})", *values, ""]), encoding="utf-8")
    return path


def test_trains_keep_their_order_their_length_and_their_values(tmp_path: Path) -> None:
    paths = [
        _column(tmp_path / "b.csv", "1e-6", "2e-6"),
        _column(tmp_path / "a.csv", "3", "4", "5", unit="uS"),
    ]
    imported = import_joined(paths, reader=None, given=GIVEN)
    columns = imported.measurement.columns
    np.testing.assert_array_equal(columns["train"], [0, 0, 1, 1, 1])
    np.testing.assert_array_equal(columns["pulse"], [0, 1, 0, 1, 2])
    np.testing.assert_allclose(columns["conductance_s"], [1e-6, 2e-6, 3e-6, 4e-6, 5e-6], rtol=1e-12)
    assert set(columns["amplitude_v"]) == {2.0}
    assert set(columns["cell"]) == {0.0}
    assert imported.measurement.conditions.width_s == 1e-3
    assert imported.measurement.source == "lab book"


def test_what_holds_for_all_files_is_said_once(tmp_path: Path) -> None:
    paths = [
        _column(tmp_path / "a.csv", "1e-6", "2e-6"),
        _column(tmp_path / "b.csv", "1e-6", "2e-6"),
        _column(tmp_path / "c.csv", "1e-6", "2e-6", "3e-6"),
    ]
    words = import_joined(paths, reader=None, given=GIVEN).messages
    assert sum(line.startswith("recognised as single_column") for line in words) == 1
    assert "a.csv, b.csv: 2 values in S under 'Conductance(S)'" in words
    assert "c.csv: 3 values in S under 'Conductance(S)'" in words
    assert words[-1] == "3 trains of 2 V, 0.001 s, taken to be of one cell"


def test_logs_of_two_pulses_are_kept_apart(shared_data: Path, tmp_path: Path) -> None:
    up = shared_data / "manhattan_4x4" / "SP291D1NR100.dat"
    text = up.read_text(encoding="ascii").replace("2.000000E+0,+", "1.500000E+0,+")
    other = tmp_path / "other.dat"
    lines = text.replace("ON Voltage (V):2.0", "ON Voltage (V):1.5").split("\n")
    # The resistance of a pulse row is checked: it follows the voltage.
    for i, line in enumerate(lines):
        cells = line.split(",")
        if cells[1:2] == ["1.500000E+0"]:
            lines[i] = ",".join([*cells[:5], f"{1.5 / float(cells[2]):.6E}"])
    other.write_text("\n".join(lines), encoding="ascii")
    measurement = import_joined([up, other], reader=None, given={}).measurement
    assert measurement.conditions.amplitude_v is None
    assert measurement.conditions.temperature_k == 449.1
    np.testing.assert_array_equal(np.unique(measurement.columns["amplitude_v"]), [1.5, 2.0])


def test_a_file_that_cannot_be_joined_is_named(tmp_path: Path) -> None:
    good = _column(tmp_path / "a.csv", "1e-6", "2e-6")
    sweep = tmp_path / "sweep.csv"
    sweep.write_text("V1,I1,absI\n0.1,1e-7,1e-7\n0.2,2e-7,2e-7\n0.1,1e-7,1e-7\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"sweep\.csv: holds iv: .* by itself"):
        import_joined([good, sweep], reader=None, given={"source": "lab book"} | GIVEN)
    bad = _column(tmp_path / "bad.csv", "1e-6", "-2e-6")
    with pytest.raises(ConfigError, match=r"bad\.csv: line 3: conductance -2e-06 S"):
        import_joined([good, bad], reader=None, given=GIVEN)


def test_pulses_of_joined_logs_keep_their_own_amplitudes_and_widths(tmp_path: Path) -> None:
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    head = "pulse voltage (V),width (ms),conductance (uS)\n"
    paths[0].write_text(f"{head}1,1,10\n1.1,2,11\n1.2,3,12\n-1,1,9\n", encoding="utf-8")
    paths[1].write_text(f"{head}2,1,20\n2.1,1,21\n", encoding="utf-8")
    columns = import_joined(paths, reader=None, given={"source": "x"}).measurement.columns
    np.testing.assert_array_equal(columns["train"], [0, 0, 0, 1, 1, 2, 2])
    np.testing.assert_array_equal(columns["amplitude_v"], [1.1, 1.1, 1.2, -1, -1, 2.1, 2.1])
    np.testing.assert_allclose(columns["width_s"], [2e-3, 2e-3, 3e-3, 1e-3, 1e-3, 1e-3, 1e-3])
    np.testing.assert_allclose(columns["conductance_s"] * 1e6, [10, 11, 12, 12, 9, 20, 21])


def test_sweeps_of_several_files_are_numbered_on(tmp_path: Path) -> None:
    for name, factor in (("a.csv", 1), ("b.csv", 2)):
        rows = "".join(f"{v},{v * factor}e-6\n" for v in (1, 2, 3))
        (tmp_path / name).write_text(f"V (V),I (A)\n{rows}", encoding="utf-8")
    imported = import_files([tmp_path], reader=None, given={"source": "x"})
    assert imported.measurement.kind == "iv"
    np.testing.assert_array_equal(imported.measurement.columns["sweep"], [0, 0, 0, 1, 1, 1])
    np.testing.assert_allclose(
        imported.measurement.columns["current_a"], [1e-6, 2e-6, 3e-6, 2e-6, 4e-6, 6e-6]
    )
    assert imported.messages[-1] == "2 sweeps, taken to be of one cell"


def test_a_folder_stands_for_its_files_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (1, 2, 10):
        _column(tmp_path / f"up_{number}.csv", f"{number}e-6", f"{number + 1}e-6")
    (tmp_path / ".hidden").write_text("no data", encoding="utf-8")
    measurement = import_files([tmp_path], reader=None, given=GIVEN).measurement
    np.testing.assert_allclose(measurement.columns["conductance_s"][::2], [1e-6, 2e-6, 10e-6])


def test_one_file_is_imported_as_it_is(tmp_path: Path) -> None:
    path = _column(tmp_path / "a.csv", "1e-6", "2e-6")
    alone = import_measurement(path, reader=None, given=GIVEN)
    for source in (path, tmp_path):
        same = import_files([source], reader=None, given=GIVEN)
        assert same.messages == alone.messages
        columns = same.measurement.columns
        assert list(columns) == list(alone.measurement.columns)
        for name, column in alone.measurement.columns.items():
            np.testing.assert_array_equal(columns[name], column)


def test_a_file_that_comes_twice_is_refused(tmp_path: Path) -> None:
    path = _column(tmp_path / "a.csv", "1e-6", "2e-6")
    with pytest.raises(ConfigError, match=r"a\.csv: is named twice"):
        import_files([path, tmp_path], reader=None, given=GIVEN)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder without files"):
        import_files([tmp_path], reader=None, given=GIVEN)
