"""The 2450's driver against the virtual 2450, in both languages, in one process."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwloop.array.operations import Flag
from hwloop.errors import InstrumentFault, UnexpectedReply, Unsupported
from hwloop_drivers.instruments.keithley_2450.driver import KEITHLEY_2450, Keithley2450
from hwloop_drivers.instruments.keithley_2450.limits import Keithley2450Settings
from hwloop_drivers.instruments.keithley_2450.tsp import Keithley2450Tsp
from hwloop_drivers.roles import SourceSetup, Train, TrainPoint, VerifyLoop
from hwloop_sim.virtual.instruments.keithley_2450.box import Keithley2450 as Virtual2450
from tests.virtual_link import OneBox

LANGUAGES = ("scpi", "tsp")
both = pytest.mark.parametrize("language", LANGUAGES)
CELL_CONDUCTANCE_S = 1e-5


def _smu(
    language: str, *, conductance_s: float = CELL_CONDUCTANCE_S, errors: str = "batch"
) -> tuple[Keithley2450 | Keithley2450Tsp, OneBox]:
    box = OneBox(Virtual2450, conductance_s=conductance_s, settings={"language": language})
    made = KEITHLEY_2450.make(
        box.link, Keithley2450Settings.parse({"language": language, "errors": errors})
    )
    assert isinstance(made, Keithley2450 | Keithley2450Tsp)
    made.verify_identity()
    made.reset()
    return made, box


def _ready(language: str, **more: object) -> tuple[Keithley2450 | Keithley2450Tsp, OneBox]:
    smu, box = _smu(language, **more)  # type: ignore[arg-type]
    smu.set_up(SourceSetup(range_v=2, compliance_a=1e-3))
    smu.source_enabled = True
    return smu, box


@both
def test_box_in_the_other_language_is_named_and_refused(language: str) -> None:
    smu, box = _smu(language)
    other = LANGUAGES[1 - LANGUAGES.index(language)].upper()
    box.link.write(f"*LANG {other}")
    with pytest.raises(UnexpectedReply, match=f"speaks {other}, the station says .*{language}"):
        smu.verify_identity()


@both
@pytest.mark.parametrize("errors", ["batch", "each"])
def test_fifty_pulses_and_reads_reach_the_device_in_one_script_or_sweep(
    language: str, errors: str
) -> None:
    smu, box = _ready(language, errors=errors)
    smu.apply_train(
        [TrainPoint(0.0, 0.03, measure=True)]
    )  # in SCPI the first finds what a step takes
    before = box.link.round_trips
    pulse, read = TrainPoint(1.5, 0.03), TrainPoint(0.1, 0.03, measure=True)
    readings = smu.apply_train([pulse, read] * 50).readings
    trips = box.link.round_trips - before
    smu.check_errors()
    # In SCPI integration time and delay are read back before the sweep and after it.
    assert errors == "each" or trips == {"tsp": 1, "scpi": 5}[language]
    assert [p.amplitude_v[0, 0] for p in box.device.pulses] == pytest.approx([1.5] * 50)
    assert [p.width_s for p in box.device.pulses] == pytest.approx([0.03] * 50, rel=1e-9)
    assert [r.current_a for r in readings] == pytest.approx([0.1 * CELL_CONDUCTANCE_S] * 50)
    assert {r.flags for r in readings} == {Flag(0)}
    assert box.instrument.output_states() == {"": True}
    assert box.circuit.output_volts() == {"box": 0.0}
    assert smu.source_voltage == 0


@both
def test_pulses_that_nobody_measures_are_as_short_as_the_box_can(language: str) -> None:
    # PulseTrain_SVMI.tsp, Keithley's example for the 2450: about 0.75 ms without a reading, about
    # 4 ms with one, as every step of a sweep has.
    smu, box = _ready(language)
    least_s = {"scpi": 5e-3, "tsp": 1e-3}[language]
    on, off = TrainPoint(-1.2, least_s), TrainPoint(0.0, 2 * least_s)
    assert smu.apply_train([on, off, on]) == Train()
    smu.check_errors()
    assert [p.amplitude_v[0, 0] for p in box.device.pulses] == pytest.approx([-1.2] * 2)
    assert [p.width_s for p in box.device.pulses] == pytest.approx([least_s] * 2, rel=1e-9)
    assert smu.read_back()["nplc"] == pytest.approx(1)
    assert smu.measure_current().current_a == pytest.approx(0, abs=1e-13)


def test_widths_of_a_script_are_each_as_they_like() -> None:
    smu, box = _ready("tsp")
    widths_s = [1.7e-3, 1e-2, 0.31]
    smu.apply_train([p for w in widths_s for p in (TrainPoint(1.0, w), TrainPoint(0.0, 1e-3))])
    assert [p.width_s for p in box.device.pulses] == pytest.approx(widths_s, rel=1e-9)


@both
def test_reading_at_the_limit_is_nan_and_flagged_and_the_others_are_not(language: str) -> None:
    smu, _ = _smu(language)
    smu.set_up(SourceSetup(range_v=2, compliance_a=5e-6))
    smu.source_enabled = True
    train = [TrainPoint(v, 0.03, measure=True) for v in (0.1, 1.0, 0.1)]
    low, limited, low_again = smu.apply_train(train).readings
    assert limited.flags == Flag.COMPLIANCE
    assert math.isnan(limited.current_a)
    assert [low.current_a, low_again.current_a] == pytest.approx([1e-6, 1e-6])
    smu.source_voltage = 1.0
    assert smu.tripped
    assert smu.measure_current().flags == Flag.COMPLIANCE
    smu.source_voltage = 0.1
    assert not smu.tripped


def test_verify_loop_stops_inside_its_window_in_one_round_trip() -> None:
    smu, box = _ready("tsp")
    before = box.link.round_trips
    loop = VerifyLoop(
        start_v=0.5, step_v=0.1, width_s=2e-3, read_v=0.1, read_s=0.03,
        low_a=2e-6, high_a=3e-6, max_pulses=5,
    )  # fmt: skip
    readings = smu.verify_loop(loop)  # a resistor never gets there
    assert box.link.round_trips - before == 1
    assert [r.current_a for r in readings] == pytest.approx([1e-6] * 5)
    amplitudes = [p.amplitude_v[0, 0] for p in box.device.pulses]
    assert amplitudes == pytest.approx([0.5, 0.6, 0.7, 0.8, 0.9])
    assert [p.width_s for p in box.device.pulses] == pytest.approx([2e-3] * 5)
    inside = VerifyLoop(
        start_v=0.5, step_v=0.1, width_s=2e-3, read_v=0.1, read_s=0.03,
        low_a=5e-7, high_a=2e-6, max_pulses=5,
    )  # fmt: skip
    assert len(smu.verify_loop(inside)) == 1
    assert smu.source_voltage == 0


@both
def test_safe_state_from_any_state_is_zero_volts_and_off(language: str) -> None:
    smu, box = _ready(language)
    smu.source_voltage = 1.5
    smu.safe_state()
    smu.safe_state()
    assert box.instrument.output_states() == {"": False}
    assert box.circuit.line_volts()["row0"] == 0
    assert box.circuit.output_volts() == {"box": None}


@both
def test_error_of_the_box_is_a_fault_with_its_text(language: str) -> None:
    smu, box = _ready(language)
    beyond = ":SOUR:VOLT 5" if language == "scpi" else "smu.source.level = 5"
    box.link.write(beyond)
    with pytest.raises(InstrumentFault, match="-222"):
        smu.check_errors()


@both
@pytest.mark.parametrize(
    ("setup", "message"),
    [
        (SourceSetup(range_v=220, compliance_a=1e-6), "range 220 V is beyond .* 210 V"),
        (SourceSetup(range_v=100, compliance_a=0.2), "compliance in the 200 V range 0.2 A"),
        (SourceSetup(range_v=1, compliance_a=5e-10), "5e-10 A is below .* 1e-09 A"),
        (
            SourceSetup(range_v=1, compliance_a=1e-6, measure_range_a=1e-4),
            r"1e-06 A is outside 1\.06e-05 to",
        ),
        (
            SourceSetup(range_v=1, compliance_a=1e-5, measure_range_a=1e-6),
            r"1e-05 A is outside .* 1\.05e-06",
        ),
    ],
)
def test_setup_beyond_the_box_is_refused_unsent(
    language: str, setup: SourceSetup, message: str
) -> None:
    smu, box = _smu(language)
    sent = len(box.link.sent)
    with pytest.raises(Unsupported, match=message):
        smu.set_up(setup)
    assert len(box.link.sent) == sent


@both
@pytest.mark.parametrize(
    "points",
    [[], [TrainPoint(1, 5e-4)], [TrainPoint(1, 2e5)], [TrainPoint(215, 1e-3)]],
    ids=["empty", "short", "long", "high"],
)
def test_train_beyond_the_box_is_refused_without_a_link(
    language: str, points: list[TrainPoint]
) -> None:
    smu, box = _smu(language)
    sent = len(box.link.sent)
    with pytest.raises(Unsupported):
        smu.refuse_train(points)
    assert len(box.link.sent) == sent


@both
def test_level_that_its_reading_does_not_fit_into_is_refused_unsent(language: str) -> None:
    smu, box = _ready(language)
    sent = len(box.link.sent)
    with pytest.raises(Unsupported, match=r"a level of 0\.01 s is shorter than its reading"):
        smu.apply_train([TrainPoint(1.0, 0.01, measure=True)])
    assert len(box.link.sent) == sent


@both
def test_noise_of_a_reading_falls_with_the_root_of_its_time(language: str) -> None:
    # 40 pA RMS in the 10 uA range at one cycle: SPEC-2450 rev. A.
    box = OneBox(Virtual2450, noise=np.random.default_rng(3), settings={"language": language})
    for nplc, spread_a in ((1.0, 4e-11), (0.01, 4e-10)):
        chosen = Keithley2450Settings.parse({"language": language, "nplc": nplc})
        smu = KEITHLEY_2450.make(box.link, chosen)
        smu.reset()
        smu.set_up(SourceSetup(range_v=2, compliance_a=1e-5, measure_range_a=1e-5))
        smu.source_enabled = True
        smu.source_voltage = 0.5
        seen = [smu.measure_current().current_a for _ in range(400)]
        assert np.std(seen) == pytest.approx(spread_a, rel=0.2)


def _fits_a_range(compliance_a: float) -> bool:
    """10.6 to 105 % of one of the measurement ranges, from 10 nA on."""
    return any(0.106 <= compliance_a * 10**n <= 1.05 for n in range(9))


def _reaches(
    language: str,
    make: Callable[[], tuple[Keithley2450 | Keithley2450Tsp, OneBox]],
    compliance_a: float,
    level_v: float,
    width_s: float,
) -> None:
    smu, box = make()
    core = box.instrument.core  # type: ignore[attr-defined]
    train = [TrainPoint(level_v, width_s)]
    try:
        smu.refuse_train(train)
        smu.set_up(SourceSetup(range_v=level_v, compliance_a=compliance_a))
    except Unsupported:
        least_s = 1e-3 if language == "tsp" else 4.1e-3
        power = level_v > 21 and compliance_a > 0.105
        assert width_s < least_s or power or not _fits_a_range(compliance_a)
        return
    smu.source_enabled = True
    smu.source_voltage = level_v
    assert core.smu.limits["VOLT"] == pytest.approx(compliance_a, rel=1e-8)
    assert core.smu.levels["VOLT"] == pytest.approx(level_v, rel=1e-8)
    smu.source_voltage = 0
    before = len(box.device.pulses)
    smu.apply_train(train)
    smu.check_errors()
    seen_v = min(level_v, compliance_a / CELL_CONDUCTANCE_S)
    if seen_v > 0.2:
        assert box.device.pulses[before].width_s == pytest.approx(width_s, rel=1e-8)
        assert box.device.pulses[before].amplitude_v[0, 0] == pytest.approx(seen_v, rel=1e-8)


@both
@settings(max_examples=40, deadline=None)
@given(
    st.floats(-12, 0).map(lambda e: 10.0**e),
    st.floats(-3, 2.301).map(lambda e: 10.0**e),
    st.floats(-8, 1).map(lambda e: 10.0**e),
)
def test_limit_level_and_width_reach_the_box_to_nine_digits_or_are_refused(
    language: str, compliance_a: float, level_v: float, width_s: float
) -> None:
    _reaches(language, lambda: _smu(language), compliance_a, level_v, width_s)
