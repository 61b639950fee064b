"""Rules of the 2450 by topics of Keithley's help: the box obeys each, and the driver copes."""

import math

import pytest

from hwloop.array.operations import Flag
from hwloop.errors import InstrumentFault, Unsupported
from hwloop_drivers.instruments.keithley_2450.driver import KEITHLEY_2450, Keithley2450
from hwloop_drivers.instruments.keithley_2450.limits import Keithley2450Settings
from hwloop_drivers.instruments.keithley_2450.tsp import Keithley2450Tsp
from hwloop_drivers.roles import SourceSetup, TrainPoint, VerifyLoop
from hwloop_sim.virtual.instruments.keithley_2450.box import Keithley2450 as Virtual2450
from hwloop_sim.virtual.instruments.keithley_2450.terminals import Terminals2450
from hwloop_sim.virtual.instruments.keithley_2450.tsp import Keithley2450Tsp as VirtualTsp2450
from tests.virtual_link import OneBox

both = pytest.mark.parametrize("language", ["scpi", "tsp"])
CELLS_S = pytest.mark.parametrize("conductance_s", [1e-4, 1e-5, 1e-6])


def _box(language: str = "tsp", conductance_s: float = 1e-4) -> OneBox:
    return OneBox(Virtual2450, conductance_s=conductance_s, settings={"language": language})


def _source(box: OneBox, language: str = "tsp") -> Keithley2450 | Keithley2450Tsp:
    made = KEITHLEY_2450.make(box.link, Keithley2450Settings.parse({"language": language}))
    assert isinstance(made, Keithley2450 | Keithley2450Tsp)
    made.reset()
    made.set_up(SourceSetup(range_v=2, compliance_a=1e-3))
    made.source_enabled = True
    return made


def _tell(box: OneBox, *lines: str) -> None:
    for line in lines:
        assert box.instrument.receive(line) is None


def _ask(box: OneBox, question: str) -> str:
    return str(box.instrument.receive(question))


TSP_READ_LOW = (
    "smu.source.range = 2 smu.source.ilimit.level = 1e-3 smu.source.level = 0.1",
    "smu.source.output = smu.ON smu.measure.read()",
    "smu.source.level = 2",
)
SCPI_READ_LOW = (
    ":SOUR:VOLT:RANG 2;:SOUR:VOLT:ILIM 1E-3;:SOUR:VOLT 0.1;:OUTP ON;:TRAC:TRIG",
    ":SOUR:VOLT 2",
)


@pytest.mark.parametrize(
    ("language", "lines"), [("tsp", TSP_READ_LOW), ("scpi", SCPI_READ_LOW)], ids=["tsp", "scpi"]
)
@pytest.mark.parametrize("rebound", [False, True])
def test_box_clamps_to_105_percent_of_the_range_of_the_last_reading_unless_it_rebounds(
    language: str, lines: tuple[str, ...], rebound: bool
) -> None:
    # Topic smu.measure.autorangerebound: 0.1 V on 10 kohm is read in the 10 uA range, whose 105 %
    # make 0.105 V of 2 V.
    box = _box(language)
    if rebound:
        on = {"tsp": "smu.measure.autorangerebound = smu.ON", "scpi": ":SENS:CURR:RANG:AUTO:REB ON"}
        _tell(box, on[language])
    _tell(box, *lines)
    assert box.circuit.line_volts()["row0"] == pytest.approx(2.0 if rebound else 0.105)


@CELLS_S
@both
def test_pulse_after_a_read_has_its_whole_amplitude(language: str, conductance_s: float) -> None:
    box = _box(language, conductance_s)
    smu = _source(box, language)
    smu.source_voltage = 0.1
    assert smu.current == pytest.approx(0.1 * conductance_s, rel=1e-3)
    train = smu.apply_train([TrainPoint(2.0, 0.01)])
    assert [p.amplitude_v[0, 0] for p in box.device.pulses] == pytest.approx([2.0])
    assert [p.width_s for p in box.device.pulses] == pytest.approx([0.01])
    assert train.flags == Flag(0)


@both
def test_pulse_after_the_output_was_off_and_on_again_has_its_whole_amplitude(language: str) -> None:
    # Topic smu.source.offmode: off in mode ZERO, automatic ranges stay as they are.
    box = _box(language)
    smu = _source(box, language)
    smu.source_voltage = 0.1
    smu.measure_current()
    smu.source_voltage = 0
    smu.source_enabled = False
    assert not box.instrument.core.smu.measure_auto["CURR"]  # type: ignore[attr-defined]
    smu.source_enabled = True
    assert box.instrument.core.smu.measure_auto["CURR"]  # type: ignore[attr-defined]
    smu.source_voltage = 0.1
    assert smu.current == pytest.approx(1e-5)
    smu.apply_train([TrainPoint(2.0, 0.01)])
    assert box.device.pulses[-1].amplitude_v[0, 0] == pytest.approx(2.0)


@both
def test_pulse_that_the_limit_cuts_is_flagged_though_nobody_measured_it(language: str) -> None:
    box = _box(language)
    smu = _source(box, language)
    smu.source_voltage = 0
    smu.set_up(SourceSetup(range_v=2, compliance_a=1e-4))
    assert smu.apply_train([TrainPoint(0.9, 0.01)]).flags == Flag(0)
    assert smu.apply_train([TrainPoint(2.0, 0.01), TrainPoint(0.0, 0.01)]).flags == Flag.COMPLIANCE
    assert smu.apply_train([TrainPoint(0.9, 0.01)]).flags == Flag(0)


def test_box_raises_a_limit_below_10_6_percent_of_a_fixed_range_with_a_warning_only() -> None:
    # Topic smu.source.xlimit.level.
    box = _box()
    _tell(box, "smu.source.ilimit.level = 1e-6", "smu.measure.range = 1e-4")
    assert float(_ask(box, "print(smu.source.ilimit.level)")) == pytest.approx(1.06e-5)
    assert _ask(box, "print(eventlog.getcount(eventlog.SEV_ERROR))") == "0"
    assert _ask(box, "print(eventlog.getcount(eventlog.SEV_WARN))") == "1"
    _tell(box, "smu.source.ilimit.level = 1e-6")
    assert float(_ask(box, "print(smu.source.ilimit.level)")) == pytest.approx(1.06e-5)


@both
@pytest.mark.parametrize("compliance_a", [1.055e-5, 1.2e-6])
def test_limit_that_a_fixed_range_would_change_is_refused_unsent(
    language: str, compliance_a: float
) -> None:
    box = _box(language)
    smu = _source(box, language)
    sent = len(box.link.sent)
    fixed_a = None if compliance_a > 1e-5 else 1e-4
    setup = SourceSetup(range_v=2, compliance_a=compliance_a, measure_range_a=fixed_a)
    with pytest.raises(Unsupported, match=r"its 0\.0001 A measurement range allows"):
        smu.set_up(setup)
    assert len(box.link.sent) == sent


@both
def test_limit_that_the_box_raises_after_it_was_set_is_a_fault(
    language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = Terminals2450.set_off_mode

    def also_raises(terminals: Terminals2450, mode: str) -> None:
        change(terminals, mode)
        if mode == "ZERO" and terminals.limits["VOLT"] == pytest.approx(1e-5):
            terminals.limits["VOLT"] = 0.1

    monkeypatch.setattr(Terminals2450, "set_off_mode", also_raises)
    box = _box(language)
    smu = _source(box, language)
    smu.source_voltage = 0
    with pytest.raises(InstrumentFault, match=r"set to 1e-05 but reads back 0\.1"):
        smu.set_up(SourceSetup(range_v=2, compliance_a=1e-5))


@pytest.mark.parametrize("anew", [False, True], ids=["unread", "since last asked"])
def test_error_in_a_train_is_found_though_another_was_unread(
    anew: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Topic eventlog.getcount() says both that it counts unread events, and those since last asked.
    monkeypatch.setattr(VirtualTsp2450, "counts_anew", anew)
    box = _box()
    smu = _source(box)
    box.link.write("smu.source.level = 50")  # beyond the locked range
    with pytest.raises(InstrumentFault, match="-222"):
        smu.apply_train([TrainPoint(1.0, 0.01)])
    assert not box.device.pulses
    box.link.write("eventlog.getcount(eventlog.SEV_ERROR)")
    smu._range_v = 100
    with pytest.raises(InstrumentFault, match="-222"):
        smu.apply_train([TrainPoint(50.0, 0.01)])
    smu._range_v = 2.1
    smu.apply_train([TrainPoint(1.0, 0.01)])
    assert len(box.device.pulses) == 1


def test_box_delays_a_reading_by_its_range_after_a_step_and_not_again() -> None:
    # Topic Source delay: 1 ms in the 1 mA range, 50 ms in the 10 nA range; at the first output and
    # when the magnitude of the level changes.
    box = _box()
    clock = box.clock
    _tell(box, "smu.measure.nplc = 0.01 smu.measure.autozero.enable = smu.OFF")
    _tell(box, "smu.source.readback = smu.OFF smu.source.ilimit.level = 1e-3")
    _tell(box, "smu.measure.range = 1e-3 smu.source.output = smu.ON smu.measure.read()")
    times_s = []
    for level_v in (0.1, 0.1, 0.2):
        begun_s = clock.now_s
        _tell(box, f"smu.source.level = {level_v}", "smu.measure.read()")
        times_s.append(clock.now_s - begun_s)
    assert times_s[0] - times_s[1] == pytest.approx(1e-3)
    assert times_s[2] == pytest.approx(times_s[0])


@both
@pytest.mark.parametrize("nplc", [0.01, 1.0])
def test_reading_right_after_a_level_has_settled(language: str, nplc: float) -> None:
    # 100 nA in the 1 uA range settle in 3 ms; 0.01 cycles alone are 0.2 ms.
    box = _box(language, 1e-6)
    smu = _source(box, language)
    smu.source_voltage = 0
    smu.set_up(SourceSetup(range_v=2, compliance_a=1e-5, nplc=nplc))
    for level_v in (0.1, -0.1, 0.1):
        smu.source_voltage = level_v
        assert smu.current == pytest.approx(level_v * 1e-6, rel=2e-3)
    if language == "tsp":
        loop = VerifyLoop(0.5, 0.1, 2e-3, 0.1, None, -math.inf, math.inf, 1, both_polarities=True)
        assert smu.verify_loop(loop)[0].current_a == pytest.approx(1e-7, rel=2e-3)


@both
@pytest.mark.parametrize("width_s", [1e-3, 2e-3, 5e-3, 10e-3, 50e-3])
def test_width_is_made_exactly_or_refused(language: str, width_s: float) -> None:
    box = _box(language)
    smu = _source(box, language)
    pulse = [TrainPoint(1.0, width_s), TrainPoint(0.0, width_s)] * 3
    if language == "scpi" and width_s < 4.1e-3:
        with pytest.raises(Unsupported, match=r"outside 0\.0041 to"):
            smu.refuse_train(pulse)
        return
    smu.apply_train(pulse)
    assert [p.width_s for p in box.device.pulses] == pytest.approx([width_s] * 3, rel=1e-9)


@both
def test_width_is_right_where_levels_stay_as_they_are(language: str) -> None:
    # Topic Source delay: left out where the magnitude does not change.
    box = _box(language)
    smu = _source(box, language)
    pulse, read = TrainPoint(1.0, 0.06), TrainPoint(0.0, 0.03, measure=True)
    smu.apply_train([read, pulse, TrainPoint(-1.0, 0.03), read, pulse])
    widths_s = [p.width_s for p in box.device.pulses]
    assert widths_s == pytest.approx([0.06, 0.03, 0.06], rel=1e-9)


@both
@pytest.mark.parametrize("step_s", [1e-4, 9e-4])
def test_width_is_right_on_a_box_that_is_slower_or_faster(
    language: str, step_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The times of the vendor's example are rough: the driver takes them from the box that it has.
    terminals = "hwloop_sim.virtual.instruments.keithley_2450.terminals"
    monkeypatch.setattr(f"{terminals}.STEP_S", step_s)
    monkeypatch.setattr(f"{terminals}.READ_S", 2 * step_s)
    box = _box(language)
    smu = _source(box, language)
    smu.apply_train([TrainPoint(1.0, 0.01), TrainPoint(0.0, 0.01)] * 2)
    assert [p.width_s for p in box.device.pulses] == pytest.approx([0.01] * 2, rel=1e-9)


@both
def test_level_that_lasted_otherwise_than_asked_is_a_fault(
    language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = _box(language)
    smu = _source(box, language)
    smu.apply_train([TrainPoint(1.0, 0.01)])
    terminals = box.instrument.core.smu  # type: ignore[attr-defined]
    change = terminals.set_level

    def slow(function: str, value: float) -> None:
        change(function, value)
        if value:
            box.clock.advance(1e-3)

    monkeypatch.setattr(terminals, "set_level", slow)
    with pytest.raises(InstrumentFault, match=r"a level of 0\.01 s lasted 0\.011 s"):
        smu.apply_train([TrainPoint(1.0, 0.01)])


@pytest.mark.parametrize("n", [1, 5])
def test_box_keeps_user_delays_of_the_source_by_function(n: int) -> None:
    # Topic smu.source.userdelay[N].
    box = _box()
    _tell(box, f"smu.source.userdelay[{n}] = 5")
    assert _ask(box, f"print(smu.source.userdelay[{n}])") == "5"
    _tell(box, "smu.source.func = smu.FUNC_DC_CURRENT")
    assert _ask(box, f"print(smu.source.userdelay[{n}])") == "0"
