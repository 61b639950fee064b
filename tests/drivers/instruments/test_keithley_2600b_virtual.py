"""The 2600B's driver against the virtual 2600B, in one process."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwloop.array.operations import Flag
from hwloop.errors import InstrumentFault, UnexpectedReply, Unsupported
from hwloop_drivers.instruments.keithley_2600b.channel import Keithley2600BChannel
from hwloop_drivers.instruments.keithley_2600b.driver import Keithley2600B
from hwloop_drivers.instruments.keithley_2600b.models import Keithley2600BSettings
from hwloop_drivers.roles import SourceSetup, Train, TrainPoint, VerifyLoop
from hwloop_sim.virtual.instruments.keithley_2600b.box import Keithley2600B as Virtual2600B
from tests.virtual_link import OneBox

ON, OFF = TrainPoint(1.2, 2e-3), TrainPoint(0.0, 2e-3)
READ = TrainPoint(0.1, 25e-3, measure=True)


def _bench(
    *,
    model: str = "2602B",
    compliance_a: float = 1e-3,
    nplc: float = 1.0,
    lowest_range_a: float = 1e-6,
    **box: Any,
) -> tuple[Keithley2600B, Keithley2600BChannel, OneBox]:
    one = OneBox(Virtual2600B, drive="box.a", settings={"model": model}, **box)
    instrument = Keithley2600B(
        one.link,
        Keithley2600BSettings.model_validate(
            {"model": model, "nplc": nplc, "lowest_range_a": lowest_range_a}
        ),
    )
    instrument.verify_identity()
    instrument.reset()
    channel = instrument.outputs()["a"]
    assert isinstance(channel, Keithley2600BChannel)
    channel.set_up(SourceSetup(range_v=6 if "260" in model else 2, compliance_a=compliance_a))
    channel.source_enabled = True
    instrument.check_errors()
    return instrument, channel, one


def test_fifty_pulses_with_reads_are_one_round_trip() -> None:
    instrument, smu, box = _bench()
    before = box.link.round_trips
    readings = smu.apply_train([ON, READ] * 50).readings
    assert box.link.round_trips - before == 1
    assert max(len(text) for text in box.link.sent) < 1100
    assert [m.current_a for m in readings] == pytest.approx([1e-6] * 50)
    assert [p.amplitude_v[0, 0] for p in box.device.pulses] == pytest.approx([1.2] * 50)
    assert [p.width_s for p in box.device.pulses] == pytest.approx([2e-3] * 50)
    assert box.circuit.output_volts()["box.a"] == 0
    instrument.check_errors()


def test_level_with_a_reading_lasts_as_long_as_the_point_says() -> None:
    _, smu, box = _bench(nplc=0.01)
    smu.apply_train([TrainPoint(1.0, 3e-3, measure=True)])
    assert [p.width_s for p in box.device.pulses] == pytest.approx([3e-3])
    with pytest.raises(Unsupported, match="shorter than its reading"):
        _bench(nplc=1)[1].apply_train([TrainPoint(1.0, 3e-3, measure=True)])


def test_equal_pulses_below_a_millisecond_are_timed_by_the_trigger_model() -> None:
    instrument, smu, box = _bench()
    on, off = TrainPoint(-1.2, 100e-6), TrainPoint(0.0, 200e-6)
    before = box.link.round_trips
    assert smu.apply_train([on, off, on]) == Train()
    assert box.link.round_trips - before == 1
    assert [p.amplitude_v[0, 0] for p in box.device.pulses] == pytest.approx([-1.2, -1.2])
    assert [p.width_s for p in box.device.pulses] == pytest.approx([100e-6, 100e-6])
    assert smu.compliance_current == 1e-3
    assert smu.measure_current().current_a == pytest.approx(0, abs=1e-12)
    instrument.check_errors()


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([], "needs a point"),
        ([TrainPoint(1.0, 50e-6)], "5e-05 s is outside 0.0001"),
        ([TrainPoint(1.0, 5e-4, measure=True)], "0.0005 s is outside 0.001"),
        ([TrainPoint(1.0, 5e-4), TrainPoint(0.5, 5e-4)], "0.0005 s is outside 0.001"),
        ([TrainPoint(41.0, 1e-2)], "level 41 V is beyond"),
        ([ON] * 10_001, "10001 points; 10000 at most"),
    ],
)
def test_train_that_no_script_can_time_is_refused_unsent(
    points: list[TrainPoint], message: str
) -> None:
    one = OneBox(Virtual2600B, drive="box.a")
    smu = Keithley2600B(one.link, Keithley2600BSettings()).outputs()["a"]
    assert isinstance(smu, Keithley2600BChannel)
    with pytest.raises(Unsupported, match=message):
        smu.refuse_train(points)
    assert one.link.sent == []


def test_reading_at_compliance_is_nan_and_flagged() -> None:
    _, smu, _ = _bench(compliance_a=1e-6)
    free, held = smu.apply_train([READ, TrainPoint(1.0, 25e-3, measure=True)]).readings
    assert free.current_a == pytest.approx(1e-6, rel=1e-5)
    assert math.isnan(held.current_a)
    assert held.flags == Flag.COMPLIANCE
    assert not smu.tripped
    smu.source_voltage = 1.0
    assert smu.tripped
    assert smu.measure_current().flags == Flag.COMPLIANCE


def test_reading_beyond_its_fixed_range_is_nan_and_flagged() -> None:
    instrument, smu, _ = _bench()
    smu.set_up(SourceSetup(range_v=6, compliance_a=1e-3, measure_range_a=1e-6))
    smu.source_voltage = 1.0
    assert smu.measure_current().flags == Flag.OVER_RANGE
    assert (
        smu.apply_train([TrainPoint(1.0, 25e-3, measure=True)]).readings[0].flags == Flag.OVER_RANGE
    )
    # Not inside the window, and all the same the end: who cannot see does not go on.
    loop = VerifyLoop(1.2, 0.1, 2e-3, 1.0, 25e-3, -math.inf, 1e-9, 9)
    assert [m.flags for m in smu.verify_loop(loop)] == [Flag.OVER_RANGE]
    instrument.check_errors()


def test_verify_loop_ends_inside_the_window_and_leaves_0_v() -> None:
    _, smu, box = _bench()
    loop = VerifyLoop(0.5, 0.1, 2e-3, 0.1, 25e-3, 0.9e-6, 1.1e-6, 20)
    before = box.link.round_trips
    assert [m.current_a for m in smu.verify_loop(loop)] == pytest.approx([1e-6])
    loop = VerifyLoop(0.5, 0.1, 2e-3, 0.1, 25e-3, 2e-6, 3e-6, 4)
    assert [m.current_a for m in smu.verify_loop(loop)] == pytest.approx([1e-6] * 4)
    assert box.link.round_trips - before == 2
    amplitudes = [p.amplitude_v[0, 0] for p in box.device.pulses]
    assert amplitudes == pytest.approx([0.5, 0.5, 0.6, 0.7, 0.8])
    assert box.circuit.output_volts()["box.a"] == 0


def test_verify_loop_ends_at_compliance() -> None:
    _, smu, _ = _bench(compliance_a=5e-7)
    (only,) = smu.verify_loop(VerifyLoop(0.5, 0.1, 2e-3, 0.1, 25e-3, 1e-6, 2e-6, 9))
    assert math.isnan(only.current_a)
    assert only.flags == Flag.COMPLIANCE


def test_script_that_stops_leaves_0_v_and_is_a_fault() -> None:
    _, smu, box = _bench()
    box.link.write("function delay(s) smua.nonsense = 1 end")
    with pytest.raises(InstrumentFault, match=r"stopped: .*field `nonsense', which is not there"):
        smu.apply_train([TrainPoint(1.0, 5e-3), TrainPoint(0.5, 4e-3)])
    assert box.circuit.output_volts()["box.a"] == 0


def test_level_that_the_instrument_refuses_is_a_fault_not_a_train_without_it() -> None:
    _, smu, box = _bench()
    box.link.write("smua.source.rangev = 1")
    with pytest.raises(InstrumentFault, match="5005, Value too big for range"):
        smu.apply_train([ON, READ])


def test_safe_state_turns_both_channels_off_from_any_state() -> None:
    instrument, smu, box = _bench()
    box.link.write("smub.source.func = smub.OUTPUT_DCAMPS smub.source.leveli = 1e-3")
    box.link.write("smub.source.output = smub.OUTPUT_ON")
    smu.source_voltage = 2.0
    box.link.write("loadscript half")
    assert box.instrument.output_states() == {"a": True, "b": True}
    instrument.safe_state()
    instrument.safe_state()
    assert box.instrument.output_states() == {"a": False, "b": False}
    assert box.link.query("print(smua.source.levelv, smub.source.leveli)") == (
        "0.000000000e+00\t0.000000000e+00"
    )


def test_model_decides_the_channels_and_is_checked_against_the_identity() -> None:
    for model, letters in (("2602B", {"a", "b"}), ("2635B", {"a"})):
        one = OneBox(Virtual2600B, drive="box.a", settings={"model": model})
        box = Keithley2600B(one.link, Keithley2600BSettings.model_validate({"model": model}))
        box.verify_identity()
        assert set(box.outputs()) == letters == set(one.instrument.output_states())
    box = Keithley2600B(one.link, Keithley2600BSettings(model="2636B"))
    with pytest.raises(UnexpectedReply, match="expected 2636B, found"):
        box.verify_identity()


def test_settings_are_read_back_for_the_record() -> None:
    instrument, _, _ = _bench(nplc=0.1)
    seen = instrument.read_back()
    assert (seen["a.source_range_v"], seen["a.compliance_current_a"], seen["a.nplc"]) == (
        6,
        1e-3,
        0.1,
    )
    assert "b.nplc" in seen


def test_low_ranges_of_the_2636b_resolve_a_tenth_of_a_femtoampere() -> None:
    _, smu, _ = _bench(model="2636B", compliance_a=1e-9, conductance_s=3e-13, lowest_range_a=1e-10)
    smu.source_voltage = 0.1
    # 100 pA range, a million steps; 1e-15 S is the leakage of the wires.
    assert smu.measure_current().current_a == pytest.approx(301e-16, abs=1e-21)


def test_noise_falls_with_the_integration_time() -> None:
    spread = {}
    for nplc in (0.01, 1.0):
        _, smu, _ = _bench(nplc=nplc, noise=np.random.default_rng(1))
        smu.source_voltage = 0.1
        spread[nplc] = np.std([smu.measure_current().current_a for _ in range(60)])
    assert 5 < spread[0.01] / spread[1.0] < 20  # root of 100


@settings(max_examples=60, deadline=None)
@given(
    model=st.sampled_from(["2602B", "2611B", "2636B"]),
    compliance_a=st.floats(-12, 0).map(lambda x: 10**x),
    level_v=st.floats(-3, math.log10(200)).map(lambda x: 10**x),
    width_s=st.floats(-8, 1).map(lambda x: 10**x),
)
def test_compliance_level_and_width_reach_the_box_with_nine_digits_or_are_refused(
    model: str, compliance_a: float, level_v: float, width_s: float
) -> None:
    one = OneBox(
        Virtual2600B, drive="box.a", settings={"model": model}, conductance_s=1e-14, quiet_v=1e-4
    )
    box = Keithley2600B(one.link, Keithley2600BSettings.model_validate({"model": model}))
    smu = box.outputs()["a"]
    assert isinstance(smu, Keithley2600BChannel)
    most_v = 40 if "260" in model else 200
    most_a = {40: {40: 1.0, 6: 3.0}, 200: {200: 0.1, 20: 1.5}}[most_v]
    high_v = 6 if most_v == 40 else 20
    least_a = 1e-10 if model == "2636B" else 1e-8
    fits = level_v <= most_v and compliance_a <= most_a[most_v if level_v > high_v else high_v]
    if not fits or compliance_a < least_a:
        with pytest.raises(Unsupported):
            smu.set_up(SourceSetup(range_v=level_v, compliance_a=compliance_a))
        assert one.link.sent == []
        return
    smu.set_up(SourceSetup(range_v=level_v, compliance_a=compliance_a))
    smu.source_enabled = True
    assert smu.compliance_current == pytest.approx(compliance_a, rel=1e-8)
    sent = len(one.link.sent)
    if width_s < 1e-4:
        with pytest.raises(Unsupported, match="is outside"):
            smu.apply_train([TrainPoint(level_v, width_s)])
        assert len(one.link.sent) == sent
        return
    smu.apply_train([TrainPoint(level_v, width_s)])
    box.check_errors()
    (pulse,) = one.device.pulses
    assert pulse.amplitude_v[0, 0] == pytest.approx(level_v, rel=1e-8)
    assert pulse.width_s == pytest.approx(width_s, rel=1e-8)
