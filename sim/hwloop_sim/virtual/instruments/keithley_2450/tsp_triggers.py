"""Parts of a 2450 in TSP beside source and meter: trigger model, lists, timers, lines, screen."""

from __future__ import annotations

from functools import partial
from typing import Any

from hwloop_sim.virtual.circuit.clock import BenchClock
from hwloop_sim.virtual.instruments.keithley_2450.config_lists import measure_lists, source_lists
from hwloop_sim.virtual.instruments.keithley_2450.core import Core
from hwloop_sim.virtual.instruments.keithley_2450.trigger_blocks import AUTO, NAMES, BlockMaker
from hwloop_sim.virtual.instruments.keithley_2450.trigger_model import BlockModel
from hwloop_sim.virtual.languages.tsp_tables import Node, TspError, as_number, as_word
from hwloop_sim.virtual.mainframe.digital_lines import (
    BYPASS,
    EITHER,
    FALLING,
    RISING,
    DigitalLine,
    DigitalPort,
)
from hwloop_sim.virtual.mainframe.events import Events
from hwloop_sim.virtual.mainframe.timers import Timer

NO_EVENT = "trigger.EVENT_NONE"
LINES, TIMERS, NOTIFIES = 6, 4, 8
LEAST_TIMER_S = 8e-6
RISES = 8.0  # a mode of a line that asserts by driving it high
LINE_MODES = {
    f"digio.MODE_{kind}": mode
    for kind, mode in {
        "DIGITAL_IN": BYPASS,
        "DIGITAL_OUT": BYPASS,
        "DIGITAL_OPEN_DRAIN": BYPASS,
        "TRIGGER_IN": FALLING,
        "TRIGGER_OUT": FALLING,
        "TRIGGER_OPEN_DRAIN": FALLING,
    }.items()
}
EDGES = {"FALLING": FALLING, "RISING": RISING, "EITHER": EITHER}
SCREENS = (
    "HOME", "HOME_LARGE_READING", "READING_TABLE", "GRAPH", "HISTOGRAM", "GRAPH_SWIPE",
    "SETTINGS_SWIPE", "SOURCE_SWIPE", "STATS_SWIPE", "USER_SWIPE", "PROCESSING",
)  # fmt: skip
TEXT_WIDTHS = {"display.TEXT1": 20, "display.TEXT2": 32}
WRONG = TspError(1130, "Parameter, expected one of its constants")


class Triggers2450:
    """Declares its tables in ``root``; the model acts on the :class:`Core`."""

    def __init__(self, root: Node, core: Core, clock: BenchClock) -> None:
        self._root = root
        self.events = Events()
        self.model = BlockModel(self.events, clock)
        self.source, self.measure = source_lists(core), measure_lists(core)
        self.maker = BlockMaker(
            self.model, core, self.events, clock, source=self.source, measure=self.measure
        )
        self.timers = {
            n: Timer(
                self.events,
                clock,
                event=f"trigger.EVENT_TIMER{n}",
                none=NO_EVENT,
                least_s=LEAST_TIMER_S,
            )
            for n in range(1, TIMERS + 1)
        }
        self.port = DigitalPort(
            {
                n: DigitalLine(self.events, clock, event=f"trigger.EVENT_DIGIO{n}", none=NO_EVENT)
                for n in range(1, LINES + 1)
            }
        )
        self.texts: dict[str, str] = {}
        self._modes: dict[int, str] = {}
        self._declare_model()
        self._declare_lists()
        for n, timer in self.timers.items():
            self._declare_timer(f"trigger.timer[{n}]", timer)
        self._declare_lines()
        self._declare_display()
        self.reset()

    def reset(self) -> None:
        """Reset as ``reset()`` does: no blocks, no lists, timers and lines as at power-on."""
        self.model.abort()
        self.model.clear()
        self.source.lists.clear()
        self.measure.lists.clear()
        self.texts.clear()
        self.port.reset()
        self._modes = dict.fromkeys(self.port.lines, "digio.MODE_DIGITAL_IN")
        for timer in self.timers.values():
            timer.reset()
            timer.enabled = False

    def initiate(self) -> bool:
        """Start the trigger model; return whether it has a block."""
        self.source.rewind()
        self.measure.rewind()
        return self.model.initiate()

    def _declare_model(self) -> None:
        trigger, model = self._root.node("trigger"), self._root.node("trigger.model")
        events = [f"NOTIFY{n}" for n in range(1, NOTIFIES + 1)] + [f"TIMER{n}" for n in self.timers]
        events += [f"DIGIO{n}" for n in self.port.lines]
        events += ["NONE", "COMMAND", "DISPLAY", "SOURCE_LIMIT"]
        words = [f"EVENT_{name}" for name in events] + [f"BLOCK_{name}" for name in NAMES]
        words += ["CLEAR_ENTER", "CLEAR_NEVER", "WAIT_AND", "WAIT_OR", "ON", "OFF"]
        words += [f"EDGE_{edge}" for edge in EDGES] + ["LOGIC_NEGATIVE", "LOGIC_POSITIVE"]
        for word in (*words, AUTO.removeprefix("trigger.")):
            trigger.constant(word, f"trigger.{word}")
        model.function("setblock", self.maker.set_block)
        model.function("load", self.maker.load)
        model.function("abort", self.model.abort)
        model.function("getblocklist", self._listing)
        model.function("getbranchcount", self._count)
        model.function("state", self._state)

    def _state(self) -> tuple[str, str, float]:
        words = (f"trigger.STATE_{self.model.state}", "trigger.STATE_EMPTY")
        return *words, float(self.model.at)

    def _count(self, number: Any) -> float:
        return float(self.model.counts.get(int(as_number(number)), 0))

    def _listing(self) -> str:
        names = sorted(self.model.names.items())
        return "\n".join(f"{n:2}) {name}" for n, name in names) or "EMPTY"

    def _declare_lists(self) -> None:
        def taken(name: str) -> bool:
            return name in self.source.lists or name in self.measure.lists

        self.source.declare(self._root.node("smu.source.configlist"), taken)
        self.measure.declare(self._root.node("smu.measure.configlist"), taken)

    def _declare_timer(self, path: str, timer: Timer) -> None:
        node = self._root.node(path)

        def reset() -> None:
            timer.reset()
            timer.enabled = False

        node.on("delay", get=partial(getattr, timer, "delay_s"), set=timer.set_delays)
        node.on("delaylist", get=partial(getattr, timer, "delays_s"), set=timer.set_delays)
        node.on("count", get=timer.count.get, set=timer.count.set)
        _switch(node, "enable", timer, "enabled")
        _switch(node, "start.generate", timer, "passes")
        node.on("start.stimulus", get=timer.stimulus.get, set=timer.stimulus.set)
        node.on("start.overrun", get=partial(getattr, timer, "overrun"))
        node.function("clear", timer.clear)
        node.function("reset", reset)
        node.function("wait", timer.detector.wait)

    def _declare_lines(self) -> None:
        digio, trigger = self._root.node("digio"), self._root.node("trigger")
        digio.function("readport", self.port.read)
        digio.function("writeport", self.port.write)
        for mode in LINE_MODES:
            self._root.constant(mode, mode)
        digio.constants(STATE_LOW=0, STATE_HIGH=1)
        for n, line in self.port.lines.items():
            node = digio.node(f"line[{n}]")
            node.on("mode", get=partial(self._modes_of, n), set=partial(self._set_mode, n))
            node.on(
                "state", get=partial(self.port.read_bit, n), set=partial(self.port.write_bit, n)
            )
            node.function("reset", partial(self._reset_line, n))
            out, into = trigger.node(f"digout[{n}]"), trigger.node(f"digin[{n}]")
            out.on("pulsewidth", get=line.pulse_s.get, set=line.pulse_s.set)
            out.on("stimulus", get=line.stimulus.get, set=line.stimulus.set)
            out.on("logic", get=partial(_logic, line), set=partial(_set_logic, line))
            out.function("assert", line.assert_)
            out.function("release", line.release)
            into.on("edge", get=partial(_edge, line), set=partial(_set_edge, line))
            into.on("overrun", get=partial(getattr, line.detector, "overrun"))
            into.function("clear", line.detector.clear)
            into.function("wait", line.detector.wait)

    def _modes_of(self, number: int) -> str:
        return self._modes[number]

    def _set_mode(self, number: int, mode: Any) -> None:
        if as_word(mode) not in LINE_MODES:
            raise WRONG
        self._modes[number] = mode
        self.port.lines[number].mode.value = LINE_MODES[mode]

    def _reset_line(self, number: int) -> None:
        self.port.lines[number].reset()
        self._modes[number] = "digio.MODE_DIGITAL_IN"

    def _declare_display(self) -> None:
        node = self._root.node("display")
        for word in (*(f"SCREEN_{name}" for name in SCREENS), "TEXT1", "TEXT2"):
            node.constant(word, f"display.{word}")
        node.function("changescreen", self._show)
        node.function("settext", self._set_text)
        node.function("clear", lambda: self.texts.clear())

    def _show(self, screen: Any) -> None:
        if str(screen).removeprefix("display.SCREEN_") not in SCREENS:
            raise WRONG

    def _set_text(self, area: Any, text: Any) -> None:
        if as_word(area) not in TEXT_WIDTHS:
            raise WRONG
        self.texts[area] = str(text)[: TEXT_WIDTHS[area]]


def _switch(node: Node, path: str, owner: Any, name: str) -> None:
    """Declare an attribute that is trigger.ON or trigger.OFF, or 1 or 0."""

    def told(value: Any) -> None:
        states = {"trigger.ON": True, "trigger.OFF": False, 1: True, 0: False}
        if as_word(value) not in states:
            raise WRONG
        setattr(owner, name, states[value])

    node.on(path, get=lambda: "trigger.ON" if getattr(owner, name) else "trigger.OFF", set=told)


def _logic(line: DigitalLine) -> str:
    return f"trigger.LOGIC_{'POSITIVE' if line.mode.value == RISES else 'NEGATIVE'}"


def _set_logic(line: DigitalLine, value: Any) -> None:
    logics = {"trigger.LOGIC_POSITIVE": RISES, "trigger.LOGIC_NEGATIVE": FALLING}
    if as_word(value) not in logics:
        raise WRONG
    line.mode.value = logics[value]


def _edge(line: DigitalLine) -> str:
    names = {mode: name for name, mode in EDGES.items()}
    return f"trigger.EDGE_{names.get(line.mode.value, 'FALLING')}"


def _set_edge(line: DigitalLine, value: Any) -> None:
    edge = str(value).removeprefix("trigger.EDGE_")
    if edge not in EDGES:
        raise WRONG
    line.mode.value = EDGES[edge]
