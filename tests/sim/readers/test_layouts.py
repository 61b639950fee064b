"""Files as instruments, programs and people write them give the right numbers, or one line.

The points are those of a triangular sweep of a resistor of 10 kilohm, computed by hand; the layouts
follow the manuals of the programs that are named in each.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwloop.datasets.importing import Imported, import_measurement
from hwloop.datasets.tables.options import TableOptions
from hwloop.errors import ConfigError

VOLTS = [0.0, 0.2, 0.4, 0.2, 0.0, -0.2, -0.4, -0.2]
AMPERES = [volts / 1e4 for volts in VOLTS]
TIMES = [0.5 * i for i in range(len(VOLTS))]
PULSE = {"amplitude_v": "1 V", "width_s": "1 us"}


def taken(
    tmp_path: Path,
    text: str,
    more: dict[str, str] | None = None,
    *,
    reader: str | None = None,
    **options: object,
) -> Imported:
    path = tmp_path / "measured.txt"
    path.write_text(text, newline="", encoding="utf-8")
    given = {"source": "lab book", **(more or {})}
    return import_measurement(
        path,
        reader=reader,
        given=given,
        options=TableOptions(**options),  # type: ignore[arg-type]
    )


def rows(form: str) -> str:
    """Return a row per point; v, i and t in ``form`` stand for the values."""
    return "".join(
        form.format(v=v, i=i, t=t, n=n)
        for n, (v, i, t) in enumerate(zip(VOLTS, AMPERES, TIMES, strict=True))
    )


SWEEPS = {
    "names between blanks, rows between tabs": "Voltage Current Time\n" + rows("{v}\t{i}\t{t}\n"),
    "LabVIEW, a blank in a name": "Time\tVoltage \tCurrent\r\n" + rows("{t}\t{v}\t{i}\r\n"),
    "EasyEXPERT": "SetupTitle, x\nPrimitiveTest, I/V Sweep\nDimension1, 8\nDataName, V1, I1, Time\n"
    + rows("DataValue, {v}, {i}, {t}\n"),
    "EasyEXPERT without times of its own": "SetupTitle, x\nDimension1, 8\nDataName, Time, V1, I1\n"
    + rows("DataValue, {t}, {v}, {i:.4E}\n"),
    "Gamry": "EXPLAIN\nTAG\tCV\nCURVE1\tTABLE\n\tPt\tT\tVf\tIm\tOver\n"
    "\t#\ts\tV vs. Ref.\tA\tbits\n" + rows("\t{n}\t{t}\t{v}\t{i}\t...........\n"),
    "comments of settings": "# operator=N\n# range=1e-3\nTime (s),Voltage (V),Current (A)\n"
    + rows("{t},{v},{i}\n"),
    "PyMeasure": "#Procedure: <lab.Sweep>\n#Parameters:\n#\tGain: 1\n#Data:\n"
    "Time (s),Voltage (V),Current (A)\n" + rows("{t},{v},{i}\n"),
    "QCoDeS text": '# time_set\tvoltage\tcurrent\n# "Time"\t"Voltage"\t"Current"\n# 8\n'
    + rows("{t}\t{v}\t{i}\n"),
    "LTspice": "time\tV(n001)\tI(R1)\n" + rows("{t}\t{v}\t{i}\n"),
    "units below the names": "t;U;I\ns;V;A\n" + rows("{t};{v};{i}\n").replace(".", ","),
    "German": "Zeit (s);Spannung (V);Strom (A)\n" + rows("{t};{v};{i}\n").replace(".", ","),
    "Keithley 4200": "Time,AV,AI\n" + rows("{t},{v},{i}\n"),
    "source meter, quoted": '"Reading Time","Source Voltage","Measured Current"\n'
    + rows('"{t}","{v}","{i}"\n'),
    "a title above": "Sweep of cell 3\n\nt (s)\tV (V)\tI (A)\n" + rows("{t}\t{v}\t{i}\n"),
}


@pytest.mark.parametrize("name", SWEEPS)
def test_a_sweep_of_every_program_gives_the_same_points(name: str, tmp_path: Path) -> None:
    imported = taken(tmp_path, SWEEPS[name])
    columns = imported.measurement.columns
    assert imported.measurement.kind == "iv"
    np.testing.assert_allclose(columns["voltage_v"], VOLTS, rtol=0, atol=0)
    np.testing.assert_allclose(columns["current_a"], AMPERES, rtol=1e-4)
    np.testing.assert_array_equal(columns["time_s"], TIMES)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x-axis,1,2\nsecond,Volt,Volt\n" + rows("{t},{v},{v}\n"), "2 voltages and no current"),
        (rows("{v},{i}\n"), "it has no header: its 2 columns have no names"),
        ("Pulse #,Gate\n1,2\n2,2\n3,2\n", "not recognised by any reader"),
        ("V (V),I (A),R (ohm)\n" + rows("{v},{i},999\n"), "contradict each other"),
        ("V (V),I (A)\n0.1,20\n0.2,40\n0.3,60\n", "at most 20 A: is the unit another"),
        ("V (A),I (A)\n" + rows("{v},{i}\n"), "not recognised by any reader"),
        ("Time (s),Voltage (V),Current (MA)\n" + rows("{t},{v},{i}\n"), "its unit is not known"),
    ],
)
def test_a_table_that_is_no_sweep_is_refused_with_what_it_is(
    text: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=words) as refusal:
        taken(tmp_path, text)
    assert "\n" not in str(refusal.value)


def test_columns_without_names_are_taken_as_the_user_says(tmp_path: Path) -> None:
    text = "".join(f"{v},{i * 1e6}\n" for v, i in zip(VOLTS, AMPERES, strict=True))
    columns = taken(
        tmp_path,
        text,
        columns=(("voltage_v", "1"), ("current_a", "2")),
        units={"current_a": "uA"},
    ).measurement.columns
    np.testing.assert_array_equal(columns["voltage_v"], VOLTS)
    np.testing.assert_allclose(columns["current_a"], AMPERES, rtol=1e-15)


@pytest.mark.parametrize(
    ("text", "conductance_s"),
    [
        ("# resistance (ohms),time (s),res min,res_max\n2e6,0,1,3\n4e6,30,1,3\n", [5e-7, 2.5e-7]),
        ("Time (s),Resistance (MOhm)\n0,2\n30,4\n", [5e-7, 2.5e-7]),
        ("t/s;G/µS\n0;0,5\n30;0,25\n", [5e-7, 2.5e-7]),
        ("time_s,conductance_s\n0,5e-7\n30,2.5e-7\n", [5e-7, 2.5e-7]),
        ("Time (s),Voltage (V),Current (A)\n0,-0.2,-1e-7\n30,-0.2,-5e-8\n", [5e-7, 2.5e-7]),
    ],
)
def test_a_retention_test_gives_conductances_over_time(
    text: str, conductance_s: list[float], tmp_path: Path
) -> None:
    columns = taken(tmp_path, text).measurement.columns
    np.testing.assert_allclose(columns["conductance_s"], conductance_s, rtol=1e-15)
    assert columns["time_s"].tolist() == [0, 30]
    assert columns["cell"].tolist() == [0, 0]


TRAINS = {
    "names with a unit": ("Train 1 (uS),Train 2 (uS)\n1.5,4.5\n2.5,3.5\n3.5,2.5\n", {}),
    "a spreadsheet's comma": ("Zug 1 (µS);Zug 2 (µS)\n1,5;4,5\n2,5;3,5\n3,5;2,5\n", {}),
    "a counter first": ("pulse,G1 (uS),G2 (uS)\n0,1.5,4.5\n1,2.5,3.5\n2,3.5,2.5\n", {}),
    "a counter by another name": (
        "Pulse_number;a;b\n1;1.5e-6;4.5e-6\n2;2.5e-6;3.5e-6\n3;3.5e-6;2.5e-6\n",
        {"unit": "S"},
    ),
    "currents at a negative read voltage": (
        "# pulse_v,meas_v,i_0,i_1\n1,-0.1,-1.5e-7,-4.5e-7\n1,-0.1,-2.5e-7,-3.5e-7\n"
        "1,-0.1,-3.5e-7,-2.5e-7\n",
        {"unit": "A", "read_v": "-0.1 V"},
    ),
}


@pytest.mark.parametrize("name", TRAINS)
def test_trains_side_by_side_are_the_columns_of_states_alone(name: str, tmp_path: Path) -> None:
    text, more = TRAINS[name]
    columns = taken(tmp_path, text, PULSE | more).measurement.columns
    np.testing.assert_allclose(
        columns["conductance_s"] * 1e6, [1.5, 2.5, 3.5, 4.5, 3.5, 2.5], rtol=1e-14
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1.0,4.0\n1.1,4.1\n1.2,4.2\n", "it has no header"),
        ("Time (s),Volts\n1,2\n2,3\n3,4\n", "no column of conductances"),
        ("Train 1 (uS),Train 2 (uS)\n1,2\nNaN,3\n3,4\n", "line 3: a gap in column 'Train 1"),
        (
            "Pulse #,Pulse voltage (V),G (uS)\n1,1,2\n2,-1,3\n3,1,4\n",
            "has 1 column of conductances: Pulse # is pulse",
        ),
        ("a,b\n0,2\n1,3\n2,5\n3,7\n", "has 1 column of conductances: a is not known"),
        ("V (V),G1 (uS),G2 (uS)\n1,1,2\n-1,2,3\n1,3,4\n", "V .V. varies from row to row"),
        ("G1 (uS),G2 (uS)\n1,2\n2,9.9e37\n3,4\n", "the meter was over range"),
    ],
)
def test_counters_times_voltages_and_overflow_never_become_conductances(
    text: str, words: str, tmp_path: Path
) -> None:
    more = PULSE | ({} if "(uS)" in text else {"unit": "mS"})
    with pytest.raises(ConfigError, match=words):
        taken(tmp_path, text, more, reader="train_columns")


def test_a_gate_of_thousands_of_volts_is_none(tmp_path: Path) -> None:
    text = "".join(f"{n}\t200\t0.5\t3629\t5000\t9000\n" for n in range(4))
    with pytest.raises(ConfigError, match="column 4 holds 3629: no gate voltage in volts"):
        taken(tmp_path, text, {"line": "bit"}, reader="pulse_sweep")


def test_two_readers_that_fit_are_both_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hwloop.datasets import importing

    readers = importing.plugins.load_all(importing.plugins.READERS)
    twice = {**readers, "iv_again": readers["iv_sweep"]}
    monkeypatch.setattr(importing.plugins, "load_all", lambda _: twice)
    with pytest.raises(ConfigError, match="recognised by several readers: iv_sweep, iv_sweep"):
        taken(tmp_path, SWEEPS["German"])
