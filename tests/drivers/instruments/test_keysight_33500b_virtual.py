"""The 33500B's driver against the virtual 33500B, in one process."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwloop.errors import InstrumentFault, UnexpectedReply, Unsupported
from hwloop_drivers.instruments.families.burst_output import BurstOutput
from hwloop_drivers.instruments.keysight_33500b import Keysight33500B, Keysight33500BSettings
from hwloop_sim.virtual.instruments.keysight_33500b.box import (
    Keysight33500B as Virtual33500B,
)
from tests.virtual_link import OneBox

CELL_CONDUCTANCE_S = 1e-5
SHARE = 1 / (1 + 50 * CELL_CONDUCTANCE_S)  # of the open-circuit voltage, behind 50 Ω


def _ready(
    range_v: float = 2.0, *, model: str = "33511B"
) -> tuple[OneBox, Keysight33500B, BurstOutput]:
    box = OneBox(Virtual33500B, conductance_s=CELL_CONDUCTANCE_S, settings={"model": model})
    generator = Keysight33500B(box.link, Keysight33500BSettings.parse({"model": model}))
    generator.verify_identity()
    generator.reset()
    output = generator.outputs()[""]
    assert isinstance(output, BurstOutput)
    output.set_up(range_v=range_v)
    output.source_enabled = True
    generator.check_errors()
    return box, generator, output


def _outputs_v(box: OneBox) -> list[float]:
    """Every level that the output has had since it was switched on, in order."""
    volts = [change.outputs_v["box"] for change in box.circuit.changes]
    return [v for v in volts if v is not None]


@pytest.mark.parametrize(
    ("level_v", "width_s", "count"), [(1.5, 1e-6, 3), (-1.2, 0.05, 2), (2, 4, 1)]
)
def test_every_pulse_reaches_the_cell_with_its_amplitude_and_width(
    level_v: float, width_s: float, count: int
) -> None:
    box, generator, output = _ready()
    output.apply_pulses(level_v=level_v, width_s=width_s, count=count)
    generator.check_errors()
    pulses = box.device.pulses
    assert [p.amplitude_v[0, 0] for p in pulses] == pytest.approx([level_v * SHARE] * count)
    assert [p.width_s for p in pulses] == pytest.approx([width_s] * count)
    assert box.circuit.output_volts()["box"] == 0.0
    assert box.clock.now_s == pytest.approx(2 * width_s * count)


def test_line_sees_nothing_but_the_pulses_and_the_smallest_amplitude_between_them() -> None:
    box, _, output = _ready()
    for level_v in (1.0, 1.5, -1.0, -1.5, 0.5, -0.5):
        output.apply_pulses(level_v=level_v, width_s=1e-6, count=2)
    others = {round(v, 6) for v in _outputs_v(box)} - {1.0, 1.5, -1.0, -1.5, 0.5, -0.5}
    assert others == {0.0, 2e-3, -2e-3}
    assert len(box.device.pulses) == 12


def test_a_constant_level_is_reached_in_one_step_and_left_in_one() -> None:
    box, generator, output = _ready()
    output.apply_pulses(level_v=-1.5, width_s=1e-3)
    for level_v in (0.1, -0.1, 2.0, -2.0, 0.0):
        output.source_voltage = level_v
        assert output.source_voltage == level_v
        assert box.circuit.output_volts()["box"] == level_v
    generator.check_errors()
    levels = [v for v in _outputs_v(box) if v != -1.5]
    assert levels == [0.0, -2e-3, 0.0, 0.0, 0.1, -0.1, 2.0, -2.0, 0.0]


def test_level_is_rounded_by_the_box_to_four_digits_and_told_so() -> None:
    _, _, output = _ready()
    output.source_voltage = 1 / 3
    assert output.source_voltage == pytest.approx(0.3333, abs=1e-9)


@pytest.mark.parametrize(
    ("sent", "asked", "found_v"),
    [
        (":VOLT MAX", ":VOLT?", 10.0),  # into 50 ohm: the data sheet's window is ±5 V
        (":VOLT:OFFS 1;:VOLT MAX", ":VOLT?", 8.0),
        (":VOLT MIN", ":VOLT?", 1e-3),
        (":VOLT:OFFS MAX", ":VOLT:OFFS?", 4.95),  # with 100 mV peak to peak after *RST
        (":VOLT:OFFS MIN", ":VOLT:OFFS?", -4.95),
        (":VOLT:HIGH MAX", ":VOLT:HIGH?", 5.0),
        (":VOLT:HIGH MIN", ":VOLT:HIGH?", -0.049),
        (":VOLT:LOW MIN", ":VOLT:LOW?", -5.0),
        (":VOLT:LOW MAX", ":VOLT:LOW?", 0.049),
        (":VOLT:LIM:HIGH MAX", ":VOLT:LIM:HIGH?", 5.0),
    ],
)
def test_max_and_min_are_the_bounds_that_the_other_settings_leave(
    sent: str, asked: str, found_v: float
) -> None:
    box = OneBox(Virtual33500B, conductance_s=CELL_CONDUCTANCE_S, settings={"model": "33511B"})
    box.link.write("*RST")
    box.link.write(sent)
    assert float(box.link.query(asked)) == pytest.approx(found_v, abs=1e-9)
    assert box.link.query(":SYST:ERR?").startswith(("0,", "+0,"))


def test_open_circuit_sees_the_level_that_was_asked_for_not_twice_of_it() -> None:
    box = OneBox(Virtual33500B, conductance_s=1e-12, settings={"model": "33511B"})
    box.instrument.receive("SOUR1:FUNC DC;:SOUR1:VOLT:OFFS 0.5;:OUTP1 ON")
    assert box.circuit.line_volts()["row0"] == pytest.approx(1.0)
    box.instrument.receive("OUTP1:LOAD INF")
    assert box.instrument.receive("SOUR1:VOLT:OFFS?") == "+1.000000000000000E+00"
    box.instrument.receive("SOUR1:VOLT:OFFS 0.5")
    assert box.circuit.line_volts()["row0"] == pytest.approx(0.5)


def test_load_cannot_be_changed_while_there_are_voltage_limits() -> None:
    box, generator, output = _ready()
    box.instrument.receive("OUTP1:LOAD 50")
    with pytest.raises(InstrumentFault, match=r"-221,.Settings conflict"):
        generator.check_errors()
    output.set_up(range_v=1.0)
    generator.check_errors()
    assert generator.read_back() == {
        "load_ohm": 9.9e37,
        "limit_high_v": pytest.approx(1.002),
        "limit_low_v": pytest.approx(-1.002),
    }


def test_the_box_itself_refuses_what_is_beyond_its_voltage_limits() -> None:
    box, generator, _ = _ready(range_v=1.0)
    box.instrument.receive("SOUR1:VOLT:HIGH 5")
    assert box.instrument.receive("SOUR1:VOLT:HIGH?") == "+1.002000000000000E+00"
    with pytest.raises(InstrumentFault, match=r"-221,.Settings conflict"):  # guide, VOLTage
        generator.check_errors()


@pytest.mark.parametrize(
    ("told", "low_v", "high_v", "code"),
    [
        ("HIGH 3", -0.05, 3.0, "+0"),
        ("HIGH -2", -2.001, -2.0, "-221"),  # at or below the low level: low 1 mV below it
        ("LOW 2", 2.0, 2.001, "-221"),  # and the other way round
        ("HIGH -6", -5.0, -4.999, "-222"),  # below what the output can: low there, high 1 mV above
        ("LOW 6", 4.999, 5.0, "-222"),
        ("HIGH 6", -0.05, 5.0, "-222"),
        ("LOW -6", -5.0, 0.05, "-222"),
    ],
)
def test_level_beyond_the_other_moves_it_as_the_guide_says_of_the_voltage_subsystem(
    told: str, low_v: float, high_v: float, code: str
) -> None:
    box = OneBox(Virtual33500B, settings={"model": "33511B"})  # ±5 V into 50 Ω; 100 mV at first
    box.instrument.receive(f"SOUR1:VOLT:{told}")
    seen = [float(box.instrument.receive(f"SOUR1:VOLT:{name}?") or "") for name in ("LOW", "HIGH")]
    assert seen == pytest.approx([low_v, high_v], abs=1e-9)
    assert (box.instrument.receive("SYST:ERR?") or "").startswith(code)


def test_level_below_both_voltage_limits_becomes_the_lower_limit_and_1_mv() -> None:
    box, _, _ = _ready(range_v=1.0)  # limits of ±1.002 V into an open circuit
    box.instrument.receive("SOUR1:VOLT:HIGH -3")
    seen = [float(box.instrument.receive(f"SOUR1:VOLT:{name}?") or "") for name in ("LOW", "HIGH")]
    assert seen == pytest.approx([-1.002, -1.000], abs=1e-9)  # 1 mV into 50 Ω are 2 mV open
    assert (box.instrument.receive("SYST:ERR?") or "").startswith("-221")


def test_waiting_for_a_burst_that_time_has_overtaken_ends_it_without_going_back() -> None:
    """A slow rise, as a fault makes it, leads beyond the end of the burst before it is begun."""
    box, _, _ = _ready()
    told, late = box.circuit.drive, [0.5]

    def drive(name: str, **given: Any) -> None:
        told(name, **given)
        if given.get("volts") == 2.0 and late:
            box.clock.advance(late.pop())

    box.circuit.drive = drive  # type: ignore[method-assign]
    box.instrument.receive("SOUR1:FUNC:PULS:PER 1E-3;:SOUR1:VOLT:HIGH 2;:SOUR1:BURS:NCYC 1")
    box.instrument.receive("TRIG:SOUR BUS;*TRG")
    begun_s = box.clock.now_s
    assert begun_s >= 0.5
    assert box.instrument.receive("*OPC?") == "1"
    assert box.clock.now_s == begun_s
    assert box.circuit.output_volts()["box"] == 0.0


def test_burst_without_end_is_not_said_to_be_complete_until_it_is_aborted() -> None:
    box, _, _ = _ready()
    box.instrument.receive("SOUR1:FUNC:PULS:PER 1;:SOUR1:BURS:NCYC INF;:TRIG:SOUR BUS;*TRG")
    assert box.instrument.receive("*OPC?") is None
    assert box.instrument.receive("*WAI;:ABOR;*OPC?") == "1"


def test_two_outputs_are_set_apart_and_only_one_of_them_pulses() -> None:
    box = OneBox(
        Virtual33500B,
        lines={"row0": "box.1", "col0": "box.2"},
        drive="box.1",
        settings={"model": "33522B"},
        conductance_s=CELL_CONDUCTANCE_S,
    )
    generator = Keysight33500B(box.link, Keysight33500BSettings())
    generator.reset()
    outputs = generator.outputs()
    assert list(outputs) == ["1", "2"]
    for output in outputs.values():
        assert isinstance(output, BurstOutput)
        output.set_up(range_v=2.0)
        output.source_enabled = True
    one, two = outputs["1"], outputs["2"]
    assert isinstance(one, BurstOutput)
    assert isinstance(two, BurstOutput)
    one.apply_pulses(level_v=2.0, width_s=1e-3, count=2)
    one.apply_pulses(level_v=0.5, width_s=1e-3)
    two.apply_pulses(level_v=-1.0, width_s=1e-3)
    generator.check_errors()
    share = 1 / (1 + 100 * CELL_CONDUCTANCE_S)
    seen_v = [p.amplitude_v[0, 0] for p in box.device.pulses]
    assert seen_v == pytest.approx([2 * share] * 2 + [0.5 * share, share])
    assert generator.read_back()["2.limit_high_v"] == pytest.approx(2.002)


def test_safe_state_ends_a_train_and_leaves_nothing_for_whoever_turns_it_on() -> None:
    box, generator, _ = _ready()
    box.instrument.receive("SOUR1:FUNC:PULS:PER 1;:SOUR1:VOLT:HIGH 2;:SOUR1:BURS:NCYC 5")
    box.instrument.receive("TRIG:SOUR BUS;*TRG")
    box.clock.advance(0.05e-3)
    assert box.circuit.output_volts()["box"] == 2.0
    generator.safe_state()
    assert box.circuit.output_volts()["box"] is None
    assert _outputs_v(box)[-1] == 0.0
    box.clock.advance(10)
    assert box.instrument.output_states() == {"": False}
    box.instrument.receive("OUTP1 ON")
    assert box.circuit.output_volts()["box"] == 0.0


def test_safe_state_ends_a_level_that_another_program_has_left() -> None:
    box = OneBox(Virtual33500B, settings={"model": "33511B"})
    box.instrument.receive("OUTP1:LOAD INF;:SOUR1:FUNC DC;:SOUR1:VOLT:OFFS 5;:OUTP1 ON;:NONSENSE")
    generator = Keysight33500B(box.link, Keysight33500BSettings(model="33511B", errors="each"))
    generator.safe_state()
    box.instrument.receive("OUTP1 ON")
    assert box.circuit.output_volts()["box"] == 0.0


@pytest.mark.parametrize("level_v", [1.5, -2.0, 0.0])
def test_generator_that_rests_at_zero_is_at_0_v_and_still_holds_its_line(level_v: float) -> None:
    box, generator, output = _ready()
    output.source_voltage = level_v
    assert generator.rest_at_zero()
    assert box.circuit.output_volts()["box"] == 0.0
    assert box.instrument.output_states() == {"": True}
    generator.check_errors()


def test_output_that_is_off_is_left_and_keeps_no_other_from_resting() -> None:
    box = OneBox(
        Virtual33500B,
        drive="box.1",
        conductance_s=CELL_CONDUCTANCE_S,
        settings={"model": "33522B"},
    )
    generator = Keysight33500B(box.link, Keysight33500BSettings.parse({"model": "33522B"}))
    generator.reset()
    output = generator.outputs()["1"]
    assert isinstance(output, BurstOutput)
    output.set_up(range_v=2.0)
    output.source_enabled = True
    output.source_voltage = 1.5
    assert generator.rest_at_zero()
    assert box.circuit.output_volts()["box.1"] == 0.0
    assert box.instrument.output_states() == {"1": True, "2": False}


def test_generator_in_mid_train_rests_at_zero_without_letting_go() -> None:
    box, generator, _ = _ready()
    box.instrument.receive("SOUR1:FUNC:PULS:PER 1;:SOUR1:VOLT:HIGH 2;:SOUR1:BURS:NCYC 5")
    box.instrument.receive("TRIG:SOUR BUS;*TRG")
    box.clock.advance(0.05e-3)
    assert box.circuit.output_volts()["box"] == 2.0
    assert generator.rest_at_zero()
    assert box.instrument.output_states() == {"": True}
    assert abs(box.circuit.output_volts()["box"] or 0.0) <= 1e-3  # the least amplitude


def test_level_that_another_program_has_left_is_not_called_at_rest() -> None:
    box = OneBox(Virtual33500B, settings={"model": "33511B"})
    box.instrument.receive("OUTP1:LOAD INF;:SOUR1:FUNC DC;:SOUR1:VOLT:OFFS 5;:OUTP1 ON")
    generator = Keysight33500B(box.link, Keysight33500BSettings(model="33511B"))
    assert not generator.rest_at_zero()
    assert box.circuit.output_volts()["box"] == 5.0


def test_another_model_than_the_station_says_is_refused() -> None:
    box = OneBox(Virtual33500B, settings={"model": "33511B"})
    with pytest.raises(UnexpectedReply, match=r"expected 33522B, found .*33511B"):
        Keysight33500B(box.link, Keysight33500BSettings()).verify_identity()


@given(
    level_v=st.floats(1e-3, 12) | st.floats(-12, -1e-3),
    width_s=st.floats(-8, 1).map(lambda e: 10.0**e),
    count=st.integers(0, 4),
)
def test_pulses_arrive_as_asked_within_the_resolution_or_are_refused_before_anything_is_sent(
    level_v: float, width_s: float, count: int
) -> None:
    box, generator, output = _ready(range_v=9.998)
    sent = len(box.link.sent)
    try:
        output.refuse_pulses(level_v=level_v, width_s=width_s, count=count)
    except Unsupported:
        with pytest.raises(Unsupported):
            output.apply_pulses(level_v=level_v, width_s=width_s, count=count)
        assert len(box.link.sent) == sent
        return
    output.apply_pulses(level_v=level_v, width_s=width_s, count=count)
    generator.check_errors()
    active_v = [v for v in _outputs_v(box) if abs(v) > 2.5e-3]
    assert active_v == pytest.approx([level_v] * len(active_v), rel=5.1e-4, abs=5.1e-5)
    if abs(level_v) * SHARE > 0.2:
        assert [p.width_s for p in box.device.pulses] == pytest.approx([width_s] * count, rel=2e-6)


def test_limits_depend_on_the_model_and_need_no_link() -> None:
    refused: dict[str, list[float]] = {"33511B": [], "33622A": []}
    for model, widths_s in refused.items():
        box = OneBox(Virtual33500B, settings={"model": model})
        settings = Keysight33500BSettings.parse({"model": model})
        output = next(iter(Keysight33500B(box.link, settings).outputs().values()))
        assert isinstance(output, BurstOutput)
        for width_s in (4e-9, 5e-9, 15.9e-9, 16e-9, 16.05e-9, math.nan, 1e6):
            try:
                output.refuse_pulses(level_v=1.0, width_s=width_s, count=1)
            except Unsupported:
                widths_s.append(width_s)
        assert box.link.sent == []
    assert [w for w in refused["33511B"] if w == w] == [4e-9, 5e-9, 15.9e-9, 16.05e-9, 1e6]
    assert [w for w in refused["33622A"] if w == w] == [4e-9, 16.05e-9, 1e6]
    assert len(refused["33511B"]) == 6
