"""The 2400's driver against the virtual 2400, in one process."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwloop.array.operations import Flag
from hwloop.errors import InstrumentFault, UnexpectedReply, Unsupported
from hwloop_drivers.instruments.keithley_2400.driver import Keithley2400
from hwloop_drivers.instruments.keithley_2400.models import Keithley2400Settings
from hwloop_drivers.roles import SourceSetup, TrainPoint
from hwloop_sim.virtual.instruments.keithley_2400.box import (
    Keithley2400 as VirtualKeithley2400,
)
from tests.virtual_link import OneBox

CELL_CONDUCTANCE_S = 1e-5


def _smu(**more: object) -> tuple[Keithley2400, OneBox]:
    box = OneBox(VirtualKeithley2400, conductance_s=CELL_CONDUCTANCE_S)
    smu = Keithley2400(box.link, Keithley2400Settings.parse(more))
    smu.verify_identity()
    smu.reset()
    return smu, box


@pytest.mark.parametrize("errors", ["batch", "each"])
def test_pulse_train_reaches_the_device_with_its_amplitude_and_width(errors: str) -> None:
    smu, box = _smu(errors=errors)
    smu.set_up(SourceSetup(range_v=2, compliance_a=1e-3))
    smu.source_enabled = True
    smu.apply_train([TrainPoint(1.5, 2e-3), TrainPoint(0.0, 2e-3), TrainPoint(1.5, 2e-3)])
    smu.check_errors()
    assert [p.amplitude_v[0, 0] for p in box.device.pulses] == pytest.approx([1.5, 1.5])
    assert [p.width_s for p in box.device.pulses] == pytest.approx([2e-3, 2e-3])


@pytest.mark.parametrize("errors", ["batch", "each"])
def test_fifty_pulses_and_reads_are_one_round_trip(errors: str) -> None:
    smu, box = _smu(errors=errors)
    smu.set_up(SourceSetup(range_v=2, compliance_a=1e-3))
    smu.source_enabled = True
    before = box.link.round_trips
    train = [TrainPoint(1.5, 0.03), TrainPoint(0.1, 0.03, measure=True)] * 50
    readings = smu.apply_train(train).readings
    trips = box.link.round_trips - before
    smu.check_errors()
    assert errors == "each" or trips == 1
    assert [r.current_a for r in readings] == pytest.approx([0.1 * CELL_CONDUCTANCE_S] * 50)
    assert [p.width_s for p in box.device.pulses] == pytest.approx([0.03] * 50, rel=1e-9)
    assert smu.measure_current().current_a == pytest.approx(0, abs=1e-11)


@pytest.mark.parametrize("errors", ["batch", "each"])
def test_levels_are_set_measured_and_refused_by_the_box_however_errors_are_read(
    errors: str,
) -> None:
    smu, box = _smu(errors=errors)
    smu.set_up(SourceSetup(range_v=2, compliance_a=5e-6))
    smu.source_enabled = True
    smu.source_voltage = 0.2
    assert smu.current == pytest.approx(2e-6)
    smu.source_voltage = 1.0
    assert smu.tripped
    assert smu.measure_current().flags == Flag.COMPLIANCE
    assert math.isnan(smu.current)
    box.link.write(":SOUR:VOLT:RANG 0.2")
    box.link.write(":SOUR:VOLT 1")  # now beyond its range
    with pytest.raises(InstrumentFault, match="-222"):
        smu.check_errors()


def test_reading_of_a_source_that_stays_lasts_as_long_as_on_page_a_8() -> None:
    durations_s = []
    for autozero in (False, True):
        smu, box = _smu(autozero=autozero)
        smu.set_up(SourceSetup(range_v=2, compliance_a=1e-6))  # one range: nothing to search
        smu.source_enabled = True
        smu.measure_current()
        begun_s = box.clock.now_s
        smu.measure_current()
        durations_s.append(box.clock.now_s - begun_s)
    one_s = 1 / 50 + 185e-6  # one power line cycle, and the conversion
    assert durations_s == pytest.approx([100e-6 + one_s, 500e-6 + 3 * one_s])


@settings(max_examples=40, deadline=None)
@given(
    st.floats(-12, 0).map(lambda e: 10.0**e),
    st.floats(-3, 2.301).map(lambda e: 10.0**e),
    st.floats(-8, 1).map(lambda e: 10.0**e),
)
def test_limit_level_and_width_reach_the_box_to_nine_digits_or_are_refused(
    compliance_a: float, level_v: float, width_s: float
) -> None:
    smu, box = _smu()
    train = [TrainPoint(level_v, width_s)]
    try:
        smu.refuse_train(train)
        smu.set_up(SourceSetup(range_v=level_v, compliance_a=compliance_a))
    except Unsupported:
        assert width_s < 1e-3 or compliance_a < 1e-9 or (level_v > 21 and compliance_a > 0.105)
        return
    smu.source_enabled = True
    smu.source_voltage = level_v
    terminals = box.instrument._smu  # type: ignore[attr-defined]
    assert terminals.limits["VOLT"] == pytest.approx(compliance_a, rel=1e-8)
    assert terminals.levels["VOLT"] == pytest.approx(level_v, rel=1e-8)
    smu.source_voltage = 0
    before = len(box.device.pulses)
    smu.apply_train(train)
    smu.check_errors()
    seen_v = min(level_v, compliance_a / CELL_CONDUCTANCE_S)
    if seen_v > 0.2:
        assert box.device.pulses[before].width_s == pytest.approx(width_s, rel=1e-8)
        assert box.device.pulses[before].amplitude_v[0, 0] == pytest.approx(seen_v, rel=1e-8)


def _cell(ohm: float, **more: object) -> tuple[Keithley2400, OneBox]:
    """A driver on a cell of this resistance, with its output on."""
    box = OneBox(VirtualKeithley2400, conductance_s=1 / ohm, settings=more)
    smu = Keithley2400(box.link, Keithley2400Settings.parse(more))
    smu.verify_identity()
    smu.reset()
    smu.set_up(SourceSetup(range_v=2, compliance_a=1e-3))
    smu.source_enabled = True
    return smu, box


@pytest.mark.parametrize("ohm", [1e4, 1e5, 1e6])
def test_pulse_after_a_read_reaches_the_cell_in_full_despite_range_compliance(ohm: float) -> None:
    smu, box = _cell(ohm)
    for _ in range(2):
        smu.source_voltage = 0.1
        assert smu.measure_current().current_a == pytest.approx(0.1 / ohm, rel=1e-4)
        smu.source_voltage = 0.0
        smu.apply_train([TrainPoint(2.0, 10e-3)])
    smu.check_errors()
    assert [p.amplitude_v[0, 0] for p in box.device.pulses] == pytest.approx([2.0, 2.0])
    assert [p.width_s for p in box.device.pulses] == pytest.approx([10e-3, 10e-3])


@pytest.mark.parametrize("ohm", [1e4, 1e5, 1e6])
def test_level_held_after_a_read_is_limited_by_the_compliance_alone(ohm: float) -> None:
    # As of the SMU that holds the column while another instrument pulses the row.
    smu, box = _cell(ohm)
    smu.source_voltage = 0.1
    smu.measure_current()
    smu.source_voltage = 2.0
    assert box.circuit.sense("box").volts == pytest.approx(2.0)
    assert not smu.tripped


@pytest.mark.parametrize("ohm", [1e4, 1e5, 1e6, 1e8])
def test_read_after_a_pulse_has_the_resolution_of_its_own_range(ohm: float) -> None:
    smu, _ = _cell(ohm)
    smu.apply_train([TrainPoint(2.0, 2e-3)])
    smu.source_voltage = 0.123456
    # 5 1/2 digits of the range in use; 1 nA of the range that carries 1 mA is 10 nA.
    assert smu.measure_current().current_a == pytest.approx(0.123456 / ohm, rel=1e-4, abs=1e-11)


def test_range_that_was_changed_between_reading_and_train_is_a_fault() -> None:
    smu, box = _cell(1e4)
    box.link.write(":SENS:CURR:RANG 1E-6")
    with pytest.raises(InstrumentFault, match=r"RANG was set to 0\.001 but reads back 1e-06"):
        smu.apply_train([TrainPoint(2.0, 2e-3)])


def test_measure_range_above_that_of_the_compliance_is_refused_unsent() -> None:
    smu, box = _smu()
    before = box.link.round_trips
    with pytest.raises(Unsupported, match=r"range of 0\.1 A is above that of the compliance"):
        smu.set_up(SourceSetup(range_v=2, compliance_a=1e-3, measure_range_a=0.1))
    assert box.link.round_trips == before


def test_fixed_measure_range_is_that_of_readings_and_pulses_have_their_own() -> None:
    smu, box = _cell(1e4)
    smu.set_up(SourceSetup(range_v=2, compliance_a=1e-3, measure_range_a=1e-5))
    smu.source_voltage = 0.1
    assert smu.current == pytest.approx(1e-5)
    smu.source_voltage = 2.0  # 200 uA, beyond the range of readings
    measured = smu.measure_current()
    assert math.isnan(measured.current_a)
    assert Flag.COMPLIANCE in measured.flags
    assert box.circuit.sense("box").volts == pytest.approx(2.0)


@pytest.mark.parametrize("width_s", [1e-3, 2e-3, 5e-3, 10e-3, 50e-3])
def test_width_asked_for_is_the_time_for_which_the_cell_sees_the_level(width_s: float) -> None:
    smu, box = _cell(1e5)
    smu.apply_train([TrainPoint(1.5, width_s), TrainPoint(0.0, width_s), TrainPoint(1.5, width_s)])
    assert [p.width_s for p in box.device.pulses] == pytest.approx([width_s] * 2, rel=1e-6)


@pytest.mark.parametrize("width_s", [5e-3, 10e-3, 50e-3])
def test_width_with_readings_is_made_too_or_refused_by_what_a_reading_lasts(
    width_s: float,
) -> None:
    smu, box = _cell(1e5, nplc=0.2, line_frequency_hz=60.0)
    least_s = 50e-6 + 0.2 / 60 + 185e-6 + 300e-6  # A-6, case III
    smu.apply_train([TrainPoint(1.5, width_s, measure=True)])
    assert [p.width_s for p in box.device.pulses] == pytest.approx([width_s], rel=1e-6)
    with pytest.raises(Unsupported, match=r"shorter than its reading"):
        smu.refuse_train([TrainPoint(1.5, 0.99 * least_s, measure=True)])
    smu.refuse_train([TrainPoint(1.5, least_s, measure=True)])


def test_line_frequency_that_the_instrument_does_not_share_is_a_fault() -> None:
    smu, box = _cell(1e5)
    box.link.write(":SYST:LFR 60")
    with pytest.raises(InstrumentFault, match=r"60 Hz, but settings\.line_frequency_hz is 50"):
        smu.set_up(SourceSetup(range_v=2, compliance_a=1e-3))


MODELS = ["2400", "2400-LV", "2401", "2410", "2420", "2425", "2430", "2440"]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("compliance_a", [2e-8, 1e-3, 5e-2, 1.0])
def test_every_model_is_set_up_with_ranges_of_its_own(model: str, compliance_a: float) -> None:
    box = OneBox(VirtualKeithley2400, conductance_s=1e-9, settings={"model": model})
    smu = Keithley2400(box.link, Keithley2400Settings.parse({}))
    smu.verify_identity()  # which chooses the model
    smu.reset()
    for range_v in (0.1, 1.5, 9.0, 12.0):
        smu.set_up(SourceSetup(range_v=range_v, compliance_a=compliance_a))
        smu.source_enabled = True
        smu.apply_train([TrainPoint(range_v, 1e-3)])
        smu.check_errors()
        seen_v = max(change.lines_v["row0"] for change in box.circuit.changes)
        assert seen_v == pytest.approx(range_v)


def test_2440_has_no_20_v_range_and_a_2401_none_above_it() -> None:
    smu, box = _cell(1e9, model="2440")
    smu.set_up(SourceSetup(range_v=15, compliance_a=1e-3))
    assert box.link.query(":SOUR:VOLT:RANG?").startswith("+4.0")  # 40 V: page 6-4
    smu, _ = _cell(1e9, model="2401")
    with pytest.raises(Unsupported, match=r"2401: range 30 V is beyond the instrument's 21 V"):
        smu.set_up(SourceSetup(range_v=30, compliance_a=1e-3))


def test_station_that_names_another_model_than_the_instruments_is_refused() -> None:
    box = OneBox(VirtualKeithley2400, settings={"model": "2440"})
    with pytest.raises(UnexpectedReply, match=r"expected 2410, found .*MODEL 2440"):
        Keithley2400(box.link, Keithley2400Settings.parse({"model": "2410"})).verify_identity()


def test_readings_are_right_an_hour_after_the_set_up_since_each_measures_its_zero() -> None:
    smu, box = _cell(1e5)
    smu.source_voltage = 0.1
    before = smu.current
    box.clock.advance(3600)
    assert smu.current == before
    hasty, hasty_box = _cell(1e5, autozero=False)
    hasty.source_voltage = 0.1
    assert hasty.current == pytest.approx(before)
    hasty_box.clock.advance(3600)
    assert hasty.current > before  # what the setting says: the zero drifts


def test_reading_in_a_train_has_a_zero_of_its_own_an_hour_after_the_set_up() -> None:
    smu, box = _cell(1e5)
    box.clock.advance(3600)
    train = smu.apply_train([TrainPoint(0.1, 0.05, measure=True)])
    assert train.readings[0].current_a == pytest.approx(1e-6, rel=1e-6)


@pytest.mark.parametrize(("ohm", "limited"), [(1e3, True), (1e5, False)])
def test_train_without_readings_tells_whether_a_pulse_was_limited(
    ohm: float, limited: bool
) -> None:
    # 2 V on 1 kohm would draw 2 mA, above the compliance of 1 mA; the level is 0 V when it ends.
    smu, _ = _cell(ohm)
    train = smu.apply_train([TrainPoint(2.0, 2e-3), TrainPoint(0.0, 2e-3)])
    assert train.flags == (Flag.COMPLIANCE if limited else Flag(0))
    assert not smu.tripped
    assert smu.apply_train([TrainPoint(0.2, 2e-3)]).flags == Flag(0)  # nothing is left latched


@pytest.mark.parametrize("width_s", [999.0, 1000.5])
def test_width_beyond_the_longest_source_delay_is_refused(width_s: float) -> None:
    smu, _ = _smu()  # page 18-82: 999.9999 s
    if width_s < 999.9999:
        smu.refuse_train([TrainPoint(1.0, width_s)])
        return
    with pytest.raises(Unsupported, match=r"is outside 0\.001 to"):
        smu.refuse_train([TrainPoint(1.0, width_s)])
