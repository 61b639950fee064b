"""What goes over the wire to a B2900."""

import math

import pytest

from hwloop.array.operations import Flag
from hwloop.errors import InstrumentFault, UnexpectedReply
from hwloop_drivers.instruments.keysight_b2900.driver import KeysightB2900, KeysightB2900Channel
from hwloop_drivers.instruments.keysight_b2900.models import KeysightB2900Settings
from hwloop_drivers.roles import SourceSetup, TrainPoint
from tests.scpi_wire import ScpiWire


def _second_channel(**given: str) -> tuple[KeysightB2900Channel, ScpiWire]:
    wire = ScpiWire({":SYST:LFR": "50"}, given)
    smu = KeysightB2900(wire, KeysightB2900Settings(model="B2902A")).outputs()["2"]
    assert isinstance(smu, KeysightB2900Channel)
    return smu, wire


def test_set_up_of_the_second_channel_reads_back_what_protects() -> None:
    smu, wire = _second_channel()
    smu.set_up(SourceSetup(range_v=1.2, compliance_a=1e-4, nplc=0.01))
    for sent in (
        ":SOUR2:VOLT:RANG 2", ":SENS2:CURR:PROT 0.0001", ":SENS2:CURR:APER 0.0002",
        ":SOUR2:WAIT 0", ":SENS2:WAIT 0", ":OUTP2:ON:AUTO 0", ":OUTP2:OFF:MODE ZERO",
    ):  # fmt: skip
        assert sent in wire.sent
        assert f"{sent.partition(' ')[0]}?" in wire.sent


def test_output_that_would_switch_itself_on_is_a_fault() -> None:
    smu, _ = _second_channel(**{":OUTP2:ON:AUTO?": "1"})
    with pytest.raises(InstrumentFault, match=":OUTP2:ON:AUTO was set to 0 but reads back '1'"):
        smu.set_up(SourceSetup(range_v=1, compliance_a=1e-4))


def test_train_of_pulses_and_readings_runs_on_two_timers() -> None:
    run = ":INIT (@2);*WAI;:FETC:ARR? (@2)"
    smu, wire = _second_channel(**{run: "+1E-6,+0,+9.91E+37,+8192,+1E-4,+2"})
    smu.set_up(SourceSetup(range_v=2, compliance_a=1e-4, nplc=0.01))
    wire.sent.clear()
    pulse, read = TrainPoint(1.2, 1e-4), TrainPoint(0.1, 3e-4, measure=True)
    good, over, limited = smu.apply_train([pulse, read] * 3).readings
    period = "1.2,0.1,0.1,0.1"
    assert wire.sent == [
        ":SOUR2:VOLT 0",
        f":SOUR2:LIST:VOLT {period},{period},{period},0",
        ":SOUR2:VOLT:MODE LIST",
        ":TRIG2:TRAN:SOUR TIM",
        ":TRIG2:TRAN:TIM 0.0001",
        ":TRIG2:TRAN:COUN 13",
        ":TRIG2:TRAN:DEL 0",
        ":TRIG2:ACQ:SOUR TIM",
        ":TRIG2:ACQ:TIM 0.0004",
        ":TRIG2:ACQ:COUN 3",
        ":TRIG2:ACQ:DEL 0.0002",
        run,
        ":SOUR2:VOLT:MODE FIX",
        ":SOUR2:FUNC DC",
        ":SOUR2:VOLT 0",
    ]
    assert (good.current_a, good.flags) == (1e-6, Flag(0))
    assert [over.flags, limited.flags] == [Flag.OVER_RANGE, Flag.COMPLIANCE]
    assert math.isnan(over.current_a)
    assert math.isnan(limited.current_a)


def test_equal_pulses_are_one_trigger_each_in_the_pulse_shape() -> None:
    smu, wire = _second_channel()
    smu.set_up(SourceSetup(range_v=2, compliance_a=1e-4))
    wire.sent.clear()
    on, off = TrainPoint(1.2, 5e-5), TrainPoint(0.0, 1e-3)
    smu.apply_train([on, off, on])
    for sent in (
        ":SOUR2:VOLT:TRIG 1.2", ":SOUR2:PULS:WIDT 5e-05", ":SOUR2:FUNC PULS",
        ":TRIG2:TRAN:TIM 0.00105", ":TRIG2:TRAN:COUN 2", ":INIT:TRAN (@2);*OPC?",
    ):  # fmt: skip
        assert sent in wire.sent


def test_garbage_is_an_unexpected_reply_not_a_number() -> None:
    smu, _ = _second_channel(**{":MEAS? (@2)": "#?~!,+0"})
    with pytest.raises(UnexpectedReply, match="not a number"):
        smu.measure_current()
