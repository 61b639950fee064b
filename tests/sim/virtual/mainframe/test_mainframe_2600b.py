"""What a 2600B has beside its channels, after the topics of Keithley's help that tests name."""

from __future__ import annotations

import pytest

from hwloop_sim.virtual.instruments.keithley_2600b.box import Keithley2600B
from tests.virtual_link import OneBox


def _box(model: str = "2602B") -> OneBox:
    return OneBox(Keithley2600B, drive="box.a", conductance_s=1e-3, settings={"model": model})


def _asked(box: OneBox, text: str) -> str:
    return str(box.instrument.receive(text))


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("bit.get(10, 4)", 8),  # the examples of the topics bit.*
        ("bit.getfield(13, 2, 3)", 6),
        ("bit.clear(15, 2)", 13),
        ("bit.setfield(15, 2, 3, 5)", 11),
        ("bit.toggle(10, 3)", 14),
        ("bit.bitxor(10, 9)", 3),
        ("bit.set(8, 3)", 12),
        ("bit.setfield(0, 1, 4, 30)", 14),  # of 11110 the highest bit is cut off
    ],
)
def test_bit_operations_give_what_the_help_says(expression: str, value: float) -> None:
    assert float(_asked(_box(), f"print({expression})")) == value


def test_bit_position_beyond_32_is_an_error_and_no_value() -> None:
    box = _box()
    assert _asked(box, "print(bit.get(1, 33))") == ""
    assert _asked(box, "print(errorqueue.next())").startswith("1.10100e+03\tParameter too big")


def test_port_reads_what_was_written_but_for_protected_lines_and_those_pulled_low() -> None:
    box = _box()
    box.link.write("digio.writeport(170)")
    assert float(_asked(box, "print(digio.readport())")) == 170
    box.link.write("digio.writeprotect = 3 digio.writeport(255)")
    assert float(_asked(box, "print(digio.readport())")) == 254  # lines 1 and 2 as they were
    box.instrument.mainframe.port.lines[3].drive(high=False)
    assert float(_asked(box, "print(digio.readbit(3))")) == 0
    box.link.write("reset()")  # topic digio.writeport(): reset() leaves the lines
    assert float(_asked(box, "print(digio.readport())")) == 250
    assert float(_asked(box, "print(digio.writeprotect)")) == 0


def test_model_without_a_port_has_no_digio() -> None:
    box = _box("2604B")
    box.link.write("digio.writeport(1)")
    assert "digio" in _asked(box, "print(errorqueue.next())")


def test_wait_for_an_edge_ends_with_it_or_with_its_time_out() -> None:
    box = _box()
    box.link.write("digio.trigger[1].mode = digio.TRIG_FALLING")
    box.instrument.mainframe.port.lines[1].pulse(0.25)
    assert _asked(box, "print(digio.trigger[1].wait(3))") == "true"
    assert box.clock.now_s == pytest.approx(0.25)
    assert _asked(box, "print(digio.trigger[1].wait(3))") == "false"  # detected once
    assert box.clock.now_s == pytest.approx(3.25)


def test_second_edge_before_the_first_was_asked_for_is_an_overrun() -> None:
    box = _box()
    line = box.instrument.mainframe.port.lines[1]
    box.link.write("digio.trigger[1].mode = digio.TRIG_RISING")
    line.pulse(0.1)
    assert _asked(box, "delay(1) print(digio.trigger[1].overrun)") == "false"
    line.pulse(1.5)
    assert _asked(box, "delay(1) print(digio.trigger[1].overrun)") == "true"


def test_output_pulse_lasts_its_width_and_the_timer_paces_it() -> None:
    """A timer starts with an edge on line 2; each of its events pulls line 1 low for 1 ms."""
    box = _box()
    port = box.instrument.mainframe.port
    box.link.write(
        "digio.trigger[2].mode = 1 digio.trigger[1].mode = 1 digio.trigger[1].pulsewidth = 1e-3 "
        "trigger.timer[1].delaylist = {0.01, 0.03} trigger.timer[1].count = 3 "
        "trigger.timer[1].stimulus = digio.trigger[2].EVENT_ID "
        "digio.trigger[1].stimulus = trigger.timer[1].EVENT_ID"
    )
    port.lines[2].pulse(0.0)
    seen = []
    for n in range(1, 121):
        box.clock.advance(n * 5e-4 - box.clock.now_s)
        if not port.lines[1].level:
            seen.append(round(box.clock.now_s, 4))
    # Delays of 10, 30, 10 ms one after the other: topic trigger.timer[N].delaylist.
    assert seen == [0.01, 0.0105, 0.04, 0.0405, 0.05, 0.0505]
    assert _asked(box, "print(errorqueue.count)") == "0.00000e+00"


def test_timer_passes_its_trigger_on_at_once_where_it_is_told_to() -> None:
    box = _box()
    box.link.write(
        "digio.trigger[2].mode = 1 trigger.timer[1].delay = 1 trigger.timer[1].passthrough = true "
        "trigger.timer[1].stimulus = digio.trigger[2].EVENT_ID"
    )
    box.instrument.mainframe.port.lines[2].pulse(0.5)
    assert _asked(box, "print(trigger.timer[1].wait(0.6), trigger.timer[1].wait(0.6))") == (
        "true\tfalse"
    )
    assert _asked(box, "print(trigger.timer[1].wait(0.6))") == "true"


def test_user_screen_cuts_rows_and_reads_back_as_in_the_help() -> None:
    box = _box()
    box.link.write('display.clear() display.setcursor(1, 1) display.settext("ABCDEFGHIJ$DKLMNOP")')
    box.link.write('display.setcursor(2, 1) display.settext("abc$Bdefghijklmnopqrstuvwxyz123456")')
    assert _asked(box, "print(display.gettext(false, 2, 9, 10))") == "ij"
    assert _asked(box, "print(display.gettext())") == (
        "ABCDEFGHIJKLMNOP    $Nabcdefghijklmnopqrstuvwxyz123456"
    )
    assert _asked(box, "print(display.screen, display.getcursor())").split("\t")[:3] == [
        "3.00000e+00", "2.00000e+00", "3.20000e+01"
    ]  # fmt: skip


def test_setter_and_getter_act_on_the_attribute_itself() -> None:
    box = _box()
    box.link.write(
        'set = makesetter(smua.source, "levelv") get = makegetter(smua.source, "levelv")'
    )
    assert float(_asked(box, "set(1.5) print(get())")) == 1.5
    assert float(_asked(box, "print(smua.source.levelv)")) == 1.5
    box.link.write("set(1000)")
    assert _asked(box, "print(errorqueue.count)") == "1.00000e+00"


def test_recalled_setup_has_what_was_saved_and_its_output_off() -> None:
    box = _box()
    box.link.write(
        "smua.measure.nplc = 0.01 smua.source.levelv = 2 smua.source.limiti = 1e-3 "
        "display.smua.digits = 4 smua.source.output = 1 setup.save(2) smua.source.levelv = 3"
    )
    box.link.write("setup.recall(2)")
    asked = "smua.measure.nplc, smua.source.levelv, smua.source.limiti, display.smua.digits"
    seen = [float(word) for word in _asked(box, f"print({asked})").split("\t")]
    assert seen == [0.01, 2.0, 1e-3, 4.0]
    assert box.instrument.output_states()["a"] is False
    box.link.write("setup.recall(1)")  # never saved: the defaults, topic Saved setups
    assert float(_asked(box, "print(smua.source.levelv)")) == 0.0


def test_overlapped_measurements_of_two_channels_take_the_time_of_one() -> None:
    """50 readings of 1 PLC with autozero: 50 × 60 ms at 50 Hz (topic smuX.measure.overlappedY)."""
    box = _box()
    box.link.write("smua.measure.count = 50 smub.measure.count = 50 smua.source.levelv = 1")
    box.link.write("smua.source.output = 1 smua.measure.overlappedi(smua.nvbuffer1)")
    box.link.write("smub.measure.overlappedi(smub.nvbuffer1)")
    assert float(_asked(box, "print(smua.nvbuffer1.n)")) == 0
    box.link.write("waitcomplete()")
    assert box.clock.now_s == pytest.approx(50 * 0.06)
    assert _asked(box, "print(smua.nvbuffer1.n, smub.nvbuffer1.n)") == "5.00000e+01\t5.00000e+01"
    assert float(_asked(box, "print(smua.nvbuffer1[50])")) == pytest.approx(1e-3, rel=1e-4)


def test_aborted_overlapped_measurement_takes_no_further_reading() -> None:
    box = _box()
    box.link.write("smua.measure.count = 10 smua.measure.overlappedi(smua.nvbuffer1) delay(0.07)")
    box.link.write("smua.abort()")
    assert float(_asked(box, "delay(5) print(smua.nvbuffer1.n)")) == 1


@pytest.mark.parametrize(
    ("script", "answer"),
    [
        ("t = {4, 5} s = 0 for i in t do s = s + t[i] end print(s)", "9.00000e+00"),
        ("t = {4, 5} s = 0 for i, v in ipairs(t) do s = s + v end print(s)", "9.00000e+00"),
        ('print("for x in y do") -- for x in y do', "for x in y do"),
        ("f = string.gfind('a,b', '%a') for w in f do print(w) end", "a\nb"),
        ("print(table.getn({n=10}))", "1.00000e+01"),
        (
            "t = {} table.setn(t, 3) print(table.getn(t), table.getn({1, 2}))",
            "3.00000e+00\t2.00000e+00",
        ),
    ],
)
def test_lua_is_that_of_the_instruments_5_0(script: str, answer: str) -> None:
    """Lua 5.0 reference manual, 2.4.5 (for), 5.4 (table.getn, table.setn)."""
    assert _asked(_box(), script) == answer
