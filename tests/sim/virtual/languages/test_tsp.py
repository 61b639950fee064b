"""The TSP engine: replies, errors and scripts as the Series 2600B reference manual has them."""

import struct

import pytest

from hwloop_sim.virtual.languages.tsp import VirtualTspInstrument
from hwloop_sim.virtual.languages.tsp_tables import Cell, ReadingBuffer
from tests.virtual_link import OneBox


class Box(VirtualTspInstrument):
    """A source with one level, and a meter that fills a buffer with 1, 2, 3 …"""

    model = "1"

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.level = Cell(0.0, lowest=-1, highest=1)
        self.buffer = ReadingBuffer("readings", "timestamps", capacity=100)
        self.root.on("smua.source.level", get=self.level.get, set=self.level.set)
        self.root.attach("smua.nvbuffer1", self.buffer)
        self.root.function("smua.measure.i", self.measure)
        self.root.on("slot[2].idn", get=lambda: "Empty Slot")

    def measure(self, buffer: ReadingBuffer | None = None) -> float:
        (buffer or self.buffer).append(readings=self.buffer.n + 1.0, timestamps=0.5)
        return 1.5

    def output_states(self) -> dict[str, bool]:
        return {}

    def reset(self) -> None:
        self.level.reset()


def _box() -> tuple[Box, OneBox]:
    one = OneBox(Box)
    box = one.instrument
    assert isinstance(box, Box)
    return box, one


def _errors(box: Box) -> list[str]:
    errors = []
    while (reply := box.receive("print(errorqueue.next())")) and not reply.startswith("0.0"):
        code, text, severity, node = reply.split("\t")
        assert (float(severity), float(node)) == (20, 1)
        errors.append(f"{float(code):g} {text}")
    return errors


def test_print_joins_with_tabs_and_writes_six_digits_unless_told_otherwise() -> None:
    box, _ = _box()
    assert box.receive("print(1e-4, 'x', nil, true)") == "1.00000e-04\tx\tnil\ttrue"
    assert box.receive("print(1) print(2)") == "1.00000e+00\n2.00000e+00"
    assert box.receive("format.asciiprecision = 10 print(1/3)") == "3.333333333e-01"
    assert box.receive("*RST") is None
    assert box.receive("printnumber(1, -2.5)") == "1.00000e+00, -2.50000e+00"


@pytest.mark.parametrize(("data", "kind"), [("REAL32", "<2f"), ("SREAL", "<2f"), ("REAL64", "<2d")])
def test_buffers_are_printed_as_binary_blocks(data: str, kind: str) -> None:
    box, _ = _box()
    box.receive("smua.measure.i() smua.measure.i(smua.nvbuffer1)")
    box.receive(f"format.data = format.{data}")
    reply = box.receive("printbuffer(1, smua.nvbuffer1.n, smua.nvbuffer1.readings)")
    assert reply is not None
    raw = reply.encode("latin-1")
    assert raw[:2] == b"#0"
    assert struct.unpack(kind, raw[2:]) == (1.0, 2.0)
    assert box.receive("format.data = format.ASCII print(smua.nvbuffer1[2])") == "2.00000e+00"
    interleaved = box.receive("printbuffer(1, 2, smua.nvbuffer1, smua.nvbuffer1.timestamps)")
    assert interleaved == "1.00000e+00, 5.00000e-01, 2.00000e+00, 5.00000e-01"


def test_attribute_beyond_its_bounds_is_queued_and_the_script_goes_on() -> None:
    box, _ = _box()
    reply = box.receive("smua.source.level = 0.5 smua.source.level = 3 print(smua.source.level)")
    assert reply == "5.00000e-01"
    assert _errors(box) == ["1101 Parameter too big"]


def test_names_of_another_model_are_runtime_errors_that_stop_the_script() -> None:
    box, _ = _box()
    assert box.receive("smua.source.levelv = 1 print(1)") is None
    assert box.receive("smu.source.level = 1 print(1)") is None
    assert box.receive("x = = 1") is None
    assert box.receive("print(errorqueue.count)") == "3.00000e+00"
    assert _errors(box) == [
        "-286 TSP Runtime error at line 1: attempt to set field `levelv', which is not there",
        "-286 TSP Runtime error at line 1: attempt to index global 'smu' (a nil value)",
        "-285 TSP Syntax error at line 1: unexpected symbol near '='",
    ]


def test_scripts_arrive_in_many_messages_and_run_by_name() -> None:
    box, one = _box()
    for line in ["loadscript train", "for n = 1, 3 do", "  delay(0.5)", "end", "print(n or 7)"]:
        assert box.receive(line) is None
    assert box.receive("endscript") is None
    assert one.clock.now_s == 0
    assert box.receive("train()") == "7.00000e+00"
    assert box.receive("train.run()") == "7.00000e+00"
    assert one.clock.now_s == 3.0
    assert box.receive("loadandrunscript\nprint(train.name)\nendscript") == "train"
    box.receive("script.delete('train') train()")
    assert _errors(box) == [
        "-286 TSP Runtime error at line 1: attempt to call global 'train' (a nil value)"
    ]


def test_common_commands_are_answered() -> None:
    box, _ = _box()
    assert box.receive("*IDN?") == "Keithley Instruments Inc., Model 1, 0000000, 1.0.0"
    box.receive("nonsense")
    assert box.receive("*STB?") == "4"
    assert box.receive("*CLS;*OPC?") == "1"
    assert box.receive("opc() print(status.standard.event)") == "1.00000e+00"
    assert box.receive("*ESR?;*STB?") == "0\n0"
    assert box.receive("print(localnode.model, slot[2].idn)") == "1\tEmpty Slot"


@pytest.mark.parametrize(
    ("runaway", "code"),
    [
        ("while true do end", "-286"),
        ("while true do pcall(function() while true do end end) end", "-286"),
        ("while true do delay(0) end", "-286"),
        ("while true do print(1) end", "-286"),
        ("t = {} while true do t[#t + 1] = {} end", "-225"),
        ("s = string.rep('x', 1e9)", "-225"),
    ],
)
def test_runaway_script_is_stopped_and_leaves_the_box_usable(runaway: str, code: str) -> None:
    box, _ = _box()
    box.receive(runaway)
    assert [error.partition(" ")[0] for error in _errors(box)] == [code]
    assert box.receive("print(1 + 1)") == "2.00000e+00"


def test_box_that_fails_in_a_script_fails_whatever_the_script_would_catch() -> None:
    box, one = _box()

    def fail(_: float) -> None:
        raise ZeroDivisionError

    one.clock.on_elapse(fail)
    with pytest.raises(ZeroDivisionError):
        box.receive("pcall(function() delay(1) end) smua.source.level = 1")
    assert box.level.value == 0
    assert box.receive("print(2)") == "2.00000e+00"


def test_nothing_outside_the_instrument_is_in_reach() -> None:
    box, _ = _box()
    reply = box.receive(
        "print(os, io, require, dofile, loadfile, load, python, debug, package, getfenv, setfenv,"
        " rawset, newproxy, coroutine, collectgarbage, string.dump, string.gmatch)"
    )
    assert reply == "\t".join(["nil"] * 17)
    assert box.receive("print(loadstring(string.char(27) .. 'Lua'))") == "nil\tTSP:1: not a text"
    assert box.receive("print(getmetatable(smua), getmetatable(''), getmetatable(_G))") == (
        "instrument\tstring\tenvironment"
    )
    box.receive("smua.measure.i.__class__ = 1")
    box.receive("print(smua.measure.i.__globals__)")
    assert len(_errors(box)) == 2


def test_message_of_a_megabyte_is_obeyed() -> None:
    box, _ = _box()
    values = ",".join(["1"] * 100_000)
    assert box.receive(f"t = {{{values}}} print(#t)") == "1.00000e+05"
    text = "x" * 1_000_000
    assert box.receive(f"print('{text}')") == text


def test_device_clear_forgets_a_script_that_is_half_sent() -> None:
    box, _ = _box()
    box.receive("loadscript half")
    box.device_clear()
    assert box.receive("print(1)") == "1.00000e+00"


def test_prompts_follow_every_message_when_they_are_on() -> None:
    box, _ = _box()
    assert box.receive("localnode.prompts = 1") == "TSP>"
    assert box.receive("print(1)") == "1.00000e+00\nTSP>"
    assert box.receive("nonsense") == "TSP?"
    assert box.receive("loadscript") == ">>>>"


def test_scripts_walk_the_tables_of_the_instrument_as_any_other() -> None:
    box, _ = _box()
    walked = "for name in pairs(smua) do table.insert(seen, name) end"
    told = box.receive(f"seen = {{}} {walked} table.sort(seen) print(table.concat(seen, ' '))")
    assert told == "measure nvbuffer1 source"
    values = "for name, value in pairs(smua.source) do print(name, value) end"
    assert box.receive(f"smua.source.level = 0.5 {values}") == "level\t5.00000e-01"
    assert box.receive("for n, v in pairs({7}) do print(n, v) end") == "1.00000e+00\t7.00000e+00"
