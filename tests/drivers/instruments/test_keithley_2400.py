"""What goes over the wire to a 2400."""

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwloop.array.operations import Flag
from hwloop.errors import InstrumentFault, UnexpectedReply, Unsupported
from hwloop_drivers.instruments.keithley_2400.driver import Keithley2400
from hwloop_drivers.instruments.keithley_2400.models import Keithley2400Settings
from hwloop_drivers.links.link import Link
from hwloop_drivers.roles import SourceSetup, Train, TrainPoint


class Wire(Link):
    """Remembers settings as the box does; ``given`` overrides answers."""

    def __init__(self, **given: str) -> None:
        self.address = "wire"
        self.sent: list[str] = []
        self.given = given
        self.values = {":SYST:LFR": "50", ":STAT:MEAS": "64", ":SENS:CURR:RANG:AUTO": "1"}

    def write(self, text: str) -> None:
        self.sent.append(text)
        self.values |= _as_kept(text)

    def query(self, text: str, *, timeout_s: float | None = None) -> str:
        self.sent.append(text)
        replies = []
        for part in text.split(";"):
            if "?" in part:
                replies.append(self.given[part] if part in self.given else self._answer(part))
            else:
                self.values |= _as_kept(part)
        return ";".join(replies)

    def _answer(self, question: str) -> str:
        return "1" if question == "*OPC?" else self.values[question.removesuffix("?")]

    def query_binary(self, text: str, *, timeout_s: float | None = None) -> bytes:
        raise AssertionError(text)

    def recover(self, verify: Callable[[], None]) -> None:
        verify()

    def close(self) -> None:
        pass


def _as_kept(text: str) -> dict[str, str]:
    """A setting as it is answered; a range that is set is automatic no more: 18-63."""
    header, _, value = text.partition(" ")
    kept = {header: {"ON": "1", "OFF": "0"}.get(value, value)}
    return kept | ({":SENS:CURR:RANG:AUTO": "0"} if header == ":SENS:CURR:RANG" else {})


def _smu(**given: str) -> tuple[Keithley2400, Wire]:
    wire = Wire(**given)
    return Keithley2400(wire, Keithley2400Settings()), wire


@given(st.floats(1e-12, 1.0), st.floats(1e-3, 200.0))
def test_compliance_and_level_arrive_with_nine_digits_or_are_refused(
    compliance_a: float, level_v: float
) -> None:
    smu, wire = _smu()
    setup = SourceSetup(range_v=level_v, compliance_a=compliance_a)
    too_much = compliance_a > 0.105 and level_v > 21  # the 2400 gives 21 V at 1.05 A at most
    if compliance_a < 1e-9 or too_much:
        with pytest.raises(Unsupported, match=r"(below|beyond) the instrument"):
            smu.set_up(setup)
        assert wire.sent == []
        return
    smu.set_up(setup)
    smu.source_voltage = level_v
    assert float(wire.values[":SENS:CURR:PROT"]) == pytest.approx(compliance_a, rel=1e-8)
    sent_v = wire.sent[-1].removeprefix(":SOUR:VOLT ").removesuffix(";*OPC?")
    assert float(sent_v) == pytest.approx(level_v, rel=1e-8)


def test_range_may_be_read_back_as_its_nominal_or_its_largest_value() -> None:
    setup = SourceSetup(range_v=1, compliance_a=1e-4)
    for source_v, sense_a in [("2", "1E-4"), ("2.100000E+00", "1.050000E-04")]:
        smu, _ = _smu(**{":SOUR:VOLT:RANG?": source_v, ":SENS:CURR:RANG?": sense_a})
        smu.set_up(setup)
    smu, _ = _smu(**{":SENS:CURR:RANG?": "1.050000E-03"})
    with pytest.raises(InstrumentFault, match=r"RANG was set to 0\.0001 but reads back 0\.00105"):
        smu.set_up(setup)


@pytest.mark.parametrize(
    ("later", "header", "reads"),
    [(":SENS:CURR:RANG ", ":SENS:CURR:PROT", "1.05E-2"), (":SYST:AZER", ":SOUR:VOLT:RANG", "20")],
)
def test_setting_that_a_later_one_changes_is_a_fault(later: str, header: str, reads: str) -> None:
    smu, wire = _smu()
    write = wire.write

    def changing(text: str) -> None:
        write(text)
        if text.startswith(later):
            wire.values[header] = reads

    wire.write = changing  # type: ignore[method-assign]
    with pytest.raises(InstrumentFault, match=f"{header} was set to .* but reads back"):
        smu.set_up(SourceSetup(range_v=1, compliance_a=1e-4))


def test_compliance_that_reads_back_otherwise_is_a_fault() -> None:
    smu, _ = _smu(**{":SENS:CURR:PROT?": "1.05E-4"})
    with pytest.raises(InstrumentFault, match=r"set to 1e-07 but reads back 0\.000105"):
        smu.set_up(SourceSetup(range_v=1, compliance_a=1e-7))


def test_level_beyond_the_locked_range_is_refused_unsent() -> None:
    smu, wire = _smu()
    smu.set_up(SourceSetup(range_v=2, compliance_a=1e-4))
    sent = len(wire.sent)
    with pytest.raises(Unsupported, match=r"level 2\.5 V is beyond"):
        smu.source_voltage = 2.5
    assert len(wire.sent) == sent


def test_train_of_fifty_pulses_is_one_list_sweep() -> None:
    reply = ",".join(["+9.91E+37,+0"] * 100)
    smu, wire = _smu(**{":READ?": reply})
    smu.set_up(SourceSetup(range_v=2, compliance_a=1e-4))
    wire.sent.clear()
    on, off = TrainPoint(1.2, 1e-3), TrainPoint(0.0, 1e-3)
    assert smu.apply_train([on, off] * 49 + [on]) == Train()
    assert sum(":READ?" in text for text in wire.sent) == 1
    assert ":SOUR:DEL 0.00064" in wire.sent  # 1 ms less 50 and 310 us: A-7, case IV
    assert ":TRIG:COUN 100" in wire.sent
    assert max(len(text.split(",")) for text in wire.sent) <= 100


def test_reading_at_compliance_is_nan_and_flagged() -> None:
    smu, _ = _smu(**{":READ?": "+1.000000E-04,+8.000000E+00"})
    measured = smu.measure_current()
    assert math.isnan(measured.current_a)
    assert measured.flags == Flag.COMPLIANCE


@pytest.mark.parametrize("bit", [3, 16])  # real compliance, range compliance: 18-50
def test_reading_with_either_bit_of_compliance_is_nan(bit: int) -> None:
    smu, _ = _smu(**{":READ?": f"+1.000000E-04,{float(1 << bit):+E}"})
    smu.set_up(SourceSetup(range_v=1, compliance_a=1e-3))
    measured = smu.measure_current()
    assert math.isnan(measured.current_a)
    assert measured.flags == Flag.COMPLIANCE


def test_garbage_is_an_unexpected_reply_not_a_number() -> None:
    smu, _ = _smu(**{":READ?": "#?~!,+0"})
    with pytest.raises(UnexpectedReply, match="not a number"):
        smu.measure_current()


def test_train_of_incommensurate_widths_is_refused() -> None:
    smu, wire = _smu()
    with pytest.raises(Unsupported, match="multiples of the shortest"):
        smu.refuse_train([TrainPoint(1, 2e-3), TrainPoint(0, 3e-3)])
    assert wire.sent == []


@pytest.mark.parametrize(("events", "flags"), [(1 << 14, Flag.COMPLIANCE), (1 << 6, Flag(0))])
def test_compliance_that_was_latched_during_a_train_is_told_though_no_status_has_it(
    events: int, flags: Flag
) -> None:
    # Bit 14 of the measurement event register: 15-14. The status of a step is good again.
    smu, _ = _smu(**{":READ?": "+9.91E+37,+0,+9.91E+37,+0", ":STAT:MEAS?": str(events)})
    smu.set_up(SourceSetup(range_v=2, compliance_a=1e-4))
    assert smu.apply_train([TrainPoint(1.2, 1e-3)]) == Train((), flags)
