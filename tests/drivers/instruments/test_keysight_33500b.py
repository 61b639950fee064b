"""What goes over the wire to a 33500B."""

from __future__ import annotations

import pytest

from hwloop.errors import InstrumentFault, UnexpectedReply, Unsupported
from hwloop_drivers.instruments.families.burst_output import BurstOutput
from hwloop_drivers.instruments.keysight_33500b import Keysight33500B, Keysight33500BSettings
from tests.scpi_wire import ScpiWire

AFTER_RESET = {
    ":SOUR1:VOLT:HIGH": "+1.000000000000000E-01",
    ":SOUR1:VOLT:LOW": "-1.000000000000000E-01",
    ":OUTP1:POL": "NORM",
}
ANSWERS = {":OUTP1:LOAD?": "+9.900000000000000E+37", ":SOUR1:VOLT:RANG:AUTO?": "0"}


def _output(**given: str) -> tuple[BurstOutput, ScpiWire, Keysight33500B]:
    wire = ScpiWire(AFTER_RESET, ANSWERS | given)
    generator = Keysight33500B(wire, Keysight33500BSettings(model="33521B"))
    output = generator.outputs()[""]
    assert isinstance(output, BurstOutput)
    return output, wire, generator


def _ready(**given: str) -> tuple[BurstOutput, ScpiWire]:
    output, wire, _ = _output(**given)
    output.set_up(range_v=1.5)
    wire.sent.clear()
    return output, wire


def test_set_up_takes_limits_off_for_the_load_and_puts_them_on_last() -> None:
    output, wire, _ = _output()
    output.set_up(range_v=1.5)
    settings = [text for text in wire.sent if "?" not in text]
    assert settings == [
        ":SOUR1:VOLT:LIM:STAT 0",
        ":OUTP1:LOAD INF",
        ":TRIG1:SOUR EXT",
        ":SOUR1:FUNC PULS",
        ":SOUR1:BURS:MODE TRIG",
        ":SOUR1:BURS:STAT 1",
        ":SOUR1:FUNC:PULS:TRAN:BOTH MIN",
        ":SOUR1:BURS:NCYC 1",
        ":SOUR1:VOLT:HIGH 0.002;:SOUR1:VOLT:LOW 0",
        ":SOUR1:VOLT:LOW 0;:SOUR1:VOLT:HIGH 1.502",
        ":SOUR1:VOLT:RANG:AUTO ONCE",
        ":TRIG1:SOUR EXT;:SOUR1:BURS:NCYC 1",
        ":SOUR1:VOLT:LOW 0;:SOUR1:VOLT:HIGH 0.002",
        ":SOUR1:VOLT:LIM:HIGH 1.502",
        ":SOUR1:VOLT:LIM:LOW -1.502",
        ":SOUR1:VOLT:LIM:STAT 1",
    ]


def test_a_train_is_read_back_before_one_trigger_fires_it() -> None:
    output, wire = _ready()
    output.apply_pulses(level_v=1.2, width_s=2.5e-6, count=50)
    assert wire.sent == [
        ":SOUR1:FUNC:PULS:WIDT MIN;:SOUR1:FUNC:PULS:PER 5e-06;:SOUR1:FUNC:PULS:WIDT 2.5e-06"
        ";:SOUR1:BURS:NCYC 50",
        ":SOUR1:VOLT:LOW 0;:SOUR1:VOLT:HIGH 1.2",
        ":SOUR1:VOLT:HIGH?;:SOUR1:VOLT:LOW?;:OUTP1:POL?;*OPC?",
        ":SOUR1:FUNC:PULS:WIDT?;:SOUR1:FUNC:PULS:PER?;:SOUR1:BURS:NCYC?",
        ":TRIG1:SOUR BUS",
        ":TRIG1:SOUR?",
        "*TRG;*OPC?",
        ":TRIG1:SOUR EXT;:SOUR1:BURS:NCYC 1",
        ":SOUR1:VOLT:LOW 0;:SOUR1:VOLT:HIGH 0.002",
        ":SOUR1:VOLT:HIGH?;:SOUR1:VOLT:LOW?;:OUTP1:POL?;*OPC?",
    ]


def test_a_negative_pulse_is_an_inverted_one_that_rests_at_its_high_level() -> None:
    output, wire = _ready()
    output.apply_pulses(level_v=-1.2, width_s=1e-3)
    assert (
        ":SOUR1:VOLT:LOW -0.002;:SOUR1:VOLT:HIGH 0;:OUTP1:POL INV"
        ";:SOUR1:VOLT:LOW -1.2;:SOUR1:VOLT:HIGH 0"
    ) in wire.sent


def test_numbers_are_sent_with_nine_digits() -> None:
    output, wire = _ready()
    wire.given[":SOUR1:VOLT:LOW?"] = "0.1235"
    output.source_voltage = 0.123456789123
    assert wire.sent[0] == ":SOUR1:VOLT:HIGH 0.125456789;:SOUR1:VOLT:LOW 0.123456789"
    assert output.source_voltage == 0.1235


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        ({":SOUR1:FUNC:PULS:WIDT?": "9E-04"}, r"WIDT was set to 0\.001 but reads back 0\.0009"),
        ({":SOUR1:BURS:NCYC?": "1"}, "NCYC was set to 3 but reads back 1"),
        ({":TRIG1:SOUR?": "IMM"}, "SOUR was set to BUS but reads back 'IMM'"),
    ],
)
def test_a_train_that_reads_back_otherwise_is_a_fault_and_is_not_fired(
    answer: dict[str, str], what: str
) -> None:
    output, wire = _ready()
    wire.given |= answer
    with pytest.raises(InstrumentFault, match=what):
        output.apply_pulses(level_v=1, width_s=1e-3, count=3)
    assert not any("*TRG" in text for text in wire.sent)


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        ({":OUTP1:LOAD?": "5.0E+01"}, "LOAD was set to INF but reads back 50"),
        ({":SOUR1:VOLT:LIM:HIGH?": "10"}, "HIGH was set to 1.502 but reads back 10"),
        ({":SOUR1:VOLT:LIM:STAT?": "0"}, "STAT was set to 1 but reads back '0'"),
        ({":SOUR1:VOLT:LOW?": "-0.1"}, "LOW was set to 0 but reads back -0.1"),
        ({":OUTP1:POL?": "INV"}, "POL reads back INV"),
        ({":SOUR1:VOLT:RANG:AUTO?": "1"}, "left the range unlocked"),
    ],
)
def test_what_protects_the_array_is_read_back(answer: dict[str, str], what: str) -> None:
    output, _, _ = _output(**answer)
    with pytest.raises(InstrumentFault, match=what):
        output.set_up(range_v=1.5)


def test_garbage_is_an_unexpected_reply_not_a_level() -> None:
    question = ":SOUR1:VOLT:HIGH?;:SOUR1:VOLT:LOW?;:OUTP1:POL?;*OPC?"
    for reply in ("#?~!", "1;2;3;1", "0.1;#?~!;NORM;1", ""):
        output, _, _ = _output(**{question: reply})
        with pytest.raises(UnexpectedReply):
            _ = output.source_voltage


def test_pulses_from_another_level_than_zero_are_refused() -> None:
    output, wire = _ready()
    output.source_voltage = 0.5
    sent = len(wire.sent)
    with pytest.raises(Unsupported, match=r"level is 0\.5 V; pulses begin at 0 V"):
        output.apply_pulses(level_v=1, width_s=1e-3)
    assert len(wire.sent) == sent


def test_level_beyond_the_range_that_was_set_up_is_refused_unsent() -> None:
    output, wire = _ready()
    with pytest.raises(Unsupported, match=r"level 1\.6 V is beyond"):
        output.source_voltage = 1.6
    with pytest.raises(Unsupported, match=r"level -1\.6 V is beyond"):
        output.apply_pulses(level_v=-1.6, width_s=1e-3)
    with pytest.raises(Unsupported, match=r"range 9\.999 V is beyond"):
        output.set_up(range_v=9.999)
    assert wire.sent == []


def test_safe_state_switches_off_even_if_the_box_answers_garbage() -> None:
    output, wire, generator = _output(**{":SOUR1:FUNC?": "PULS", ":SOUR1:VOLT:HIGH?": "#?~!"})
    wire.values |= {":SOUR1:BURS:MODE": "TRIG", ":SOUR1:BURS:STAT": "1", ":OUTP1": "1"}
    with pytest.raises(UnexpectedReply, match="not a number"):
        generator.safe_state()
    assert wire.sent[-1] == ":OUTP1 0"
    assert output.source_enabled is False


def test_safe_state_that_leaves_an_output_on_says_so() -> None:
    _, wire, generator = _output(**{":OUTP1?": "1"})
    wire.values |= {":SOUR1:FUNC": "SIN", ":SOUR1:BURS:MODE": "TRIG", ":SOUR1:BURS:STAT": "0"}
    with pytest.raises(UnexpectedReply, match="output 1 is still on"):
        generator.safe_state()
    assert ":SOUR1:VOLT:OFFS 0" in wire.sent
