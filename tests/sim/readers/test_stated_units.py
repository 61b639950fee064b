"""Units that a file states are taken as they are written, or refused with the option that decides.

The right values are those of the units by their definition: 5 µA are 5e-6 A.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwloop.datasets.importing import Imported, import_measurement
from hwloop.datasets.tables.options import TableOptions
from hwloop.errors import ConfigError

_PULSE = {"amplitude_v": "1 V", "width_s": "1 ms"}


def taken(folder: Path, text: str, *, units: dict[str, str] | None = None) -> Imported:
    path = folder / "measured.csv"
    path.write_text(text, encoding="utf-8")
    given = {"source": "lab book"}
    if text.startswith("Pulse;"):
        given |= _PULSE
    return import_measurement(
        path, reader=None, given=given, options=TableOptions(units=units or {})
    )


def sweep(name: str) -> str:
    return f'Voltage (V),"{name}"\n0,0\n0.5,5\n1,11\n0.5,6\n'


@pytest.mark.parametrize(
    "name",
    [
        "Current (uAmps)",
        "Current uA",
        "Current in uA",
        "Current, uA",
        "Current (uA) CH1",
        "Current (CH1) [uA]",
        "Current {uA}",
        "Current_uAmps",
        "I/uA",
        "I(uA)",
    ],
)
def test_a_unit_is_read_wherever_it_stands_in_the_name(name: str, tmp_path: Path) -> None:
    columns = taken(tmp_path, sweep(name)).measurement.columns
    np.testing.assert_allclose(columns["current_a"], [0, 5e-6, 11e-6, 6e-6], rtol=1e-12)


@pytest.mark.parametrize(
    "name",
    [
        "Current (10^-6 A)",
        "Current (x1e-6 A)",
        "Current (?A)",
        "Current (\N{REPLACEMENT CHARACTER}A)",
        "Current (uA/um)",
        "Current density (A/cm2)",
        "Current/uArms",
        "Current, arms",
        "Current MA",
        "Current uA CH1",
        "uA Current",
        "Current <uA>",
        "Current(uA",
        "Current x1e6",
        "Current*1e6",
        "Current 10^-6 A",
        "Current micro A",
        "Current (mA) (uA)",
        "Current 10-6 A",
        "I(MA)",
        "I(10^-6 A)",
    ],
)
def test_a_unit_that_is_not_understood_is_refused_until_it_is_given(
    name: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"unit is not known; give it with --unit current_a=UNIT"):
        taken(tmp_path, sweep(name))
    columns = taken(tmp_path, sweep(name), units={"current_a": "nA"}).measurement.columns
    np.testing.assert_allclose(columns["current_a"], [0, 5e-9, 11e-9, 6e-9], rtol=1e-12)


@pytest.mark.parametrize(
    ("text", "role"),
    [
        ("Time (weeks),G (uS)\n0,5\n1000,6\n2000,7\n", "time_s"),
        ("Pulse,Voltage (V),Width (shakes),G (uS)\n1,1,9,5\n2,1,9,6\n3,1,9,7\n", "width_s"),
        ("Voltage,Current,Pressure\nV,uArms,mbar\n0,0,1\n0.5,5,1\n1,11,1\n", "current_a"),
        ("Voltage,Current\nV,foo\n0,0\n0.5,5\n1,11\n", "current_a"),
        ("Pulse;G (uX)\n1;5\n2;6\n3;7\n", "conductance_s"),
    ],
)
def test_every_reader_refuses_a_unit_that_is_not_understood(
    text: str, role: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=rf"its unit is not known; give it with --unit {role}=U"):
        taken(tmp_path, text)


def test_a_row_of_units_stays_one_where_a_column_has_a_unit_of_another_kind(tmp_path: Path) -> None:
    text = "Voltage,Current,Pressure\nV,uA,mbar\n0,0,1\n0.5,5,1\n1,11,1\n"
    columns = taken(tmp_path, text).measurement.columns
    np.testing.assert_allclose(columns["current_a"], [0, 5e-6, 11e-6], rtol=1e-12)


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("Pulse;G (uS)\n1;5.1 nS\n2;5.2 nS\n3;5.3 nS\n", "its name 'uS', its cells 'nS'"),
        ("Pulse;R (ohm)\n1;4.7K\n2;4.8K\n3;4.9K\n", "its name 'ohm', its cells 'K'"),
        ("Pulse;R (ohm)\n1;4.7 kOhm\n2;4.8 kOhm\n3;4.9 kOhm\n", "its cells 'kohm'"),
        ("Pulse;G (uS)\n1;5.1 A\n2;5.2 A\n3;5.3 A\n", "its name 'uS', its cells 'A'"),
        ("Voltage (V),Current (A)\n0,5 nA\n1,6 nA\n2,7 nA\n", "its name 'A', its cells 'nA'"),
        ("Time (s),G (uS)\ns,nS\n0,1\n1,2\n2,3\n", "its name 'uS', its row of units 'nS'"),
    ],
)
def test_units_of_one_column_that_differ_are_refused(text: str, units: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"{units} contradict; give it with --unit"):
        taken(tmp_path, text)


def test_the_same_unit_in_the_name_and_in_the_cells_is_taken_once(tmp_path: Path) -> None:
    text = "Pulse;G (uS)\n1;5.1 uS\n2;5.2 uS\n3;5.3 uS\n"
    columns = taken(tmp_path, text).measurement.columns
    np.testing.assert_allclose(columns["conductance_s"], [5.1e-6, 5.2e-6, 5.3e-6], rtol=1e-12)


def test_cells_that_lose_their_unit_far_below_are_refused_with_the_line(tmp_path: Path) -> None:
    text = "Time (s);G\n" + "".join(f"{i};5{' nS' * (i < 256)}\n" for i in range(3000))
    with pytest.raises(ConfigError, match=r"line 258: G '… without a unit': expected one unit"):
        taken(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Pulse,Voltage (V),Width,G (uS)\n1,1,9,5\n2,1,9,6\n3,1,9,7\n", "Width as seconds"),
        ("Time,G (uS)\n0,5\n1,6\n2,7\n", "Time as seconds"),
        ("V,I\n0,0\n1,1e-6\n2,2e-6\n", "V as volts, I as amperes"),
        ("V1,I1,V2,I2\n0,0,0,0\n1,1,1,1\n2,2,2,2\n", "V1 as volts, I1 as amperes, V2 as volts"),
    ],
)
def test_every_reader_says_which_units_it_has_assumed(text: str, said: str, tmp_path: Path) -> None:
    assert any(f"no unit in the file: {said}" in one for one in taken(tmp_path, text).messages)


def test_a_sweep_is_taken_without_its_times_where_their_unit_is_not_known(tmp_path: Path) -> None:
    imported = taken(tmp_path, "Time (ticks),V (V),I (A)\n0,0,0\n1,1,1e-6\n2,2,2e-6\n")
    assert np.isnan(imported.measurement.columns["time_s"]).all()
    assert "columns left out: Time (ticks)" in imported.messages


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("Time (min)", 60),
        ("t/min", 60),
        ("Time min", 60),
        ("time_min", 60),
        ("Elapsed time [h]", 3600),
        ("Time (hrs)", 3600),
        ("Zeit (Stunden)", 3600),
        ("Time (days)", 86400),
        ("Time (hours since 2024-01-01 00:00:00)", 3600),
    ],
)
def test_minutes_hours_and_days_are_so_many_seconds(
    name: str, seconds: int, tmp_path: Path
) -> None:
    imported = taken(tmp_path, f"{name},G (uS)\n0,5\n0.5,6\n2,7\n")
    times = imported.measurement.columns["time_s"]
    np.testing.assert_array_equal(times, [0, 0.5 * seconds, 2 * seconds])


@pytest.mark.parametrize("name", ["R (HRS)", "G (hrs)", "L (H)", "R (MIN)", "G (h)", "R (d)"])
def test_a_state_a_henry_or_a_minimum_is_no_time(name: str, tmp_path: Path) -> None:
    text = f"Time (s),{name}\n0,5\n1,6\n2,7\n"
    with pytest.raises(ConfigError, match=r"has no unit|not known|contradict"):
        taken(tmp_path, text)


def test_bare_terminals_are_taken_by_their_units(tmp_path: Path) -> None:
    text = "Gate,Drain,Source,Gate (A)\nV,A,V,\n1,0,0,1e-12\n1,1e-6,0.5,1e-12\n1,3e-6,1,1e-12\n"
    columns = taken(tmp_path, text).measurement.columns
    np.testing.assert_array_equal(columns["voltage_v"], [0, 0.5, 1])
    np.testing.assert_array_equal(columns["current_a"], [0, 1e-6, 3e-6])


@pytest.mark.parametrize(
    "text",
    [
        "AnodeV,DrainV\n0,0.1\n0.5,0.2\n1,0.3\n",
        "T,R (kOhm)\n300,5\n310,5.1\n320,5.2\n",
        "Voltage (V),|I| (A)\n0,0\n0.5,5\n1,11\n",
        "i,V\n1,0\n2,0.1\n3,0.2\n4,0.3\n",
        "t_pulse (us),G (uS)\n1,5\n5,6\n10,7\n",
        "Pulse time (us),G (uS)\n1,5\n5,6\n10,7\n",
    ],
)
def test_a_name_that_may_mean_another_quantity_is_not_taken(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not recognised by any reader"):
        taken(tmp_path, text)


@pytest.mark.parametrize("name", ["Cycle (times)", "Cycle (N)", "Cycle (cycles)"])
def test_a_count_needs_no_unit(name: str, tmp_path: Path) -> None:
    columns = taken(tmp_path, f"{name},LRS (ohm),HRS (ohm)\n1,1e3,1e5\n2,1e3,1e5\n")
    assert columns.measurement.columns["cycle"].tolist() == [1, 2]


@pytest.mark.parametrize("name", ["Current E1", "I(R1)", "Current (CH1)", "Current 2"])
def test_what_says_where_it_was_measured_is_no_unit(name: str, tmp_path: Path) -> None:
    imported = taken(tmp_path, sweep(name))
    np.testing.assert_array_equal(imported.measurement.columns["current_a"], [0, 5, 11, 6])
    assert f"no unit in the file: {name} as amperes" in imported.messages


def test_the_voltage_and_the_current_of_a_drain_are_told_apart(tmp_path: Path) -> None:
    imported = taken(tmp_path, "GateV,DrainV,DrainI\n1,0,0\n1,0.1,1e-6\n1,0.2,2e-6\n")
    np.testing.assert_array_equal(imported.measurement.columns["voltage_v"], [0, 0.1, 0.2])
    np.testing.assert_array_equal(imported.measurement.columns["current_a"], [0, 1e-6, 2e-6])
