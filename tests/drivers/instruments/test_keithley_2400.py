"""What goes over the wire to a 2400."""

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwloop.array.operations import Flag
from hwloop.errors import InstrumentFault, UnexpectedReply, Unsupported
from hwloop_drivers.instruments.keithley_2400 import Keithley2400, Keithley2400Settings
from hwloop_drivers.links.link import Link
from hwloop_drivers.roles import SourceSetup, Train, TrainPoint


class Wire(Link):
    """Remembers settings as the box does; ``given`` overrides answers."""

    def __init__(self, **given: str) -> None:
        self.address = "wire"
        self.sent: list[str] = []
        self.given = given
        self.values: dict[str, str] = {}

    def write(self, text: str) -> None:
        self.sent.append(text)
        header, _, value = text.partition(" ")
        self.values[header] = value

    def query(self, text: str, *, timeout_s: float | None = None) -> str:
        self.sent.append(text)
        if text in self.given:
            return self.given[text]
        return "1" if text.endswith("*OPC?") else self.values[text.removesuffix("?")]

    def query_binary(self, text: str, *, timeout_s: float | None = None) -> bytes:
        raise AssertionError(text)

    def recover(self, verify: Callable[[], None]) -> None:
        verify()

    def close(self) -> None:
        pass


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
    assert wire.sent.count(":READ?") == 1
    assert ":SOUR:DEL 0.001" in wire.sent
    assert ":TRIG:COUN 100" in wire.sent
    assert max(len(text.split(",")) for text in wire.sent) <= 100


def test_reading_at_compliance_is_nan_and_flagged() -> None:
    smu, _ = _smu(**{":READ?": "+1.000000E-04,+8.000000E+00"})
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
