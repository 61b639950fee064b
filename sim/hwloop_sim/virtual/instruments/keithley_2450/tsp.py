"""A Keithley 2450 in TSP; reference manual 2450-901-01, section 8.

Constants are their own names, as the instrument prints them; 0 and 1 stand for OFF and ON.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from typing_extensions import override

from hwloop_sim.virtual.circuit.smu import CURR, VOLT, SmuError
from hwloop_sim.virtual.instruments.keithley_2450.core import (
    BUFFERS,
    LEAST_ROWS,
    LIMITED,
    MOST_DELAY_S,
    MOST_ROWS,
    MOST_SWEEP_DELAY_S,
    OHM,
    OUTPUT_ON,
    QUESTIONABLE,
    READBACK,
    RES,
    USER_DELAYS,
    Buffer,
    Core,
    SourceSweep,
)
from hwloop_sim.virtual.instruments.keithley_2450.terminals import MODEL
from hwloop_sim.virtual.instruments.keithley_2450.tsp_triggers import Triggers2450
from hwloop_sim.virtual.languages.tsp import VirtualTspInstrument
from hwloop_sim.virtual.languages.tsp_tables import Node, TspError, as_number, as_word, within

ON, OFF = "smu.ON", "smu.OFF"
FUNCTIONS = {VOLT: "smu.FUNC_DC_VOLTAGE", CURR: "smu.FUNC_DC_CURRENT", RES: "smu.FUNC_RESISTANCE"}
OFF_MODES = {
    "NORM": "smu.OFFMODE_NORMAL",
    "ZERO": "smu.OFFMODE_ZERO",
    "HIMP": "smu.OFFMODE_HIGHZ",
    "GUAR": "smu.OFFMODE_GUARD",
}
SENSES = {False: "smu.SENSE_2WIRE", True: "smu.SENSE_4WIRE"}
TERMINALS = ("smu.TERMINALS_FRONT", "smu.TERMINALS_REAR")
WATT = "WATT"
UNITS = {f"smu.UNIT_{unit}": unit for unit in ("VOLT", "AMP", OHM, WATT)}
OWN_UNITS = {VOLT: "VOLT", CURR: "AMP", RES: OHM}
DEADLOCK = TspError(-214, "Trigger deadlock: the trigger model waits for what nothing makes")
SEVERITY_ERROR, SEVERITY_WARNING = 1.0, 2.0
OUT_OF_RANGE = TspError(-222, "Parameter data out of range")


class Keithley2450Tsp(VirtualTspInstrument):
    """The TSP names of a 2450, which act on its :class:`Core`."""

    model = "2450"
    no_error = "No error"
    ascii_precision = 0
    counts_anew = True
    """Whether ``eventlog.getcount`` counts from when it was last asked."""

    show_errors = ("showevents", tuple(range(8)))

    def __init__(self, *args: Any, core: Core, full_identity: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._core, self._smu = core, core.smu
        self._full_identity = full_identity
        self.line_hz = core.line_hz
        self._terminals = TERMINALS[0]
        self._counted: dict[int, int] = {}
        self._declare_constants()
        self._declare_source(self.root.node("smu.source"))
        self._declare_measure(self.root.node("smu.measure"))
        self._declare_buffers()
        self._declare_sweeps()
        self._declare_log()
        self._declare_timer()
        self.triggers = Triggers2450(self.root, core, self._clock)

    @property
    @override
    def identity(self) -> str:
        return self._full_identity

    @override
    def output_states(self) -> dict[str, bool]:
        return {"": self._smu.on}

    @override
    def reset(self) -> None:
        self._core.reset()
        self._terminals = TERMINALS[0]
        self.triggers.reset()

    @override
    def trigger(self) -> None:
        self.triggers.events.emit("trigger.EVENT_COMMAND")

    @override
    def wait_complete(self) -> None:
        model = self.triggers.model
        self._clock.advance_while_due(lambda: model.is_busy)
        if model.is_busy:
            raise DEADLOCK

    @override
    def device_clear(self) -> None:
        super().device_clear()
        self.triggers.model.abort()

    def _declare_constants(self) -> None:
        words = (ON, OFF, *FUNCTIONS.values(), *OFF_MODES.values(), *SENSES.values(), *TERMINALS)
        for word in (*words, "smu.RANGE_AUTO", "smu.RANGE_BEST", "smu.RANGE_FIXED"):
            self.root.constant(word, word)
        bits = {"OUTPUT": OUTPUT_ON, "LIMIT": LIMITED, "READBACK": READBACK, "SENSE": 64}
        for name, bit in (bits | {"QUESTIONABLE": QUESTIONABLE}).items():
            self.root.constant(f"buffer.STAT_{name}", float(bit))

    def _declare_source(self, node: Node) -> None:
        smu, core = self._smu, self._core
        self._word(
            node, "func", {f: FUNCTIONS[f] for f in (VOLT, CURR)}, lambda: smu.function,
            smu.set_function,
        )  # fmt: skip
        self._number(node, "level", lambda: smu.levels[smu.function], self._set_level)
        self._number(node, "range", lambda: smu.source_range[smu.function], self._set_source_range)
        self._flag(node, "autorange", lambda: smu.source_auto, lambda: smu.function)
        self._word(node, "offmode", OFF_MODES, lambda: smu.off_mode, smu.set_off_mode)
        self._word(
            node, "output", {False: OFF, True: ON}, lambda: smu.on, lambda on: smu.switch(on=on)
        )
        for name, function in (("ilimit", VOLT), ("vlimit", CURR)):
            self._declare_limit(node.node(name), function)
        self._number(node, "delay", lambda: core.now.delay_s[smu.function], self._set_delay)
        self._flag(node, "autodelay", lambda: core.now.delay_auto, lambda: smu.function)
        self._flag(node, "readback", lambda: core.now.readback, lambda: smu.function)
        self._word(
            node, "highc", {False: OFF, True: ON}, lambda: core.now.highc,
            lambda on: setattr(core.now, "highc", on),
        )  # fmt: skip
        for n in USER_DELAYS:
            self._declare_user_delay(node, n)

    def _declare_user_delay(self, node: Node, n: int) -> None:
        core, smu = self._core, self._smu

        def told(delay_s: float) -> None:
            core.now.user_delay_s[smu.function, n] = within(delay_s, 0, MOST_DELAY_S)

        self._number(
            node, f"userdelay[{n}]", lambda: core.now.user_delay_s.get((smu.function, n), 0.0), told
        )

    def _declare_limit(self, node: Node, function: str) -> None:
        smu = self._smu
        self._number(
            node, "level", lambda: smu.limits[function], lambda v: smu.set_limit(function, v)
        )

        def tripped() -> str | None:
            if smu.function != function:
                return None
            return ON if smu.limited else OFF

        node.on("tripped", get=tripped)

    def _declare_measure(self, node: Node) -> None:
        smu, core = self._smu, self._core
        self._word(
            node, "func", FUNCTIONS, lambda: core.now.measures,
            lambda f: setattr(core.now, "measures", f),
        )  # fmt: skip
        self._number(
            node, "range", lambda: smu.measure_range[core.measured_range()],
            lambda v: smu.set_measure_range(core.measured_range(), v),
        )  # fmt: skip
        self._flag(node, "autorange", lambda: smu.measure_auto, core.measured_range)
        self._word(
            node, "autorangerebound", {False: OFF, True: ON}, lambda: smu.rebound,
            lambda on: setattr(smu, "rebound", on),
        )  # fmt: skip
        self._number(
            node, "autorangelow", lambda: smu.lowest[core.measured_range()],
            lambda v: smu.set_lowest(core.measured_range(), v),
        )  # fmt: skip
        self._number(node, "nplc", lambda: core.now.nplc, self._setting("nplc", 0.01, 10))
        self._number(node, "count", lambda: core.now.count, self._setting("count", 1, 300_000))
        self._word(
            node, "sense", SENSES, lambda: core.now.four_wire,
            lambda on: setattr(core.now, "four_wire", on),
        )  # fmt: skip
        self._word(
            node, "autozero.enable", {False: OFF, True: ON}, lambda: core.now.autozero,
            lambda on: setattr(core.now, "autozero", on),
        )  # fmt: skip
        node.function("autozero.once", lambda: None)
        node.function("read", self._read)
        for place in (self.root.node("smu"), node):  # its old name is smu.measure.terminals
            self._word(
                place, "terminals", {t: t for t in TERMINALS},
                lambda: self._terminals, lambda t: setattr(self, "_terminals", t),
            )  # fmt: skip
        self._word(
            node, "offsetcompensation", {False: OFF, True: ON},
            lambda: core.now.offset_compensated,
            lambda on: setattr(core.now, "offset_compensated", on),
        )  # fmt: skip
        for unit in UNITS:
            self.root.constant(unit, unit)
        node.on("unit", get=self._unit, set=self._set_unit)

    def _unit(self) -> str:
        measures = self._core.now.measures
        short = self._core.now.units.get(measures, OWN_UNITS[measures])
        return next(word for word, unit in UNITS.items() if unit == short)

    def _set_unit(self, word: Any) -> None:
        """Set the unit of readings, of those that the quantity may be shown in (topic *unit*)."""
        measures, unit = self._core.now.measures, UNITS.get(as_word(word), "")
        own = OWN_UNITS[measures]
        if unit != own and (unit not in (OHM, WATT) or measures == RES):
            raise TspError(1130, "Parameter, expected one of its constants")
        self._core.now.units.pop(measures, None)
        if unit != own:
            self._core.now.units[measures] = unit

    def _declare_buffers(self) -> None:
        for name in BUFFERS:
            self.root.attach(name, self._core.buffers[name])
        node = self.root.node("buffer")
        node.function("make", _made)
        node.function("clearstats", lambda *_: None)

    def _declare_sweeps(self) -> None:
        source = self.root.node("smu.source")
        source.function("sweeplinear", lambda *a: self._spaced(np.linspace, *a))
        source.function("sweeplog", lambda *a: self._spaced(np.geomspace, *a))
        self.root.function("trigger.model.initiate", self._initiate)
        self.root.function("smu.reset", self._core.reset)

    def _declare_timer(self) -> None:
        timer = self.root.node("timer")
        timer.function("cleartime", self._restart_timer)
        timer.function("gettime", lambda: self._clock.now_s - self._timer_s)

    def _declare_log(self) -> None:
        log = self.root.node("eventlog")
        log.constant("SEV_ERROR", SEVERITY_ERROR)
        log.constant("SEV_WARN", SEVERITY_WARNING)
        log.constant("SEV_INFO", 4.0)
        log.constant("SEV_ALL", 7.0)
        log.function("next", self._next_event)
        log.function("getcount", self._count)
        log.function("clear", self._clear)

    def _clear(self) -> None:
        self.errors.clear()
        self._smu.warnings.clear()
        self._counted = {}

    def _count(self, severity: Any = 7.0) -> float:
        """Count the unread events; with ``counts_anew`` only those since it was last asked.

        The topic *eventlog.getcount()* says both: unread, and since the command was last sent.
        """
        wanted = int(as_number(severity))
        count = 0
        for bit, events in ((1, self.errors), (2, self._smu.warnings)):
            if wanted & bit:
                before = self._counted.get(bit, 0) if self.counts_anew else 0
                count += max(len(events) - before, 0)
                self._counted[bit] = len(events)
        return float(count)

    def _next_event(self, severity: Any = 7.0) -> tuple[Any, ...]:
        """Take the oldest event: code, text, severity, node, seconds, nanoseconds."""
        wanted = int(as_number(severity))
        if wanted & 2 and self._smu.warnings and not (wanted & 1 and self.errors):
            event = self._smu.warnings.popleft()
            self._counted[2] = max(self._counted.get(2, 0) - 1, 0)
            return event.code, event.text, SEVERITY_WARNING, 1.0, 0.0, 0.0
        if not wanted & 1:
            return 0.0, self.no_error, 0.0, 0.0, 0.0, 0.0
        code, text, _, node = self.next_error()
        self._counted[1] = max(self._counted.get(1, 0) - 1, 0)
        return code, text, SEVERITY_ERROR if code else 0.0, node if code else 0.0, 0.0, 0.0

    def _read(self, buffer: Any = None) -> float:
        used = self._core.buffers[BUFFERS[0]] if buffer is None else buffer
        if not isinstance(used, Buffer):
            raise TspError(1133, "Parameter 1, Syntax error, expected valid name parameters")
        return self._core.read(used)

    def _spaced(self, space: Callable[..., Any], _name: Any, *given: Any) -> None:
        """Define a sweep over evenly spaced levels.

        Arguments: start, stop, points[, delay[, count[, range type[, fail abort[, dual[,
        buffer]]]]]].
        """
        start, stop, points = (as_number(v) for v in (*given, None, None, None)[:3])
        levels = [float(v) for v in space(start, stop, int(within(points, 2, 1e6)))]
        for level in levels:
            within(abs(level), 0, MODEL.most(self._smu.function))
        delay_s = within(as_number((*given[3:4], 0.0)[0]), 0, MOST_SWEEP_DELAY_S)
        count = int(within(as_number((*given[4:5], 1)[0]), 1, 1e6))
        fail_abort = (*given[6:7], ON)[0] in {ON, 1}
        if (*given[7:8], OFF)[0] in {ON, 1}:
            levels += levels[-2::-1]
        self.triggers.model.clear()
        self._core.sweep = SourceSweep(self._smu.function, levels, delay_s, count, fail_abort)

    def _initiate(self) -> None:
        try:
            if self._core.sweep is not None or not self.triggers.initiate():
                self._core.run()
        except SmuError:
            raise OUT_OF_RANGE from None

    def _setting(self, name: str, lowest: float, highest: float) -> Callable[[float], None]:
        def told(value: float) -> None:
            kept = within(value, lowest, highest)
            setattr(self._core.now, name, int(kept) if name == "count" else kept)

        return told

    def _set_level(self, level: float) -> None:
        self._smu.set_level(self._smu.function, level)

    def _set_source_range(self, value: float) -> None:
        self._smu.set_source_range(self._smu.function, value)

    def _set_delay(self, delay_s: float) -> None:
        now = self._core.now
        now.delay_s[self._smu.function] = within(delay_s, 0, MOST_DELAY_S)
        now.delay_auto[self._smu.function] = False

    def _number(
        self, node: Node, path: str, get: Callable[[], float], told: Callable[[float], None]
    ) -> None:
        def checked(value: Any) -> None:
            try:
                told(as_number(value))
            except SmuError:
                raise OUT_OF_RANGE from None

        node.on(path, get=lambda: float(get()), set=checked)

    def _word(
        self,
        node: Node,
        path: str,
        words: dict[Any, str],
        get: Callable[[], Any],
        told: Callable[[Any], None],
    ) -> None:
        """Declare an attribute that is one of the constants; ON and OFF are 1 and 0 as well."""
        values = {word: key for key, word in words.items()}
        if OFF in values:
            values |= {0: False, 1: True}  # type: ignore[dict-item]

        def checked(value: Any) -> None:
            if isinstance(value, list) or value not in values:
                raise TspError(1130, "Parameter, expected one of its constants")
            told(values[value])

        node.on(path, get=lambda: words[get()], set=checked)

    def _flag(
        self,
        node: Node,
        path: str,
        flags: Callable[[], dict[str, bool]],
        function: Callable[[], str],
    ) -> None:
        self._word(
            node, path, {False: OFF, True: ON}, lambda: flags()[function()],
            lambda on: flags().update({function(): on}),
        )  # fmt: skip


def _made(size: Any, *_style: Any) -> Buffer:
    """Return the new buffer of ``buffer.make``."""
    return Buffer(int(within(as_number(size), LEAST_ROWS, MOST_ROWS)))
