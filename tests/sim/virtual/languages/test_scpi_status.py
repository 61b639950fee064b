"""Status registers of a virtual SCPI instrument: IEEE 488.2, chapter 11."""

import pytest

from hwloop_sim.virtual.instruments.keithley_2400.box import Keithley2400
from tests.virtual_link import OneBox


@pytest.fixture
def box() -> OneBox:
    return OneBox(Keithley2400)


def test_event_status_latches_until_it_is_read(box: OneBox) -> None:
    box.link.write("*OPC")
    box.link.write(":NONSENSE")
    assert box.link.query("*ESR?") == "33"  # command error 32, operation complete 1
    assert box.link.query("*ESR?") == "0"
    box.link.write(":SOUR:VOLT 1e6")
    assert box.link.query("*ESR?") == "16"  # execution error


def test_status_byte_has_the_error_queue_and_the_summaries_that_are_enabled(box: OneBox) -> None:
    box.link.write(":NONSENSE")
    assert box.link.query("*STB?") == "4"
    box.link.write("*ESE 32")
    assert box.link.query("*STB?") == "36"
    box.link.write("*SRE 32")
    assert (box.link.query("*ESE?"), box.link.query("*SRE?")) == ("32", "32")
    assert box.link.query("*STB?") == "100"  # service is requested
    box.link.write("*CLS")
    assert box.link.query("*STB?") == "0"
    assert box.link.query("*ESE?") == "32"


def test_compliance_is_a_condition_and_an_event_of_the_measurement_register(box: OneBox) -> None:
    box.link.write(":SENS:CURR:PROT 1e-6;:SOUR:VOLT 1;:OUTP ON")
    assert box.link.query(":STAT:MEAS:COND?") == str(1 << 14)
    box.link.write(":STAT:MEAS:ENAB 16384;*SRE 1")
    box.link.query(":READ?")
    assert int(box.link.query("*STB?")) & 65 == 65
    assert int(box.link.query(":STAT:MEAS?")) & 1 << 14
    assert box.link.query("*STB?") == "0"
    box.link.write(":STAT:PRES")
    assert box.link.query(":STAT:MEAS:ENAB?") == "0"


def test_current_source_holds_its_voltage_limit_when_the_load_wants_more(box: OneBox) -> None:
    # 100 kΩ: 10 µA would take 1 V.
    box.link.write(":SOUR:FUNC CURR;:SOUR:CURR:RANG 1e-5;:SOUR:CURR 1e-5;:SENS:FUNC 'VOLT'")
    box.link.write(":SENS:VOLT:PROT 2;:FORM:ELEM VOLT,CURR;:OUTP ON")
    volts, amperes = map(float, box.link.query(":READ?").split(","))
    assert (volts, amperes) == pytest.approx((1.0, 1e-5))
    assert box.link.query(":SENS:VOLT:PROT:TRIP?") == "0"
    box.link.write(":SENS:VOLT:PROT 0.5")
    volts, _ = map(float, box.link.query(":READ?").split(","))
    assert volts == pytest.approx(0.5)
    assert box.link.query(":SENS:VOLT:PROT:TRIP?") == "1"


def test_output_that_is_off_holds_zero_volts_unless_its_relay_opens(box: OneBox) -> None:
    box.link.write(":SOUR:VOLT 1;:OUTP ON;:OUTP OFF")
    assert box.circuit.floating_lines() == ()
    assert box.circuit.line_volts()["row0"] == 0
    box.link.write(":OUTP:SMOD HIMP")
    assert box.circuit.floating_lines() == ("row0",)


def test_locked_range_refuses_a_level_that_an_automatic_one_follows(box: OneBox) -> None:
    box.link.write(":SOUR:VOLT:RANG 2;:SOUR:VOLT 5")
    assert box.link.query(":SYST:ERR?") == '-222,"Parameter data out of range"'
    box.link.write(":SOUR:VOLT:RANG:AUTO ON;:SOUR:VOLT 5")
    assert box.link.query(":SYST:ERR?") == '0,"No error"'
    assert float(box.link.query(":SOUR:VOLT:RANG?")) == 20
