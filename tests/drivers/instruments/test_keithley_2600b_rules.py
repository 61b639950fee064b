"""Rules of the 2600B by topics of Keithley's help: the box obeys each, and the driver copes."""

import pytest

from hwloop.array.operations import Flag
from hwloop.errors import InstrumentFault, Unsupported
from hwloop_drivers.instruments.keithley_2600b.channel import Keithley2600BChannel
from hwloop_drivers.instruments.keithley_2600b.driver import Keithley2600B
from hwloop_drivers.instruments.keithley_2600b.models import Keithley2600BSettings
from hwloop_drivers.roles import SourceSetup, TrainPoint
from hwloop_sim.virtual.instruments.keithley_2600b.box import Keithley2600B as Virtual2600B
from hwloop_sim.virtual.instruments.keithley_2600b.channel import SourceMeasureChannel
from tests.virtual_link import OneBox


def _box(model: str = "2636B", conductance_s: float = 1e-6) -> OneBox:
    return OneBox(
        Virtual2600B, drive="box.a", settings={"model": model}, conductance_s=conductance_s
    )


def _source(
    box: OneBox, *, model: str = "2636B", nplc: float = 0.001, compliance_a: float = 1e-3,
    lowest_range_a: float = 1e-6,
) -> Keithley2600BChannel:  # fmt: skip
    given = {"model": model, "nplc": nplc, "lowest_range_a": lowest_range_a}
    instrument = Keithley2600B(box.link, Keithley2600BSettings.model_validate(given))
    instrument.reset()
    channel = instrument.outputs()["a"]
    assert isinstance(channel, Keithley2600BChannel)
    channel.set_up(SourceSetup(range_v=2, compliance_a=compliance_a))
    channel.source_enabled = True
    return channel


def _ask(box: OneBox, *lines: str) -> str:
    *told, question = lines
    for line in told:
        assert box.instrument.receive(line) is None
    return str(box.instrument.receive(question))


@pytest.mark.parametrize(
    ("model", "delay"),
    [("2602B", 0), ("2612B", 0), ("2634B", -1), ("2635B", -1), ("2636A", -1), ("2657A", -1)],
)
def test_box_delays_readings_by_itself_only_in_the_models_for_low_currents(
    model: str, delay: float
) -> None:
    # Topic smuX.measure.delay; for the 2657A Measure auto delay.
    assert float(_ask(_box(model), "print(smua.measure.delay)")) == delay


@pytest.mark.parametrize(
    ("range_a", "settle_s"), [(1e-6, 2.5e-3), (1e-7, 15e-3), (1e-8, 90e-3), (1e-9, 360e-3)]
)
def test_box_settles_in_the_time_of_the_current_range(range_a: float, settle_s: float) -> None:
    # Topic Measurement settling time considerations: 0.1 % of the final value.
    box = _box(conductance_s=5 * range_a)
    prepared = (
        "smua.source.rangev = 2 smua.measure.delay = 0 smua.measure.nplc = 0.001",
        f"smua.measure.autozero = 0 smua.measure.rangei = {range_a} smua.source.output = 1",
    )
    step_a = 3.2e-5 * range_a  # a million of a range at one cycle
    read = f"smua.source.levelv = 0.1 delay({settle_s - 2e-5}) print(smua.measure.i())"
    seen_a = float(_ask(box, *prepared, read))
    assert seen_a == pytest.approx(0.999 * 0.5 * range_a, abs=step_a)
    assert seen_a != pytest.approx(0.5 * range_a, abs=step_a)
    settled = "delay(1) print(smua.measure.i())"
    assert float(_ask(box, settled)) == pytest.approx(0.5 * range_a, abs=step_a)
    automatic = "smua.measure.delay = smua.DELAY_AUTO smua.source.levelv = 0 delay(1)"
    begun_s = box.clock.now_s + 1
    _ask(box, automatic, "smua.source.levelv = 0.1 print(smua.measure.i())")
    assert box.clock.now_s - begun_s == pytest.approx(settle_s + 2e-5)


@pytest.mark.parametrize("lowest_range_a", [1e-6, 1e-8, 1e-10])
def test_reading_right_after_a_level_has_settled(lowest_range_a: float) -> None:
    box = _box(conductance_s=1e-9)
    smu = _source(box, lowest_range_a=lowest_range_a)
    for level_v in (0.1, -0.1, 0.1):
        smu.source_voltage = level_v
        # 1 uA range, half a million steps at 0.001 cycles: 1e-10 / 3e-11
        assert smu.current == pytest.approx(level_v * 1e-9, rel=2e-3, abs=3.2e-11)


def test_level_too_short_for_settling_and_reading_is_refused() -> None:
    smu = _source(_box(), nplc=1.0)
    with pytest.raises(Unsupported, match=r"0\.02 s, and the 0\.0025 s until it has settled"):
        smu.apply_train([TrainPoint(0.1, 21e-3, measure=True)])


def test_box_takes_a_level_beyond_a_locked_range_until_the_output_is_turned_on() -> None:
    # Topic Range considerations.
    box = _box()
    count = "print(errorqueue.count)"
    assert _ask(box, "smua.source.rangev = 2 smua.source.levelv = 5", count) == "0.00000e+00"
    assert _ask(box, "smua.source.output = smua.OUTPUT_ON", count) == "1.00000e+00"
    assert box.instrument.output_states()["a"] is False


def test_level_left_beyond_the_range_does_not_reach_the_array() -> None:
    box = _box()
    smu = _source(box)
    smu.source_enabled = False
    box.link.write("smua.source.levelv = 15")
    smu.set_up(SourceSetup(range_v=2, compliance_a=1e-3))
    smu.source_enabled = True
    assert box.circuit.line_volts()["row0"] == 0


def test_range_between_readings_carries_the_limit_should_a_lower_one_clamp_the_output() -> None:
    # Not found in the help of the 2600B whether it does; that of the 2450 does.
    box = _box(conductance_s=1e-6)
    smu = _source(box)
    smu.source_voltage = 0.1
    smu.measure_current()
    assert float(_ask(box, "print(smua.measure.rangei)")) == pytest.approx(1e-3)
    assert _ask(box, "print(smua.measure.autorangei == smua.AUTORANGE_FOLLOW_LIMIT)") == "true"


@pytest.mark.parametrize("width_s", [1e-3, 2e-3, 5e-3, 10e-3, 50e-3])
@pytest.mark.parametrize("command_s", [0.0, 4e-4])
def test_width_is_made_exactly_though_setting_a_level_takes_time(
    width_s: float, command_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = SourceMeasureChannel._set_source
    box = _box()

    def slow(channel: SourceMeasureChannel, axis: str, value: object) -> None:
        change(channel, axis, value)
        box.clock.advance(command_s)

    monkeypatch.setattr(SourceMeasureChannel, "_set_source", slow)
    box = _box()
    smu = _source(box)
    smu.apply_train([TrainPoint(1.0, width_s), TrainPoint(0.0, width_s)] * 3)
    assert [p.width_s for p in box.device.pulses] == pytest.approx([width_s] * 3, rel=1e-9)


@pytest.mark.parametrize("width_s", [5e-4, 5e-3])
def test_pulse_that_the_limit_cuts_is_flagged_though_nobody_measured_it(width_s: float) -> None:
    # Below 1 ms by the latched status of the channel, topic status.measurement.instrument.smuX.
    box = _box(conductance_s=1e-4)
    smu = _source(box, compliance_a=1e-4)
    good, cut = TrainPoint(0.9, width_s), TrainPoint(1.5, width_s)
    assert smu.apply_train([good]).flags == Flag(0)
    assert smu.apply_train([cut]).flags == Flag.COMPLIANCE
    assert smu.apply_train([good]).flags == Flag(0)


def test_level_that_lasted_otherwise_than_asked_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    change = SourceMeasureChannel._set_source
    box = _box()

    def slow(channel: SourceMeasureChannel, axis: str, value: object) -> None:
        change(channel, axis, value)
        if value:
            box.clock.advance(1e-3)

    monkeypatch.setattr(SourceMeasureChannel, "_set_source", slow)
    box = _box()
    smu = _source(box)
    with pytest.raises(InstrumentFault, match=r"a level of 0\.01 s lasted 0\.011 s"):
        smu.apply_train([TrainPoint(1.0, 0.01)])
    assert box.circuit.output_volts()["box.a"] == 0


@pytest.mark.parametrize("model", ["2601B", "2602", "2602A", "2611B", "2636A", "2651A", "2657A"])
def test_box_is_any_model_of_the_family(model: str) -> None:
    box = _box(model)
    assert f"Model {model}," in _ask(box, "*IDN?")
    two = model[3] in "246" and model != "2651A"
    assert sorted(box.instrument.output_states()) == (["a", "b"] if two else ["a"])
