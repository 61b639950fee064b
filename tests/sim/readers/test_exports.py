"""Exports of further programs through the whole import: recognised by the one reader that fits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwloop.datasets.importing import Imported, import_measurement
from hwloop.datasets.tables.options import TableOptions
from hwloop.errors import ConfigError

# By the maker's "Specification for the LabVIEW Measurement File (.lvm)".
LVM = """LabVIEW Measurement\t
Writer_Version\t2
Reader_Version\t2
Separator\tTab
Decimal_Separator\t.
Multi_Headings\tNo
X_Columns\t{x_columns}
Time_Pref\tRelative
***End_of_Header***\t
\t
Channels\t2\t\t
Samples\t4\t4\t
Y_Unit_Label\tVolts\tMilliamps\t
X_Dimension\tTime\tTime\t
X0\t0.5\t0.5\t
Delta_X\t0.250000\t0.250000\t
***End_of_Header***\t\t\t
X_Value\tVoltage\tCurrent\tComment
{rows}"""


def imported(
    folder: Path, text: str, options: TableOptions | None = None, **given: str
) -> Imported:
    path = folder / "export.txt"
    path.write_text(text, encoding="utf-8")
    return import_measurement(path, reader=None, given={"source": "x", **given}, options=options)


@pytest.mark.parametrize("x_columns", ["One", "No"])
def test_a_labview_file_has_the_times_and_units_of_its_tags(tmp_path: Path, x_columns: str) -> None:
    times = ["0.5", "0.75", "1.0", "1.25"] if x_columns == "One" else [""] * 4
    values = [(0.1, 1), (0.2, 2), (0.3, 3), (0.2, 2)]
    rows = "".join(f"{t}\t{v}\t{i}\n" for t, (v, i) in zip(times, values, strict=True))
    columns = imported(tmp_path, LVM.format(x_columns=x_columns, rows=rows)).measurement.columns
    np.testing.assert_allclose(columns["time_s"], [0.5, 0.75, 1.0, 1.25])
    np.testing.assert_allclose(columns["voltage_v"], [0.1, 0.2, 0.3, 0.2])
    np.testing.assert_allclose(columns["current_a"], [1e-3, 2e-3, 3e-3, 2e-3])


def test_of_an_applied_and_a_measured_potential_autolabs_measured_one_is_taken(
    tmp_path: Path,
) -> None:
    text = (
        "Potential applied (V);Time (s);WE(1).Current (A);WE(1).Potential (V);Scan;Index\n"
        "0,1;0,1;1E-6;0,098;1;1\n0,2;0,2;2E-6;0,198;1;2\n0,3;0,3;3E-6;0,298;1;3\n"
    )
    result = imported(tmp_path, text)
    np.testing.assert_allclose(result.measurement.columns["voltage_v"], [0.098, 0.198, 0.298])
    assert any("columns left out: Potential applied (V)" in line for line in result.messages)


def test_each_step_of_an_ltspice_export_is_a_sweep_and_keeps_its_parameters(tmp_path: Path) -> None:
    text = (
        "time\tV(n001)\tI(R1)\n"
        "Step Information: R=1K  (Run: 1/2)\n0\t0\t0\n1e-3\t0.1\t1e-4\n2e-3\t0.2\t2e-4\n"
        "Step Information: R=2K  (Run: 2/2)\n0\t0\t0\n1e-3\t0.1\t5e-5\n2e-3\t0.2\t1e-4\n"
    )
    found = imported(tmp_path, text).measurement
    assert found.columns["sweep"].tolist() == [0, 0, 0, 1, 1, 1]
    np.testing.assert_allclose(found.columns["current_a"], [0, 1e-4, 2e-4, 0, 5e-5, 1e-4])
    assert "0: R=1K; 1: R=2K" in found.conditions.note
    with pytest.raises(ConfigError, match=r"line 8: V.n001. '9.9e37'"):
        imported(tmp_path, text.replace("1e-3\t0.1\t5e-5", "1e-3\t9.9e37\t5e-5"))
    columns = imported(tmp_path, text, TableOptions(table="2")).measurement.columns
    np.testing.assert_allclose(columns["current_a"], [0, 5e-5, 1e-4])
    np.testing.assert_allclose(columns["voltage_v"], [0, 0.1, 0.2])


def test_columns_that_are_numbered_trains_are_no_counters(tmp_path: Path) -> None:
    given = {"amplitude_v": "1 V", "width_s": "1 ms", "unit": "uS"}
    text = "train 0,train 1\n10,20\n11,21\n12,22\n"
    columns = imported(tmp_path, text, **given).measurement.columns
    np.testing.assert_allclose(columns["conductance_s"] * 1e6, [10, 11, 12, 20, 21, 22])
    with pytest.raises(ConfigError, match="not recognised"):
        imported(tmp_path, "train,sweep\n1,20\n2,21\n3,22\n", **given)


@pytest.mark.parametrize(
    ("text", "kind", "reader"),
    [
        ("AV(1),AI(1),AV(2),AI(2)\n1,1e-6,1,2e-6\n2,2e-6,2,4e-6\n3,3e-6,#REF,#REF\n4,4e-6,4,8e-6\n",
         "iv", "sweep_pairs"),
        ("Cycle,LRS (ohm),HRS (ohm)\n1,1e4,1e6\n2,1e4,1e6\n3,1e4,1e6\n", "cycling", "cycle_columns"),
        ("Pulse #,Pulse voltage (V),Pulse width (ms),G (uS)\n1,1,1,9\n2,1,1,10\n3,1,1,11\n",
         "trains", "pulse_log"),
        ("Puls Nr.;Spannung (V);Breite (ms);Leitwert (µS)\n1;1,5;1;9,1\n2;1,5;1;10,2\n3;-1;1;9\n",
         "trains", "pulse_log"),
    ],
)  # fmt: skip
def test_one_reader_alone_takes_the_file(tmp_path: Path, text: str, kind: str, reader: str) -> None:
    result = imported(tmp_path, text)
    assert result.measurement.kind == kind
    assert result.messages[0].startswith(f"recognised as {reader}: ")


def test_a_pulse_that_contradicts_those_in_the_rows_is_refused(tmp_path: Path) -> None:
    text = "Pulse voltage (V),Pulse width (ms),G (uS)\n1,1,9\n1,1,10\n1,1,11\n"
    assert imported(tmp_path, text, amplitude_v="1 V").measurement.conditions.amplitude_v == 1
    with pytest.raises(ConfigError, match=r"amplitude_v: 3 was given .* have 1: leave it out"):
        imported(tmp_path, text, amplitude_v="3 V")


def test_voltage_and_current_of_a_terminal_are_no_trains_and_are_chosen(tmp_path: Path) -> None:
    text = "DataName, VB, IT, IB, IC, VT\nDataValue, 0.35, 1e-3, 1e-11, 5e-10, 0.11\n"
    text += "DataValue, 0.4, 1e-3, 2e-11, 6e-10, 0.11\nDataValue, 0.45, 1e-3, 3e-11, 7e-10, 0.11\n"
    pulse = {"amplitude_v": "1 V", "width_s": "1 s", "unit": "S"}
    with pytest.raises(ConfigError, match=r"not recognised.*--column current_a=NAME"):
        imported(tmp_path, text, **pulse)
    chosen = TableOptions(columns=(("voltage_v", "VB"), ("current_a", "IC")))
    columns = imported(tmp_path, text, chosen).measurement.columns
    np.testing.assert_array_equal(columns["voltage_v"], [0.35, 0.4, 0.45])
    np.testing.assert_array_equal(columns["current_a"], [5e-10, 6e-10, 7e-10])


def test_a_lone_resistance_beside_a_sweep_is_that_of_a_fit_and_contradicts_nothing(
    tmp_path: Path,
) -> None:
    rows = "-0.1\t-1e-5\t9000\n-0.2\t-2e-5\t{second}\n-0.3\t-3e-5\t{third}\n-0.4\t-4e-5\t9000\n"
    text = "AV\tAI\tRES\n1e-6\t1e-7\t9675\n"
    alone = rows.replace("9000", "").format(second="", third="")
    messages = imported(tmp_path, text + alone).messages
    assert "RES has 1 values, as a fit has: not compared" in messages
    with pytest.raises(ConfigError, match="contradict each other"):
        imported(tmp_path, text + rows.format(second="9000", third="9000"))
