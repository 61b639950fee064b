"""The trigger model of a 2450, its lists and timers, after the topics of Keithley's help."""

from __future__ import annotations

import pytest

from hwloop_sim.virtual.instruments.keithley_2450.box import Keithley2450
from tests.virtual_link import OneBox

OHM = 1e4
SET_UP = (
    "reset() smu.source.func = smu.FUNC_DC_VOLTAGE smu.source.readback = smu.OFF "
    "smu.source.range = 20 smu.source.ilimit.level = 0.1 smu.source.autodelay = smu.OFF "
    "smu.measure.func = smu.FUNC_DC_CURRENT smu.measure.range = 0.1 smu.measure.nplc = 0.01 "
    "smu.measure.autozero.enable = smu.OFF"
)
TRAIN = """
smu.source.configlist.create("levels")
smu.source.level = 5 smu.source.configlist.store("levels")
smu.source.level = 0 smu.source.configlist.store("levels")
trigger.timer[1].delaylist = {15e-3, 5e-3}
trigger.timer[1].count = 8
trigger.timer[1].start.stimulus = trigger.EVENT_NOTIFY1
trigger.timer[1].enable = trigger.ON
trigger.model.load("Empty")
trigger.model.setblock(1, trigger.BLOCK_BUFFER_CLEAR)
trigger.model.setblock(2, trigger.BLOCK_SOURCE_OUTPUT, smu.ON)
trigger.model.setblock(3, trigger.BLOCK_NOTIFY, trigger.EVENT_NOTIFY1)
trigger.model.setblock(4, trigger.BLOCK_WAIT, trigger.EVENT_TIMER1)
trigger.model.setblock(5, trigger.BLOCK_CONFIG_NEXT, "levels")
trigger.model.setblock(6, trigger.BLOCK_MEASURE_DIGITIZE, defbuffer1, 1)
trigger.model.setblock(7, trigger.BLOCK_WAIT, trigger.EVENT_TIMER1)
trigger.model.setblock(8, trigger.BLOCK_CONFIG_NEXT, "levels")
trigger.model.setblock(9, trigger.BLOCK_BRANCH_COUNTER, 4, 4)
trigger.model.setblock(10, trigger.BLOCK_SOURCE_OUTPUT, smu.OFF)
"""


def _box() -> OneBox:
    box = OneBox(Keithley2450, conductance_s=1 / OHM, settings={"language": "tsp"})
    box.link.write(SET_UP)
    return box


def _asked(box: OneBox, text: str) -> str:
    return str(box.instrument.receive(text))


def _loaded(box: OneBox, script: str) -> None:
    box.link.write("loadandrunscript")
    for line in script.strip().splitlines():
        box.link.write(line)
    box.link.write("endscript")


def _error(box: OneBox) -> str:
    return _asked(box, "print(eventlog.next(eventlog.SEV_ERROR))")


def test_model_makes_the_pulses_that_timer_and_list_describe_and_measures_each() -> None:
    """Four pulses of 5 V for 5 ms every 20 ms: the maker's example PulseTrain_SVMI.tsp."""
    box = _box()
    _loaded(box, TRAIN)
    box.link.write("trigger.model.initiate() waitcomplete()")
    pulses = box.device.pulses
    assert [p.amplitude_v[0, 0] for p in pulses] == pytest.approx([5.0] * 4)
    assert [p.width_s for p in pulses] == pytest.approx([5e-3] * 4, rel=1e-6)
    assert _asked(box, "print(defbuffer1.n)") == "4"
    assert float(_asked(box, "print(defbuffer1[4])")) == pytest.approx(5 / OHM, rel=1e-3)
    gap = "defbuffer1.relativetimestamps[3] - defbuffer1.relativetimestamps[2]"
    assert float(_asked(box, f"print({gap})")) == pytest.approx(20e-3)
    assert box.instrument.output_states() == {"": False}
    assert _asked(box, "print(trigger.model.state())") == (
        "trigger.STATE_IDLE\ttrigger.STATE_EMPTY\t10"
    )
    assert _error(box).startswith("0\t")


def test_model_waits_for_a_command_while_other_messages_are_obeyed() -> None:
    box = _box()
    box.link.write(
        "trigger.model.setblock(1, trigger.BLOCK_WAIT, trigger.EVENT_COMMAND) "
        "trigger.model.setblock(2, trigger.BLOCK_SOURCE_OUTPUT, smu.ON) trigger.model.initiate()"
    )
    assert _asked(box, "print(trigger.model.state())").startswith("trigger.STATE_WAITING")
    assert box.instrument.output_states() == {"": False}
    box.link.write("*TRG")
    assert box.instrument.output_states() == {"": True}


@pytest.mark.parametrize(
    ("more", "runs"),
    [
        ("", True),  # an event before the wait block is remembered
        (", trigger.CLEAR_ENTER", False),
        (", trigger.CLEAR_NEVER, trigger.WAIT_AND, trigger.EVENT_NOTIFY2", False),
        (", trigger.CLEAR_NEVER, trigger.WAIT_OR, trigger.EVENT_NOTIFY2", True),
    ],
)
def test_wait_block_minds_events_before_it_as_it_is_told(more: str, runs: bool) -> None:
    box = _box()
    box.link.write(
        "trigger.model.setblock(1, trigger.BLOCK_NOTIFY, trigger.EVENT_NOTIFY1) "
        f"trigger.model.setblock(2, trigger.BLOCK_WAIT, trigger.EVENT_NOTIFY1{more}) "
        "trigger.model.setblock(3, trigger.BLOCK_SOURCE_OUTPUT, smu.ON) trigger.model.initiate()"
    )
    assert box.instrument.output_states() == {"": runs}


def test_wait_that_nothing_ends_is_an_error_and_no_answer_until_it_is_aborted() -> None:
    box = _box()
    box.link.write("trigger.model.setblock(1, trigger.BLOCK_WAIT, trigger.EVENT_DISPLAY)")
    box.link.write("trigger.model.initiate()")
    assert box.instrument.receive("*OPC?") is None
    assert "deadlock" in _error(box)
    box.link.write("trigger.model.abort()")
    assert box.instrument.receive("*OPC?") == "1"


def test_aborted_model_goes_no_further_though_its_timer_does() -> None:
    box = _box()
    _loaded(box, TRAIN)
    box.link.write("trigger.model.initiate() delay(16e-3)")
    assert box.circuit.output_volts()["box"] == 5.0
    box.link.write("trigger.model.abort() delay(1)")
    assert box.circuit.output_volts()["box"] == 5.0  # the output stays as it is
    assert _asked(box, "print(trigger.model.state())").startswith("trigger.STATE_ABORTED")


def test_simple_loop_measures_so_often_and_waits_before_each() -> None:
    box = _box()
    box.link.write('smu.source.level = 1 trigger.model.load("SimpleLoop", 10, 0.1)')
    box.link.write("smu.source.output = smu.ON trigger.model.initiate() waitcomplete()")
    assert _asked(box, "print(defbuffer1.n)") == "10"
    step_s = float(_asked(box, "print(defbuffer1.relativetimestamps[10])")) / 9
    assert 0.1 < step_s < 0.105
    assert box.instrument.output_states() == {"": True}


def test_duration_loop_ends_with_the_first_reading_after_its_time() -> None:
    box = _box()
    box.link.write('smu.source.output = smu.ON trigger.model.load("DurationLoop", 2, 0.2)')
    began_s = box.clock.now_s
    box.link.write("trigger.model.initiate() waitcomplete()")
    assert 2.0 <= box.clock.now_s - began_s < 2.3
    assert float(_asked(box, "print(defbuffer1.n)")) == 10


def test_recall_and_next_walk_the_list_from_the_index_recalled() -> None:
    """Topic BLOCK_CONFIG_NEXT: after a recall of index 1 comes index 2, after the last the first."""
    box = _box()
    box.link.write('smu.source.configlist.create("l")')
    for level in (1, 2, 3):
        box.link.write(f'smu.source.level = {level} smu.source.configlist.store("l")')
    box.link.write(
        "smu.source.output = smu.ON "
        'trigger.model.setblock(1, trigger.BLOCK_CONFIG_RECALL, "l") '
        "trigger.model.setblock(2, trigger.BLOCK_MEASURE_DIGITIZE) "
        'trigger.model.setblock(3, trigger.BLOCK_CONFIG_NEXT, "l") '
        "trigger.model.setblock(4, trigger.BLOCK_BRANCH_COUNTER, 5, 2) "
        "trigger.model.initiate() waitcomplete()"
    )
    seen = _asked(box, "printbuffer(1, defbuffer1.n, defbuffer1.sourcevalues)")
    assert [float(v) for v in seen.split(", ")] == [1, 2, 3, 1, 2]
    assert float(_asked(box, 'print(smu.source.configlist.size("l"))')) == 3
    names = [_asked(box, "print(smu.source.configlist.catalog())") for _ in range(3)]
    assert names == ["l", "nil", "l"]


def test_measure_list_recalls_range_and_function_with_the_source_list() -> None:
    box = _box()
    box.link.write(
        'smu.measure.configlist.create("m") smu.measure.configlist.store("m") '
        "smu.measure.func = smu.FUNC_DC_VOLTAGE smu.measure.nplc = 1"
    )
    box.link.write('smu.measure.configlist.recall("m")')
    seen = _asked(box, "print(smu.measure.func, smu.measure.nplc, smu.measure.range)")
    assert seen == "smu.FUNC_DC_CURRENT\t0.01\t0.1"


@pytest.mark.parametrize(
    "told",
    [
        'trigger.model.setblock(1, trigger.BLOCK_CONFIG_RECALL, "none")',
        "trigger.model.setblock(1, trigger.BLOCK_WAIT)",
        "trigger.model.setblock(1, trigger.BLOCK_WAIT, trigger.EVENT_NONE)",
        "trigger.model.setblock(0, trigger.BLOCK_NOP)",
        "trigger.model.setblock(1, trigger.BLOCK_DELAY_CONSTANT, 1e-9)",
        "trigger.model.setblock(1, trigger.BLOCK_MEASURE_DIGITIZE, 5)",
        'trigger.model.load("Unheard")',
        "trigger.model.load({})",
        "trigger.model.setblock(1, trigger.BLOCK_SOURCE_OUTPUT, {})",
        "trigger.model.setblock(1, trigger.BLOCK_CONFIG_NEXT, {1})",
        "trigger.timer[1].enable = {}",
        "trigger.timer[1].start.stimulus = {}",
        "digio.line[1].mode = {}",
        "smu.measure.unit = {}",
        "smu.source.configlist.create({})",
        'smu.source.configlist.store("none")',
        "trigger.timer[1].delay = 1e-6",
        "trigger.timer[1].delaylist = {10e-6, 20e-6}",
    ],
)
def test_block_that_cannot_be_is_an_error_when_it_is_set(told: str) -> None:
    box = _box()
    box.link.write(told)
    assert not _error(box).startswith("0\t")


def test_model_without_end_and_without_time_fails_and_does_not_hang() -> None:
    box = _box()
    box.link.write(
        "trigger.model.setblock(1, trigger.BLOCK_NOP) "
        "trigger.model.setblock(2, trigger.BLOCK_BRANCH_ALWAYS, 1) trigger.model.initiate()"
    )
    assert _asked(box, "print(trigger.model.state())").startswith("trigger.STATE_FAILED")


def test_current_is_read_in_ohms_where_its_unit_says_so() -> None:
    box = _box()
    box.link.write(
        "smu.measure.unit = smu.UNIT_OHM smu.source.level = 2 smu.source.output = smu.ON"
    )
    assert float(_asked(box, "print(smu.measure.read())")) == pytest.approx(OHM, rel=2e-3)
    box.link.write("smu.measure.unit = smu.UNIT_WATT")
    assert float(_asked(box, "print(smu.measure.read())")) == pytest.approx(4 / OHM, rel=2e-3)
    box.link.write("smu.measure.unit = smu.UNIT_VOLT")  # of volts only
    assert not _error(box).startswith("0\t")


def test_offset_compensation_measures_at_0_v_too_and_keeps_the_level() -> None:
    box = _box()
    box.link.write(
        "smu.measure.unit = smu.UNIT_OHM smu.measure.offsetcompensation = smu.ON "
        "smu.source.level = 2 smu.source.output = smu.ON"
    )
    before = len(box.circuit.changes)
    assert float(_asked(box, "print(smu.measure.read())")) == pytest.approx(OHM, rel=2e-3)
    seen = [change.outputs_v["box"] for change in list(box.circuit.changes)[before:]]
    assert 0.0 in seen
    assert seen[-1] == 2.0


def test_reset_leaves_no_blocks_no_lists_and_no_running_timer() -> None:
    box = _box()
    _loaded(box, TRAIN)
    box.link.write("trigger.model.initiate() reset() delay(1)")
    assert box.instrument.output_states() == {"": False}
    assert _asked(box, "print(trigger.model.getblocklist())") == "EMPTY"
    box.link.write('smu.source.configlist.recall("levels")')
    assert not _error(box).startswith("0\t")
    assert box.device.pulses == []


def test_edge_on_a_line_starts_the_model_and_its_notice_is_a_pulse() -> None:
    box = _box()
    port = box.instrument._speakers["TSP"].triggers.port
    box.link.write(
        "digio.line[1].mode = digio.MODE_TRIGGER_IN trigger.digin[1].edge = trigger.EDGE_FALLING "
        "digio.line[2].mode = digio.MODE_TRIGGER_OUT trigger.digout[2].pulsewidth = 1e-3 "
        "trigger.digout[2].stimulus = trigger.EVENT_NOTIFY2 "
        "trigger.model.setblock(1, trigger.BLOCK_WAIT, trigger.EVENT_DIGIO1) "
        "trigger.model.setblock(2, trigger.BLOCK_NOTIFY, trigger.EVENT_NOTIFY2) "
        "trigger.model.initiate()"
    )
    port.lines[1].pulse(0.5)
    assert port.lines[2].level
    box.link.write("waitcomplete()")
    assert not port.lines[2].level
    assert box.clock.now_s == pytest.approx(0.5)
    box.clock.advance(2e-3)
    assert port.lines[2].level
