"""The 2400's driver against the virtual 2400, in one process."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwloop.array.operations import Flag
from hwloop.errors import InstrumentFault, Unsupported
from hwloop_drivers.instruments.keithley_2400 import Keithley2400, Keithley2400Settings
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


def test_autozero_would_make_a_reading_last_three_times_as_long() -> None:
    smu, box = _smu()
    smu.set_up(SourceSetup(range_v=2, compliance_a=1e-3))
    smu.source_enabled = True
    box.link.write(":SOUR:DEL 0")
    durations_s = []
    for autozero in ("OFF", "ON"):
        box.link.write(f":SYST:AZER {autozero}")
        begun_s = box.clock.now_s
        smu.measure_current()
        durations_s.append(box.clock.now_s - begun_s)
    assert durations_s == pytest.approx([0.02, 0.06])


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
