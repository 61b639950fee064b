"""Rules of the B2900's manuals: that the virtual box obeys them, and that the driver copes.

Pages of the user's guide, B2910-90010, and of the SCPI reference, B2910-90030.
"""

from __future__ import annotations

from typing import get_args

import pytest

from hwloop.array.operations import Flag
from hwloop.errors import InstrumentFault, Unsupported
from hwloop_drivers.instruments.keysight_b2900.driver import KeysightB2900, KeysightB2900Channel
from hwloop_drivers.instruments.keysight_b2900.models import KeysightB2900Settings, ModelName
from hwloop_drivers.roles import SourceSetup, Train, TrainPoint
from hwloop_sim.virtual.instruments.keysight_b2900.box import KeysightB2900 as VirtualB2900
from hwloop_sim.virtual.instruments.keysight_b2900.models import MODELS
from tests.virtual_link import OneBox

CONDUCTANCE_S = 1e-5
WIDTH_TOLERANCE = 5e-5  # relative: accuracy of the timers, data sheet 5990-7009EN, page 17


def _box(
    model: ModelName = "B2911A", *, conductance_s: float = CONDUCTANCE_S, **settings: object
) -> OneBox:
    drive = "box" if MODELS[model][1] == 1 else "box.1"
    given = {"model": model, **settings}
    return OneBox(VirtualB2900, conductance_s=conductance_s, drive=drive, settings=given)


def _smu(one: OneBox, model: ModelName = "B2911A") -> tuple[KeysightB2900, KeysightB2900Channel]:
    made = KeysightB2900(one.link, KeysightB2900Settings(model=model))
    made.verify_identity()
    made.reset()
    smu = next(iter(made.outputs().values()))
    assert isinstance(smu, KeysightB2900Channel)
    return made, smu


def _on(one: OneBox, *, compliance_a: float = 1e-3) -> KeysightB2900Channel:
    _, smu = _smu(one)
    smu.set_up(SourceSetup(range_v=2, compliance_a=compliance_a))
    smu.source_enabled = True
    return smu


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


@pytest.mark.parametrize("width_s", [1e-3, 2e-3, 5e-3, 1e-2, 5e-2])
@pytest.mark.parametrize("count", [1, 3])
def test_widths_asked_are_the_widths_that_the_cell_saw(width_s: float, count: int) -> None:
    one = _box()
    smu = _on(one)
    pulses = [TrainPoint(1.5, width_s), TrainPoint(0.0, width_s)] * count
    assert smu.apply_train(pulses[:-1]) == Train()
    assert [p.width_s for p in one.device.pulses] == pytest.approx(
        [width_s] * count, rel=WIDTH_TOLERANCE
    )
    assert [p.amplitude_v[0, 0] for p in one.device.pulses] == pytest.approx([1.5] * count)


def test_width_below_50_us_is_refused() -> None:
    # Minimum programmable pulse width: user's guide, 2-20.
    with pytest.raises(Unsupported, match=r"width of 4.9e-05 s is outside 5e-05"):
        _smu(_box())[1].refuse_train([TrainPoint(1.0, 4.9e-5)])


def test_pulses_that_the_compliance_kept_from_the_cell_are_told() -> None:
    one = _box()
    smu = _on(one, compliance_a=1e-5)  # 1 V across the cell
    assert smu.apply_train([TrainPoint(0.9, 1e-3)]) == Train()
    limited = smu.apply_train([TrainPoint(0.9, 1e-3), TrainPoint(0.0, 1e-3), TrainPoint(2.0, 1e-3)])
    assert limited.flags == Flag.COMPLIANCE
    assert not smu.tripped  # it is over: nothing else tells of it
    unequal = [TrainPoint(2.0, 1e-3), TrainPoint(0.3, 2e-3), TrainPoint(0.0, 1e-3)]
    assert smu.apply_train(unequal).flags == Flag.COMPLIANCE


def test_a_read_after_a_train_is_made_in_an_automatic_range_again() -> None:
    one = _box()
    smu = _on(one)
    smu.apply_train([TrainPoint(1.5, 1e-3)])
    assert one.link.query(":SENS1:CURR:RANG:AUTO?") == "1"
    assert float(one.link.query(":SENS1:CURR:APER?")) == pytest.approx(0.02)
    assert one.link.query(":SENS1:WAIT?") == "1"


def test_box_waits_until_a_level_has_settled_unless_it_was_told_not_to_4_91() -> None:
    one = _box()
    _on(one)
    one.link.write(":SENS1:CURR:APER 2e-5")
    settled_a, early_a = 1.0 * CONDUCTANCE_S, []
    for wait in ("1", "0"):
        one.link.query(":SOUR1:VOLT 0;:SENS1:WAIT 1;:MEAS? (@1)")
        reply = one.link.query(f":SENS1:WAIT {wait};:SOUR1:VOLT 1;:MEAS? (@1)")
        early_a.append(_numbers(reply)[0])
    assert early_a[0] == pytest.approx(settled_a, rel=2e-3)
    assert early_a[1] < 0.99 * settled_a


def test_readings_of_small_currents_are_settled() -> None:
    one = _box()
    smu = _on(one)
    smu.source_voltage = 0.1
    assert smu.measure_current().current_a == pytest.approx(1e-6, rel=1e-3)


def test_level_too_short_to_settle_and_be_read_is_refused() -> None:
    # Largest compliance range 10 uA: 250 us, user's guide 2-20, and 20 ms of integration.
    smu = _on(_box(), compliance_a=1e-5)
    with pytest.raises(Unsupported, match=r"shorter than settling and reading, 0.00025 s and 0.02"):
        smu.apply_train([TrainPoint(0.1, 0.0201, measure=True)])
    (reading,) = smu.apply_train([TrainPoint(0.1, 0.0203, measure=True)]).readings
    assert reading.current_a == pytest.approx(1e-6, rel=1e-3)


def test_readings_closer_than_the_box_can_trigger_are_refused() -> None:
    smu = _on(_box())
    points = [TrainPoint(0.1, 0.0201, measure=True), TrainPoint(0.2, 0.020_100, measure=True)]
    smu.apply_train(points)
    odd = [*points, TrainPoint(0.1, 0.0202, measure=True)]
    with pytest.raises(Unsupported, match=r"spacing of readings of 0.0001 s is shorter"):
        smu.apply_train(odd)


@pytest.mark.parametrize("model", get_args(ModelName))
def test_each_model_is_known_to_driver_and_box_with_the_same_channels(model: ModelName) -> None:
    made, smu = _smu(_box(model), model)
    assert len(made.outputs()) == MODELS[model][1]
    smu.set_up(SourceSetup(range_v=20, compliance_a=1e-3))
    made.check_errors()


@pytest.mark.parametrize(
    ("model", "setup", "bound"),
    [
        ("B2901BL", SourceSetup(range_v=50, compliance_a=1e-3), "21 V"),
        ("B2910BL", SourceSetup(range_v=2, compliance_a=2), "1.515 A"),
        ("B2911B", SourceSetup(range_v=100, compliance_a=0.2), "0.105 A"),
    ],
)
def test_what_a_model_does_not_have_is_refused(
    model: ModelName, setup: SourceSetup, bound: str
) -> None:
    one = _box(model)
    _, smu = _smu(one, model)
    with pytest.raises(Unsupported, match=f"instrument's {bound}"):
        smu.set_up(setup)
    one.link.write(f":SENS:CURR:PROT {setup.compliance_a:g};:SOUR:VOLT:RANG {setup.range_v:g}")
    assert not one.link.query(":SYST:ERR?").startswith(("0", "+0"))


@pytest.mark.parametrize("source", ["BUS", "EXT3", "INT1", "LAN"])
def test_box_waits_for_a_trigger_that_is_not_its_own_6_27(source: str) -> None:
    one = _box()
    write, query = one.link.write, one.link.query
    write(":SENS:CURR:PROT 1e-3;:OUTP ON;:FORM:ELEM:SENS CURR")
    write(":SOUR:LIST:VOLT 0.5,1;:SOUR:VOLT:MODE LIST")
    write(f":TRIG:SOUR {source};:TRIG:COUN 2;:INIT (@1)")
    write(":FETC:ARR?")
    assert query(":SYST:ERR?").startswith("-230")
    write("*WAI")
    assert query(":SYST:ERR?").startswith("-214")  # it would wait for ever
    write("*TRG")
    assert _numbers(query(":FETC:ARR?")) == pytest.approx([5e-6], rel=1e-2)
    write(":TRIG:IMM (@1)")
    assert _numbers(query(":FETC:ARR?")) == pytest.approx([5e-6, 1e-5], rel=1e-2)
    assert query("*OPC?") == "1"
    write("*TRG")
    assert query(":SYST:ERR?").startswith("-211")


def test_box_aborts_what_waits_for_a_trigger() -> None:
    one = _box()
    one.link.write(":OUTP ON;:ARM:SOUR BUS;:INIT (@1);:ABOR (@1)")
    assert one.link.query("*OPC?") == "1"
    one.link.write("*TRG")
    assert one.link.query(":SYST:ERR?").startswith("-211")


def test_box_repeats_the_trigger_layer_for_each_count_of_the_arm_layer_6_27() -> None:
    one = _box()
    write = one.link.write
    write(":OUTP ON;:SENS:CURR:PROT 1e-3;:SOUR:VOLT:MODE SWE;:SOUR:VOLT:STAR 0.2;STOP 1;POIN 3")
    write(":FORM:ELEM:SENS SOUR;:TRIG:COUN 3;:ARM:COUN 2;:INIT (@1)")
    assert _numbers(one.link.query(":FETC:ARR?")) == pytest.approx([0.2, 0.6, 1.0] * 2)


@pytest.mark.parametrize(
    ("words", "levels"),
    [
        ("DIR UP;STA SING;SPAC LIN", [0.1, 0.55, 1.0]),
        ("DIR DOWN;STA SING;SPAC LIN", [1.0, 0.55, 0.1]),
        ("DIR UP;STA DOUB;SPAC LIN", [0.1, 0.55, 1.0, 1.0, 0.55, 0.1]),
        ("DIR UP;STA SING;SPAC LOG", [0.1, 10**-0.5, 1.0]),
    ],
)
def test_box_sweeps_as_it_is_told_4_96(words: str, levels: list[float]) -> None:
    one = _box()
    write = one.link.write
    write(":OUTP ON;:SENS:CURR:PROT 1e-3;:SOUR:VOLT:MODE SWE;:SOUR:VOLT:STAR 0.1;STOP 1;POIN 3")
    write(f":SOUR:SWE:{words};:FORM:ELEM:SENS SOUR;:TRIG:COUN {len(levels)};:INIT (@1)")
    assert _numbers(one.link.query(":FETC:ARR?")) == pytest.approx(levels, rel=1e-6)


def test_box_takes_a_channel_list_in_each_form_1_8() -> None:
    one = OneBox(VirtualB2900, drive="box.1", settings={"model": "B2902B"})
    one.link.write(":FORM:ELEM:SENS SOUR;:SOUR1:VOLT 0.5;:SOUR2:VOLT 0.7")
    for channels in ("(@1,2)", "(@2,1)", "(@1:2)", "(@2:1)"):
        assert _numbers(one.link.query(f":MEAS? {channels}")) == pytest.approx([0.5, 0.7])


@pytest.mark.parametrize("range_limits", [False, True])
@pytest.mark.parametrize("ohm", [1e4, 1e5, 1e6])
@pytest.mark.parametrize("width_s", [1e-3, 1e-2])
def test_pulse_after_a_read_has_its_amplitude_whether_a_range_limits_or_not(
    range_limits: bool, ohm: float, width_s: float
) -> None:
    # Unconfirmed for a B2900: in a train its range is that of the limit, so that either is right.
    one = _box(conductance_s=1 / ohm, range_limits=range_limits)
    smu = _on(one)
    smu.source_voltage = 0.1
    assert smu.measure_current().current_a == pytest.approx(0.1 / ohm, rel=1e-3)
    smu.source_voltage = 0.0
    assert smu.apply_train([TrainPoint(2.0, width_s)]) == Train()
    (pulse,) = one.device.pulses
    assert (pulse.amplitude_v[0, 0], pulse.width_s) == pytest.approx((2.0, width_s))


def test_box_whose_range_limits_clamps_a_level_that_is_set_after_a_read() -> None:
    # 1.05 times the 10 uA range of the read, on 10 kOhm: what a driver that fixes no range makes.
    one = _box(conductance_s=1e-4, range_limits=True)
    smu = _on(one)
    smu.source_voltage = 0.1
    smu.measure_current()
    one.link.write(":SOUR1:VOLT 2")
    assert one.circuit.line_volts()["row0"] == pytest.approx(0.105, rel=1e-3)


@pytest.mark.parametrize(("asked_s", "made_s"), [(1e-6, 8e-6), (3.0, 2.0), (0.02, 0.02)])
def test_box_bounds_an_aperture_without_an_error_4_73(asked_s: float, made_s: float) -> None:
    one = _box()
    one.link.write(f":SENS:CURR:APER {asked_s}")
    assert one.link.query(":SYST:ERR?").startswith("0")
    assert float(one.link.query(":SENS:CURR:APER?")) == pytest.approx(made_s)


def test_integration_that_the_box_bounds_is_a_fault() -> None:
    _, smu = _smu(_box())
    with pytest.raises(InstrumentFault, match=r"APER was set to 2\.4 but reads back"):
        smu.set_up(SourceSetup(range_v=2, compliance_a=1e-3, nplc=120))


def test_box_uses_no_measurement_range_above_that_of_its_limit_6_4() -> None:
    one = _box()
    one.link.write(":SENS:CURR:PROT 1e-4;:SENS:CURR:RANG 1")
    assert float(one.link.query(":SENS:CURR:RANG?")) == pytest.approx(1e-4)


def test_box_ranges_down_to_1_ua_unless_it_is_told_less_2_17() -> None:
    one = _box(conductance_s=1e-9)  # 1 nA at 1 V
    one.link.write(":OUTP ON;:SOUR:VOLT 1.0004;:SENS:CURR:APER 0.02;:FORM:ELEM:SENS CURR")
    assert float(one.link.query(":SENS:CURR:RANG:AUTO:LLIM?")) == pytest.approx(1e-6)
    assert _numbers(one.link.query(":MEAS? (@1)")) == pytest.approx([1.000e-9], abs=1e-15)
    one.link.write(":SENS:CURR:RANG:AUTO:LLIM 1e-8")
    assert _numbers(one.link.query(":MEAS? (@1)")) == pytest.approx([1.0004e-9], abs=1e-14)


@pytest.mark.parametrize(
    ("range_a", "settling_s"), [(1e-7, 1e-2), (1e-6, 5e-4), (1e-5, 2.5e-4), (1e-3, 8e-5)]
)
def test_box_settles_by_the_range_of_the_current_2_20(range_a: float, settling_s: float) -> None:
    one = _box(conductance_s=range_a)
    one.link.write(f":OUTP ON;:SENS:CURR:PROT {range_a:g};:SENS:CURR:RANG {range_a:g};APER 8e-6")
    one.link.write(":SENS:WAIT 0;:FORM:ELEM:SENS CURR")
    one.link.query(":SOUR:VOLT 0;:MEAS? (@1)")
    one.clock.advance(1.0)
    one.link.write(":SOUR:VOLT 1")
    one.clock.advance(settling_s - 8e-6)
    (reading_a,) = _numbers(one.link.query(":MEAS? (@1)"))
    assert reading_a == pytest.approx(0.999 * range_a, rel=1e-4)  # 0.1 % of the step is left
