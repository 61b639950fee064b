"""What goes over the wire to a 2450 that speaks SCPI."""

import math

import pytest

from hwloop.array.operations import Flag
from hwloop.errors import InstrumentFault, UnexpectedReply
from hwloop_drivers.instruments.keithley_2450.driver import Keithley2450
from hwloop_drivers.instruments.keithley_2450.limits import Keithley2450Settings
from hwloop_drivers.roles import SourceSetup, TrainPoint
from tests.scpi_wire import ScpiWire

READ = ':READ? "defbuffer1",READ,SOURSTAT'


def _smu(**given: str) -> tuple[Keithley2450, ScpiWire]:
    wire = ScpiWire({":SYST:LFR": "50", ":OUTP:VOLT:SMOD": "NORM"}, given)
    return Keithley2450(wire, Keithley2450Settings()), wire


def test_set_up_locks_the_range_under_a_low_limit_and_reads_back_what_protects() -> None:
    smu, wire = _smu()
    smu.set_up(SourceSetup(range_v=1.2, compliance_a=1e-4, nplc=0.1, measure_range_a=8e-5))
    low, ranged = wire.sent.index(":SOUR:VOLT:ILIM 1e-06"), wire.sent.index(":SOUR:VOLT:RANG 2")
    limit, read_back = (
        wire.sent.index(":SOUR:VOLT:ILIM 0.0001"), wire.sent.index(":SOUR:VOLT:ILIM?")
    )  # fmt: skip
    assert low < ranged < limit < read_back
    for sent in (
        ":SENS:CURR:RANG 0.0001", ":SENS:CURR:NPLC 0.1", ":SENS:CURR:AZER 0",
        ":SOUR:VOLT:READ:BACK 0", ":SOUR:VOLT:DEL 0.001", ":OUTP:VOLT:SMOD ZERO",
    ):  # fmt: skip
        assert sent in wire.sent
        assert f"{sent.partition(' ')[0]}?" in wire.sent


def test_limit_or_off_mode_that_reads_back_otherwise_is_a_fault() -> None:
    setup = SourceSetup(range_v=1, compliance_a=1e-7)
    smu, _ = _smu(**{":SOUR:VOLT:ILIM?": "1.05E-4"})
    with pytest.raises(InstrumentFault, match=r"set to 1e-07 but reads back 0\.000105"):
        smu.set_up(setup)
    smu, _ = _smu(**{":OUTP:VOLT:SMOD?": "NORM"})
    with pytest.raises(InstrumentFault, match="set to ZERO but reads back 'NORM'"):
        smu.set_up(setup)


def test_train_is_a_list_sweep_whose_data_come_with_its_start() -> None:
    data = ':TRAC:DATA? 1,{},"defbuffer1",READ,SOURSTAT,REL'
    run = ":INIT;*WAI;:SOUR:VOLT 0;:OUTP ON;:SENS:CURR:RANG:AUTO ON;" + data
    # Six steps at 0 V of 50 us, 0.2 ms of reading and 3.75 ms beside them; then 202 of 30 ms.
    tried = ",".join(f"+0E-6,+128,{n * 4e-3:g}" for n in range(6))
    seen = ["+0E-6,+128", *["+1E-6,+128", "+2E-6,+160"] * 100, "+0E-6,+128"]
    made = ",".join(f"{reading},{n * 0.03:g}" for n, reading in enumerate(seen))
    smu, wire = _smu(**{run.format(6): tried, run.format(202): made})
    smu.set_up(SourceSetup(range_v=2, compliance_a=1e-4))
    wire.sent.clear()
    pulse, read = TrainPoint(1.2, 0.03), TrainPoint(0.1, 0.03, measure=True)
    train = smu.apply_train([pulse, read] * 100)
    level = ",".join(["1.2,0.1"] * 49)
    begun = wire.sent.index(f":SOUR:LIST:VOLT 0,{level},1.2")
    assert wire.sent[begun : begun + 7] == [
        f":SOUR:LIST:VOLT 0,{level},1.2",
        f":SOUR:LIST:VOLT:APP 0.1,{level},1.2",
        ":SOUR:LIST:VOLT:APP 0.1,0",
        ":SENS:CURR:RANG 0.0001",
        ':TRAC:CLE "defbuffer1"',
        # 30 ms less 20 of reading and 3.75 of the step: more than the 3 of settling in the 1 uA range
        ':SOUR:SWE:VOLT:LIST 1,0.00625,1,OFF,"defbuffer1"',
        run.format(202),
    ]
    assert len(train.readings) == 100
    assert train.flags == Flag.COMPLIANCE
    assert {r.flags for r in train.readings} == {Flag.COMPLIANCE}  # bit 5 of the second of a pair
    assert all(math.isnan(r.current_a) for r in train.readings)


def test_garbage_is_an_unexpected_reply_not_a_number() -> None:
    smu, _ = _smu(**{READ: "#?~!,+0"})
    with pytest.raises(UnexpectedReply, match="not a number"):
        smu.measure_current()
    smu, _ = _smu(**{READ: "1e-6"})
    with pytest.raises(UnexpectedReply, match="answered 1 values for 1 readings"):
        smu.measure_current()


def test_output_that_stays_on_is_not_called_safe() -> None:
    smu, wire = _smu(**{":OUTP?": "1"})
    with pytest.raises(UnexpectedReply, match="the output is still on"):
        smu.safe_state()
    assert wire.sent[:4] == [":ABOR", ":SOUR:VOLT 0", ":SOUR:CURR 0", ":OUTP OFF"]
