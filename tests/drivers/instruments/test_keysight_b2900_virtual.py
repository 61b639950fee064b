"""The B2900's driver against the virtual B2900, in one process."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwloop.array.operations import Flag
from hwloop.errors import InstrumentFault, UnexpectedReply, Unsupported
from hwloop_drivers.instruments.keysight_b2900.driver import KeysightB2900, KeysightB2900Channel
from hwloop_drivers.instruments.keysight_b2900.models import KeysightB2900Settings
from hwloop_drivers.roles import SourceSetup, Train, TrainPoint
from hwloop_sim.virtual.instruments.keysight_b2900.box import KeysightB2900 as VirtualB2900
from tests.virtual_link import OneBox

CELL_CONDUCTANCE_S = 1e-5


def _box(
    model: str, *, channel: str = "", errors: str = "batch"
) -> tuple[KeysightB2900, KeysightB2900Channel, OneBox]:
    drive = f"box.{channel}" if channel else "box"
    one = OneBox(
        VirtualB2900, conductance_s=CELL_CONDUCTANCE_S, drive=drive, settings={"model": model}
    )
    chosen = KeysightB2900Settings.parse({"model": model, "errors": errors})
    made = KeysightB2900(one.link, chosen)
    made.verify_identity()
    made.reset()
    smu = made.outputs()[channel]
    assert isinstance(smu, KeysightB2900Channel)
    return made, smu, one


def _ready(
    *, nplc: float = 0.01, model: str = "B2901A", channel: str = "", errors: str = "batch"
) -> tuple[KeysightB2900, KeysightB2900Channel, OneBox]:
    made, smu, one = _box(model, channel=channel, errors=errors)
    smu.set_up(SourceSetup(range_v=2, compliance_a=1e-3, nplc=nplc))
    smu.source_enabled = True
    return made, smu, one


@pytest.mark.parametrize(("model", "channel"), [("B2901A", ""), ("B2912A", "1"), ("B2902A", "2")])
@pytest.mark.parametrize("errors", ["batch", "each"])
def test_fifty_pulses_and_reads_reach_the_device_in_one_round_trip_and_one_that_reads_back(
    model: str, channel: str, errors: str
) -> None:
    box, smu, one = _ready(model=model, channel=channel, errors=errors)
    before = one.link.round_trips
    pulse, read = TrainPoint(1.5, 1e-4), TrainPoint(0.1, 4e-4, measure=True)
    readings = smu.apply_train([pulse, read] * 50).readings
    trips = one.link.round_trips - before
    box.check_errors()
    assert errors == "each" or trips == 2
    assert [p.amplitude_v[0, 0] for p in one.device.pulses] == pytest.approx([1.5] * 50)
    assert [p.width_s for p in one.device.pulses] == pytest.approx([1e-4] * 50, rel=1e-9)
    # In the 1 mA range of the limit, whose step is 17 nA where 67 us are integrated at a time.
    assert [r.current_a for r in readings] == pytest.approx([1e-6] * 50, abs=9e-9)
    assert {r.flags for r in readings} == {Flag(0)}
    assert smu.source_voltage == 0
    assert one.circuit.line_volts()["row0"] == 0


def test_equal_pulses_are_made_by_the_pulse_shape_and_may_be_many() -> None:
    box, smu, one = _ready()
    on, off = TrainPoint(-1.2, 7e-5), TrainPoint(0.0, 1.3e-3)
    assert smu.apply_train([on, off] * 1299 + [on]) == Train()  # a list holds 2500 steps
    box.check_errors()
    assert [p.width_s for p in one.device.pulses] == pytest.approx([7e-5] * 1300, rel=1e-9)
    assert [p.amplitude_v[0, 0] for p in one.device.pulses] == pytest.approx([-1.2] * 1300)
    one.device.pulses.clear()
    smu.apply_train([TrainPoint(1.0, 2.5)])
    box.check_errors()
    assert [p.width_s for p in one.device.pulses] == pytest.approx([2.5], rel=1e-9)


def test_pulse_and_reading_have_widths_of_their_own() -> None:
    # The list has steps of 50 us; 1 ms is integrated in 27 readings of 37 us, of which 38 us fit.
    box, smu, one = _ready(nplc=0.05)
    train = [TrainPoint(1.5, 5e-5), TrainPoint(0.1, 2.5e-3, measure=True)] * 10
    readings = smu.apply_train(train).readings
    box.check_errors()
    assert [p.width_s for p in one.device.pulses] == pytest.approx([5e-5] * 10, rel=1e-9)
    assert [r.current_a for r in readings] == pytest.approx([1e-6] * 10, abs=1.2e-8)  # half a step


def test_readings_that_are_not_equally_spaced_are_picked_out_of_those_that_are() -> None:
    box, smu, _ = _ready()
    levels = [(0.1, 1e-3, True), (0.3, 2e-3, False), (0.2, 1e-3, True), (0.4, 1e-3, True)]
    readings = smu.apply_train([TrainPoint(*level) for level in levels]).readings
    box.check_errors()
    assert [r.current_a for r in readings] == pytest.approx([1e-6, 2e-6, 4e-6])


def test_compliance_is_told_for_each_reading() -> None:
    _, smu, _ = _box("B2911A")
    smu.set_up(SourceSetup(range_v=2, compliance_a=5e-6, nplc=0.01))
    smu.source_enabled = True
    train = [TrainPoint(v, 1e-3, measure=True) for v in (0.1, 1.0, 0.1)]
    low, limited, low_again = smu.apply_train(train).readings
    assert limited.flags == Flag.COMPLIANCE
    assert math.isnan(limited.current_a)
    assert [low.current_a, low_again.current_a] == pytest.approx([1e-6, 1e-6])
    smu.source_voltage = 1.0
    assert smu.tripped
    assert smu.measure_current().flags == Flag.COMPLIANCE


def test_two_channels_are_two_sources_with_the_signs_of_their_own_currents() -> None:
    one = OneBox(
        VirtualB2900,
        conductance_s=CELL_CONDUCTANCE_S,
        drive="box.1",
        lines={"row0": "box.1", "col0": "box.2"},
        settings={"model": "B2902A"},
    )
    box = KeysightB2900(one.link, KeysightB2900Settings(model="B2902A"))
    box.reset()
    for smu in box.outputs().values():
        assert isinstance(smu, KeysightB2900Channel)
        smu.set_up(SourceSetup(range_v=2, compliance_a=1e-3))
        smu.source_enabled = True
    rows, columns = box.outputs().values()
    assert isinstance(rows, KeysightB2900Channel)
    assert isinstance(columns, KeysightB2900Channel)
    rows.source_voltage, columns.source_voltage = 0.5, -0.5
    assert rows.current == pytest.approx(1.0 * CELL_CONDUCTANCE_S)
    assert columns.current == pytest.approx(-1.0 * CELL_CONDUCTANCE_S)
    box.check_errors()
    box.safe_state()
    assert one.instrument.output_states() == {"1": False, "2": False}
    assert one.circuit.output_volts() == {"box.1": None, "box.2": None}


def test_output_that_is_off_stays_off_when_it_is_measured() -> None:
    box, smu, one = _box("B2901A")
    smu.set_up(SourceSetup(range_v=2, compliance_a=1e-3))
    one.link.write(":INIT (@1)")
    with pytest.raises(InstrumentFault, match="the output is off"):
        box.check_errors()
    assert one.instrument.output_states() == {"": False}


def test_another_model_than_the_stations_is_refused() -> None:
    one = OneBox(VirtualB2900, settings={"model": "B2901A"})
    box = KeysightB2900(one.link, KeysightB2900Settings(model="B2911A"))
    with pytest.raises(UnexpectedReply, match=r"expected B2911A, found .*B2901A"):
        box.verify_identity()


@pytest.mark.parametrize(
    ("setup", "message"),
    [
        (SourceSetup(range_v=220, compliance_a=1e-6), "range 220 V is beyond .* 210 V"),
        (SourceSetup(range_v=10, compliance_a=2), "compliance in the 20 V range 2 A"),
        (SourceSetup(range_v=1, compliance_a=5e-10), "5e-10 A is below the instrument's 1e-09"),
    ],
)
def test_setup_beyond_the_box_is_refused_unsent(setup: SourceSetup, message: str) -> None:
    _, smu, one = _box("B2901A")
    sent = len(one.link.sent)
    with pytest.raises(Unsupported, match=message):
        smu.set_up(setup)
    assert len(one.link.sent) == sent


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([], "needs a point"),
        ([TrainPoint(1, 4e-5)], "width of 4e-05 s is outside 5e-05"),
        ([TrainPoint(1, 5.05e-5)], "no multiple of 1e-06 s"),
        ([TrainPoint(215, 1e-3)], "level 215 V is beyond"),
        ([TrainPoint(1, 1e-3), TrainPoint(0.5, 1.001e-3)], "multiples of no more than 1e-06 s"),
        ([TrainPoint(1, 5e-5), TrainPoint(0.1, 1)], "20002 steps of 5e-05 s"),
    ],
)
def test_train_beyond_the_box_is_refused_without_a_link(
    points: list[TrainPoint], message: str
) -> None:
    _, smu, one = _box("B2901A")
    sent = len(one.link.sent)
    with pytest.raises(Unsupported, match=message):
        smu.refuse_train(points)
    assert len(one.link.sent) == sent


def test_faster_triggers_of_the_better_models_make_finer_steps() -> None:
    points = [TrainPoint(1.0, 6e-5), TrainPoint(0.5, 5e-5)]
    _, coarse, _ = _box("B2901A")
    with pytest.raises(Unsupported, match="2e-05 s apart at least"):
        coarse.refuse_train(points)
    _, smu, one = _ready(model="B2911A")
    smu.apply_train(points)
    assert [p.width_s for p in one.device.pulses] == pytest.approx([6e-5, 5e-5], rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    st.floats(-12, 0).map(lambda e: 10.0**e),
    st.floats(-3, 2.301).map(lambda e: 10.0**e),
    st.one_of(
        st.floats(-8, 1).map(lambda e: 10.0**e),
        st.floats(0, 7).map(lambda e: round(10.0**e) / 1e6),  # whole microseconds
    ),
)
def test_limit_level_and_width_reach_the_box_to_nine_digits_or_are_refused(
    compliance_a: float, level_v: float, width_s: float
) -> None:
    box, smu, one = _box("B2901A")
    train = [TrainPoint(level_v, width_s)]
    try:
        smu.refuse_train(train)
        smu.set_up(SourceSetup(range_v=level_v, compliance_a=compliance_a))
    except Unsupported:
        off_grid = abs(round(width_s * 1e6) / 1e6 / width_s - 1) > 1e-10
        most_a = 3.03 if level_v <= 2.1 else 1.515 if level_v <= 21 else 0.105
        assert width_s < 5e-5 or off_grid or not 1e-9 <= compliance_a <= most_a
        return
    smu.source_enabled = True
    smu.source_voltage = level_v
    terminals = one.instrument._channels[0].smu  # type: ignore[attr-defined]
    assert terminals.limits["VOLT"] == pytest.approx(compliance_a, rel=1e-8)
    assert terminals.levels["VOLT"] == pytest.approx(level_v, rel=1e-8)
    smu.source_voltage = 0
    before = len(one.device.pulses)
    smu.apply_train(train)
    box.check_errors()
    seen_v = min(level_v, compliance_a / CELL_CONDUCTANCE_S)
    if seen_v > 0.2:
        assert one.device.pulses[before].width_s == pytest.approx(width_s, rel=1e-8)
        assert one.device.pulses[before].amplitude_v[0, 0] == pytest.approx(seen_v, rel=1e-8)
