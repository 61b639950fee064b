"""What goes over the wire to a B2900."""

import math

import pytest
from typing_extensions import override

from hwloop.array.operations import Flag
from hwloop.errors import InstrumentFault, UnexpectedReply, Unsupported
from hwloop_drivers.instruments.keysight_b2900.driver import KeysightB2900, KeysightB2900Channel
from hwloop_drivers.instruments.keysight_b2900.models import KeysightB2900Settings
from hwloop_drivers.roles import Measured, SourceSetup, Train, TrainPoint
from tests.scpi_wire import ScpiWire


def _second_channel(**given: str) -> tuple[KeysightB2900Channel, ScpiWire]:
    wire = ScpiWire({":SYST:LFR": "50"}, given)
    smu = KeysightB2900(wire, KeysightB2900Settings(model="B2902A")).outputs()["2"]
    assert isinstance(smu, KeysightB2900Channel)
    return smu, wire


def test_set_up_of_the_second_channel_reads_back_what_protects() -> None:
    smu, wire = _second_channel()
    smu.set_up(SourceSetup(range_v=1.2, compliance_a=1e-4, nplc=0.01))
    read_back = wire.sent[-1].split(";")  # after all that was set
    for sent in (
        ":SOUR2:VOLT:RANG 2", ":SENS2:CURR:PROT 0.0001", ":SENS2:CURR:APER 0.0002",
        ":SOUR2:WAIT 0", ":SENS2:WAIT 1", ":OUTP2:ON:AUTO 0", ":OUTP2:OFF:MODE ZERO",
    ):  # fmt: skip
        assert sent in wire.sent
        assert f"{sent.partition(' ')[0]}?" in read_back


def test_limit_that_a_later_setting_changed_is_a_fault() -> None:
    # What the box has at the end counts, not what it had when the limit was set.
    class Raises(ScpiWire):
        @override
        def write(self, text: str) -> None:
            super().write(text)
            if text.startswith(":SENS2:CURR:APER"):
                self.values[":SENS2:CURR:PROT"] = "1E-3"

    wire = Raises({":SYST:LFR": "50"})
    smu = KeysightB2900(wire, KeysightB2900Settings(model="B2902A")).outputs()["2"]
    assert isinstance(smu, KeysightB2900Channel)
    with pytest.raises(InstrumentFault, match=r"PROT was set to 0.0001 but reads back 0.001"):
        smu.set_up(SourceSetup(range_v=1, compliance_a=1e-4))


def test_limit_that_has_changed_before_a_pulse_is_a_fault_and_nothing_is_triggered() -> None:
    smu, wire = _second_channel()
    smu.set_up(SourceSetup(range_v=2, compliance_a=1e-4))
    wire.values[":SENS2:CURR:PROT"] = "0.1"
    with pytest.raises(InstrumentFault, match=r"PROT was set to 0.0001 but reads back 0.1"):
        smu.apply_train([TrainPoint(1.2, 1e-3)])
    assert not any(text.startswith(":INIT") for text in wire.sent)


def test_measurement_range_above_that_of_the_compliance_is_refused_unsent() -> None:
    # It would not be used: user's guide, 6-4.
    smu, wire = _second_channel()
    with pytest.raises(Unsupported, match=r"range 0.001 A is above the 0.0001 A range of the"):
        smu.set_up(SourceSetup(range_v=2, compliance_a=1e-4, measure_range_a=1e-3))
    assert wire.sent == []


def test_output_that_would_switch_itself_on_is_a_fault() -> None:
    smu, _ = _second_channel(**{":OUTP2:ON:AUTO?": "1"})
    with pytest.raises(InstrumentFault, match=":OUTP2:ON:AUTO was set to 0 but reads back '1'"):
        smu.set_up(SourceSetup(range_v=1, compliance_a=1e-4))


def test_train_with_pulses_is_read_at_each_step_in_the_range_of_the_limit() -> None:
    # 0.2 ms of integration: three readings of 66.7 us at the end of the level that is measured.
    run = ":INIT (@2);*WAI;:FETC:ARR? (@2)"
    steps = ["+1E-4,+0", "+9E-7,+0", "+1E-6,+0", "+2E-6,+0", "+3E-6,+0"]
    smu, wire = _second_channel(**{run: ",".join(steps)})
    smu.set_up(SourceSetup(range_v=2, compliance_a=1e-3, nplc=0.01))
    wire.sent.clear()
    train = smu.apply_train([TrainPoint(1.2, 1e-4), TrainPoint(0.1, 4e-4, measure=True)])
    assert wire.sent == [
        ":SOUR2:VOLT 0",
        ":SOUR2:LIST:VOLT 1.2,0.1,0.1,0.1,0.1,0",
        ":SOUR2:VOLT:MODE LIST",
        ":TRIG2:TRAN:SOUR TIM",
        ":TRIG2:TRAN:TIM 0.0001",
        ":TRIG2:TRAN:COUN 6",
        ":TRIG2:TRAN:DEL 0",
        ":SENS2:CURR:RANG:AUTO 0",
        ":SENS2:CURR:RANG 0.001",
        ":SENS2:CURR:APER 6.66666667e-05",
        ":SENS2:WAIT 0",
        ":TRIG2:ACQ:SOUR TIM",
        ":TRIG2:ACQ:TIM 0.0001",
        ":TRIG2:ACQ:COUN 5",
        ":TRIG2:ACQ:DEL 3.3e-05",
        ":SOUR2:VOLT:RANG?;:SOUR2:VOLT:RANG:AUTO?;:SENS2:CURR:PROT?;"
        ":SENS2:CURR:RANG?;:SENS2:CURR:RANG:AUTO?",
        run,
        ":SOUR2:VOLT:MODE FIX",
        ":SOUR2:FUNC DC",
        ":SOUR2:VOLT 0",
        ":SENS2:CURR:RANG:AUTO 1",
        ":SENS2:CURR:APER 0.0002",
        ":SENS2:WAIT 1",
    ]
    assert train == Train((Measured(2e-6),))


@pytest.mark.parametrize(
    ("statuses", "flag"),
    [((0, 2, 0), Flag.COMPLIANCE), ((0, 4, 0), Flag.COMPLIANCE), ((0, 8192, 0), Flag.OVER_RANGE)],
)
def test_one_flagged_reading_of_those_that_make_one_spoils_it(
    statuses: tuple[int, ...], flag: Flag
) -> None:
    # Bits 1 and 2, and 13, of a status: SCPI reference, table 1-2.
    run = ":INIT (@2);*WAI;:FETC:ARR? (@2)"
    reply = ",".join(f"+1E-6,+{status}" for status in (0, 0, *statuses))
    smu, _ = _second_channel(**{run: reply})
    smu.set_up(SourceSetup(range_v=2, compliance_a=1e-3, nplc=0.01))
    train = smu.apply_train([TrainPoint(1.2, 1e-4), TrainPoint(0.1, 4e-4, measure=True)])
    (reading,) = train.readings
    assert math.isnan(reading.current_a)
    assert reading.flags == flag
    assert train.flags == flag & Flag.COMPLIANCE


def test_each_of_equal_pulses_ends_with_a_reading_that_tells_whether_it_was_limited() -> None:
    # 50 us less the 12 us that a reading takes beside its aperture: 20 us less 8 us, data sheet.
    run = ":INIT (@2);*WAI;:FETC:ARR? (@2)"
    smu, wire = _second_channel(**{run: "+1E-4,+0,+1E-4,+2"})
    smu.set_up(SourceSetup(range_v=2, compliance_a=1e-4))
    wire.sent.clear()
    on, off = TrainPoint(1.2, 5e-5), TrainPoint(0.0, 1e-3)
    assert smu.apply_train([on, off, on]) == Train(flags=Flag.COMPLIANCE)
    for sent in (
        ":SOUR2:VOLT:TRIG 1.2", ":SOUR2:PULS:WIDT 5e-05", ":SOUR2:FUNC PULS",
        ":TRIG2:TRAN:TIM 0.00105", ":TRIG2:TRAN:COUN 2", ":SENS2:CURR:APER 3.8e-05",
        ":TRIG2:ACQ:TIM 0.00105", ":TRIG2:ACQ:COUN 2", ":TRIG2:ACQ:DEL 1.2e-05", run,
    ):  # fmt: skip
        assert sent in wire.sent


def test_garbage_is_an_unexpected_reply_not_a_number() -> None:
    smu, _ = _second_channel(**{":MEAS? (@2)": "#?~!,+0"})
    with pytest.raises(UnexpectedReply, match="not a number"):
        smu.measure_current()
