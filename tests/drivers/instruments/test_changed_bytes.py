"""Source-measure units on a link that protects no bytes: what changes on the way shows."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hwloop.errors import BackendError, InstrumentFault, UnexpectedReply
from hwloop_drivers.instruments.keithley_2400.driver import Keithley2400
from hwloop_drivers.instruments.keithley_2400.models import Keithley2400Settings
from hwloop_drivers.instruments.keithley_2600b.driver import Keithley2600B
from hwloop_drivers.instruments.keithley_2600b.models import Keithley2600BSettings
from hwloop_drivers.roles import PulseGenerator, SourceMeter, SourceSetup, TrainPoint
from hwloop_sim.virtual.instruments.keithley_2400.box import Keithley2400 as Virtual2400
from hwloop_sim.virtual.instruments.keithley_2600b.box import Keithley2600B as Virtual2600B
from tests.virtual_link import OneBox

READ_V, CELL_S = 0.1, 1e-5


def _same(text: str) -> str:
    return text


class BadWire:
    """The in-process link of a box, as a serial port whose bytes can be changed on the way."""

    def __init__(self, box: OneBox) -> None:
        self.sends: Callable[[str], str] = _same
        self.answers: Callable[[str], str] = _same
        self.sent: list[str] = []
        box.link.protects_bytes = False
        write, query = box.link.write, box.link.query

        def changed_write(text: str) -> None:
            self.sent.append(text)
            if self.sends(text):
                write(self.sends(text))

        def changed_query(text: str, *, timeout_s: float | None = None) -> str:
            self.sent.append(text)
            return self.answers(query(self.sends(text), timeout_s=timeout_s))

        box.link.write, box.link.query = changed_write, changed_query  # type: ignore[method-assign]


Smu = tuple[SourceMeter, BadWire, OneBox]


def _smu_2400() -> Smu:
    box = OneBox(Virtual2400, conductance_s=CELL_S)
    wire = BadWire(box)
    smu = Keithley2400(box.link, Keithley2400Settings())
    smu.reset()
    return _ready(smu), wire, box


def _smu_2602b() -> Smu:
    box = OneBox(Virtual2600B, drive="box.a", settings={"model": "2602B"}, conductance_s=CELL_S)
    wire = BadWire(box)
    instrument = Keithley2600B(box.link, Keithley2600BSettings.model_validate({"model": "2602B"}))
    instrument.reset()
    return _ready(instrument.outputs()["a"]), wire, box


def _ready(smu: SourceMeter | PulseGenerator) -> SourceMeter:
    assert isinstance(smu, SourceMeter)
    smu.set_up(SourceSetup(range_v=2, compliance_a=1e-3))
    smu.source_enabled = True
    smu.source_voltage = READ_V
    return smu


SMUS = pytest.mark.parametrize("make", [_smu_2400, _smu_2602b], ids=["2400", "2602B"])


@SMUS
def test_wire_that_changes_nothing_measures_and_pulses_as_ever(make: Callable[[], Smu]) -> None:
    smu, _, box = make()
    assert smu.measure_current().current_a == pytest.approx(READ_V * CELL_S)
    smu.source_voltage = 0.0
    smu.apply_train([TrainPoint(1.5, 2e-3), TrainPoint(0.0, 2e-3), TrainPoint(1.2, 2e-3)])
    assert [p.amplitude_v[0, 0] for p in box.device.pulses] == pytest.approx([1.5, 1.2])
    assert smu.measure_current().current_a == pytest.approx(0.0, abs=1e-9)
    assert not smu.tripped
    assert smu.compliance_current == pytest.approx(1e-3)


@SMUS
@pytest.mark.parametrize("kind", ["lost", "doubled", "changed"])
def test_one_byte_of_a_reading_that_changes_on_the_way_is_never_taken(
    make: Callable[[], Smu], kind: str
) -> None:
    smu, wire, _ = make()
    before = smu.measure_current().current_a
    texts: list[str] = []
    wire.answers = lambda text: texts.append(text) or text  # type: ignore[func-returns-value]
    smu.measure_current()
    for place in range(len(texts[-1])):

        def damage(text: str, place: int = place) -> str:
            if len(text) <= place:
                return text
            middle = {"lost": "", "doubled": 2 * text[place], "changed": chr(ord(text[place]) ^ 1)}
            return text[:place] + middle[kind] + text[place + 1 :]

        wire.answers = damage
        with pytest.raises(UnexpectedReply):
            smu.measure_current()
    wire.answers = _same
    assert smu.measure_current().current_a == before


@SMUS
@pytest.mark.parametrize("changed", ["0.9", "0.01", "-0.1"])
def test_level_that_changes_on_the_way_is_noticed_when_it_is_set(
    make: Callable[[], Smu], changed: str
) -> None:
    smu, wire, _ = make()
    smu.source_voltage = 0.0
    wire.sends = lambda text: text.replace(" 0.1", f" {changed}")
    with pytest.raises(InstrumentFault, match=r"set to 0\.1 V but reads back"):
        smu.source_voltage = 0.1


@SMUS
def test_compliance_and_trip_are_asked_for_twice(make: Callable[[], Smu]) -> None:
    smu, wire, _ = make()
    wire.answers = lambda text: text.replace("0", "1", 1).replace("false", "true", 1)
    with pytest.raises(UnexpectedReply, match="twice and not alike"):
        _ = smu.tripped
    with pytest.raises(UnexpectedReply, match="twice and not alike"):
        _ = smu.compliance_current


@pytest.mark.parametrize(
    ("sent", "arrives"),
    [
        (":SOUR:LIST:VOLT 1.5,0", ":SOUR:LIST:VOLT 1.7,0"),
        (":SOUR:LIST:VOLT 1.5,0", ":SOUR:LIST:VOLT 1.5,0,0"),
        (":SOUR:LIST:VOLT 1.5,0", ""),
        (":SOUR:DEL 0.00164", ":SOUR:DEL 0.0164"),
        (":SOUR:DEL 0.00164", ""),
        (":TRIG:COUN 2", ":TRIG:COUN 22"),
        (":TRIG:COUN 2", ""),
        (":SOUR:VOLT:MODE LIST", ""),
    ],
)
def test_sweep_that_changes_on_the_way_to_a_2400_is_not_made(sent: str, arrives: str) -> None:
    smu, wire, box = _smu_2400()
    smu.source_voltage = 0.0
    wire.sent.clear()
    wire.sends = lambda text: arrives if text == sent else text
    with pytest.raises(BackendError):
        smu.apply_train([TrainPoint(1.5, 2e-3)])
    assert sent in wire.sent
    assert not any(":READ?" in text for text in wire.sent)
    assert box.device.pulses == []


@pytest.mark.parametrize(
    ("sent", "arrives"),
    [(":SOUR:VOLT:MODE FIX", ""), (":TRIG:COUN 1", ""), (":TRIG:COUN 1", ":TRIG:COUN 11")],
)
def test_2400_that_did_not_leave_its_sweep_is_noticed(sent: str, arrives: str) -> None:
    smu, wire, _ = _smu_2400()
    smu.source_voltage = 0.0
    wire.sends = lambda text: arrives if text == sent else text
    with pytest.raises(InstrumentFault, match=r"was set to .* but reads back"):
        smu.apply_train([TrainPoint(1.5, 2e-3)])


def test_links_know_whether_they_protect_bytes() -> None:
    from hwloop_drivers.links.link import Link
    from hwloop_drivers.links.serial import SerialLink

    assert Link.protects_bytes
    assert not SerialLink.protects_bytes
