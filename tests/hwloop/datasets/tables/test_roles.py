"""Names and units that people write say which quantity a column holds."""

from __future__ import annotations

import pytest

from hwloop.datasets.tables.roles import (
    DIMENSIONS,
    contradicts,
    in_dimension,
    role_of,
    says_no_value,
    unit_in_name,
)
from hwloop.datasets.tables.units import UNKNOWN_UNIT, unit_of


@pytest.mark.parametrize(
    ("name", "role", "unit"),
    [
        ("Pulse #", "pulse", None),
        ("Pulse_number", "pulse", None),
        ("Puls Nr.", "pulse", None),
        ("# of pulses", "pulse", None),
        ("Cycle", "cycle", None),
        ("Cycle Number", "cycle", None),
        ("Index", "index", None),
        ("Item", "index", None),
        ("Pt", "index", None),
        ("num_applied", "index", None),
        ("Time", "time_s", None),
        ("t(s)", "time_s", "s"),
        ("T (s)", "time_s", "s"),
        ("Time (S)", "time_s", "s"),
        ("Zeit/ms", "time_s", "ms"),
        ("Smu1.Time[1][1]", "time_s", None),
        ("Volts", "voltage_v", None),
        ("AnodeV", "voltage_v", None),
        ("AV", "voltage_v", None),
        ("Vf", "voltage_v", None),
        ("Ewe/V", "voltage_v", "V"),
        ("Smu1.V[1][1]", "voltage_v", None),
        ("V(n001)", "voltage_v", None),
        ("CH1 Voltage (mV)", "voltage_v", "mV"),
        ("GateV", "gate_v", None),
        ("Pulse voltage (V)", "amplitude_v", "V"),
        ("pulse_v", "amplitude_v", None),
        ("meas_v", "read_v", None),
        ("Pulse width (ms)", "width_s", "ms"),
        ("Breite (ms)", "width_s", "ms"),
        ("AI", "current_a", None),
        ("Im", "current_a", None),
        ("i_0", "current_a", None),
        ("<I>/mA", "current_a", "mA"),
        ("current_a", "current_a", "A"),
        ("I(R1)", "current_a", None),
        ("R(ohm)", "resistance_ohm", "ohm"),
        ("Resistance [kΩ]", "resistance_ohm", "kohm"),
        ("G_uS", "conductance_s", "uS"),
        ("G (us)", "conductance_s", "uS"),
        ("Leitwert (µS)", "conductance_s", "uS"),
        ("Zug 2 (µS)", "conductance_s", "uS"),
        ("conductance_s", "conductance_s", "S"),
        ("Temperature (K)", "temperature_k", "K"),
        ("ID", "current_a", None),
        ("device_id", "cell", None),
        ("absI", "", None),
        ("res_max", "", None),
        ("GateI", "", None),
        ("Target (uS)", "", "uS"),
        ("DrainV", "voltage_v", None),
        ("Drain Voltage (V)", "voltage_v", "V"),
        ("DrainI", "current_a", None),
        ("IF", "current_a", None),
        ("V_A", "", None),
        ("LRS (uA)", "current_a", "uA"),
        ("HRS (kohm)", "resistance_ohm", "kohm"),
        ("LRS (uS)", "conductance_s", "uS"),
        ("HRS", "", None),
        ("I_LRS", "current_a", None),
        ("R_HRS", "resistance_ohm", None),
        ("Gate (A)", "", "A"),
        ("Source (V)", "voltage_v", "V"),
        ("Pulse (ms)", "width_s", "ms"),
        ("Pulse (V)", "amplitude_v", "V"),
        ("Pulse 1 (uS)", "conductance_s", "uS"),
        ("Pulse # (counts)", "pulse", ""),
        ("Drain (A)", "current_a", "A"),
    ],
)
def test_a_name_says_what_its_column_holds(name: str, role: str, unit: str | None) -> None:
    base, found = unit_in_name(name)
    assert role_of(base, found) == role
    if role and found is not None:
        found = in_dimension(found, DIMENSIONS[role])
    assert (found.symbol if found else None) == unit


def test_a_field_that_does_not_apply_is_no_current_in_amperes() -> None:
    base, unit = unit_in_name("N/A")
    assert unit is None
    assert role_of(base, unit) != "current_a"


@pytest.mark.parametrize(
    "name",
    [
        "G std (uS)", "sigma_G (uS)", "σ_G", "G_err", "SD", "SEM (uS)", "stderr", "dG (uS)",
        "ΔR (ohm)", "delta G", "dI/dV (S)", "G noise", "uncertainty (uS)", "G ± (uS)", "I rms (A)",
        "Z (ohm)", "|Z| (ohm)", "Zreal", "Zimag (ohm)", "Re(Z)/Ohm", "-Im(Z)/Ohm", "Impedance (ohm)",
        "On/Off", "HRS/LRS", "Ron/Roff", "On/Off ratio", "Gmax/Gmin", "Resistance ratio", "G variance",
    ],
)  # fmt: skip
def test_an_error_an_impedance_and_a_ratio_are_no_measured_values(name: str) -> None:
    assert says_no_value(name)


@pytest.mark.parametrize(
    "name",
    ["G (uS)", "G_mean (uS)", "R_on", "LRS", "V_D (V)", "I_D (A)", "Device", "Time (min)",
     "ZnO G (uS)", "train 3", "Zeit (s)", "x"],
)  # fmt: skip
def test_a_measured_value_is_not_taken_for_its_error(name: str) -> None:
    assert not says_no_value(name)


@pytest.mark.parametrize("name", ["Voltage (A)", "Current (V)", "Time (V)", "R (S)"])
def test_name_and_unit_that_contradict_each_other_say_nothing(name: str) -> None:
    base, unit = unit_in_name(name)
    assert contradicts(base, unit)
    assert role_of(base, unit) == ""


@pytest.mark.parametrize("name", ["Current (MA)", "I (mkA)", "Voltage (dV)"])
def test_unit_that_is_not_known_is_never_taken_for_the_unit_without_prefix(name: str) -> None:
    base, unit = unit_in_name(name)
    assert unit == UNKNOWN_UNIT
    assert role_of(base, unit) == role_of(base, None) != ""


@pytest.mark.parametrize(
    ("text", "dimension", "power"),
    [
        ("mV", "V", -3),
        ("[µA]", "A", -6),
        ("Volts", "V", 0),
        ("second", "s", 0),
        ("milliamps", "A", -3),
        ("MΩ", "ohm", 6),
        ("V vs. Ref.", "V", 0),
        ("ohms", "ohm", 0),
        ("nS", "S", -9),
        ("ma", "A", -3),
    ],
)
def test_units_are_read_as_they_are_written(text: str, dimension: str, power: int) -> None:
    unit = unit_of(text)
    assert unit is not None
    assert (unit.dimension, unit.power) == (dimension, power)


@pytest.mark.parametrize("text", ["MA", "MS", "MV", "Ms", "x", "furlong", "PA"])
def test_a_capital_that_may_be_mega_or_milli_is_no_unit(text: str) -> None:
    assert unit_of(text) is None
