"""One channel of a virtual Keithley 2600B: its source, around its meter."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from hwloop_sim.virtual.circuit.circuit import Circuit
from hwloop_sim.virtual.circuit.clock import BenchClock
from hwloop_sim.virtual.circuit.settling import LastStep
from hwloop_sim.virtual.instruments.keithley_2600b.meter import OVER, Meter, Probe, fitting
from hwloop_sim.virtual.instruments.keithley_2600b.models import ChannelModel
from hwloop_sim.virtual.languages.tsp_tables import Cell, Node, TspError, as_number, within

DC_AMPS, DC_VOLTS = 0.0, 1.0
OFF, ON, HIGH_Z = 0.0, 1.0, 2.0
LEAST_A = 1e-15  # of a current source: one of 0 A leaks
TOO_BIG_FOR_RANGE = (5005, "Value too big for range")
UNSAFE = (5007, "Operation would exceed safe operating area of the instrument")


class SourceMeasureChannel:
    """Volts or amperes out, volts and amperes in; declares its names in ``node``."""

    def __init__(
        self,
        node: Node,
        output: str,
        model: ChannelModel,
        *,
        circuit: Circuit,
        clock: BenchClock,
        noise: np.random.Generator | None,
        line_hz: float,
    ) -> None:
        self.node, self._output, self._model = node, output, model
        self._circuit = circuit
        self._event, self._limit_a = 0, model.limit_a
        self._level: dict[str, float] = {}
        self._range: dict[str, float] = {}
        self._step = LastStep(output, circuit, clock)
        self._ranges = {"v": model.ranges_v, "i": model.ranges_a}
        most_v = model.ranges_v[-1]
        self._source = {
            "func": Cell(DC_VOLTS, choices=(DC_AMPS, DC_VOLTS), after=self._drive),
            "output": Cell(OFF, choices=(OFF, ON, HIGH_Z), after=self._switch),
            "offmode": Cell(0, choices=(0, 1, 2), after=self._drive),
            "offfunc": Cell(DC_VOLTS, choices=(DC_AMPS, DC_VOLTS)),
            "offlimiti": Cell(1e-3, lowest=model.least_limit_a, highest=1e-3, after=self._drive),
            "offlimitv": Cell(most_v, lowest=0.1 * model.ranges_v[0], highest=most_v),
            "limitv": Cell(model.limit_v, lowest=0.1 * model.ranges_v[0], highest=most_v * OVER),
            "autorangev": Cell(1, choices=(0, 1)),
            "autorangei": Cell(1, choices=(0, 1)),
            "delay": Cell(0, lowest=-1),
            "settling": Cell(0, choices=(0, 1, 2, 3, 4)),
            "sink": Cell(0, choices=(0, 1)),
            "highc": Cell(0, choices=(0, 1)),
        }
        self.meter = Meter(
            node,
            Probe(
                lambda: circuit.read(output),  # looked up anew: a test may break it
                self._complies,
                self._sourced,
                self._step,
                lambda: self.limit_a,
            ),
            model,
            clock=clock,
            noise=noise,
            line_hz=line_hz,
        )
        self._set_defaults()
        self._declare()
        self._drive()

    def trip(self) -> None:
        """Switch the output off, as an interlock does."""
        self._source["output"].value = OFF
        self._drive()

    @property
    def is_on(self) -> bool:
        """Return whether the output is on."""
        return self._source["output"].value == ON

    @property
    def function(self) -> float:
        """Return the sourced quantity: DC_AMPS or DC_VOLTS."""
        return self._source["func"].value

    @property
    def limit_a(self) -> float:
        """Return the current limit while it sources volts."""
        return self._limit_a

    @property
    def source_auto(self) -> bool:
        """Return whether the source range follows the level."""
        return bool(self._source["autorangev"].value)

    def in_range(self, *levels_v: float) -> bool:
        """Return whether the present range can source these voltages."""
        return all(abs(level_v) <= self._range["v"] * OVER for level_v in levels_v)

    def can_limit(self, limit_a: float) -> bool:
        """Return whether the present range allows this current limit."""
        most_a = self._model.envelope_a.get(self._range["v"], self._model.ranges_a[-1])
        return self._model.least_limit_a <= limit_a <= most_a

    def reset(self) -> None:
        """Reset the channel to its state at power-on."""
        for cell in self._source.values():
            cell.reset()
        self.meter.reset()
        self._set_defaults()
        self._drive()

    def saved(self) -> dict[str, Any]:
        """Return the settings that ``setup.save()`` keeps: all but whether the output is on."""
        cells = {name: cell.value for name, cell in self._source.items() if name != "output"}
        kept = {"level": dict(self._level), "range": dict(self._range), "limit_a": self._limit_a}
        return {"cells": cells, "meter": self.meter.saved()} | kept

    def recall(self, saved: dict[str, Any]) -> None:
        """Reset the channel, and set it as it was saved; the output is off."""
        self.reset()
        for name, value in saved["cells"].items():
            self._source[name].value = value
        self._level, self._range = dict(saved["level"]), dict(saved["range"])
        self._limit_a = saved["limit_a"]
        self.meter.recall(saved["meter"])
        self._drive()

    def set_level(self, value: Any) -> None:
        """Set the voltage level of the source."""
        self._set_source("v", value)

    def set_limit(self, value: Any) -> None:
        """Set the current limit while volts are sourced."""
        model = self._model
        limit_a = within(as_number(value), model.least_limit_a, model.ranges_a[-1] * OVER)
        if limit_a > self._most_a(self._range["v"]):
            raise TspError(*UNSAFE)
        self._limit_a = limit_a
        self._drive()

    def condition(self) -> float:
        """Return the measurement status: bit 0 the voltage limit, bit 1 the current limit."""
        if not self._complies():
            return 0.0
        return 2.0 if self.function == DC_VOLTS else 1.0

    def take_event(self) -> float:
        """Return the measurement events since the last call, with the bits of the condition."""
        event, self._event = self._event, 0
        return float(event)

    def _latch(self) -> None:
        self._event |= int(self.condition())

    def _set_defaults(self) -> None:
        self._event = 0
        self._level = {"v": 0.0, "i": 0.0}
        self._range = {axis: self._ranges[axis][0] for axis in "vi"}
        self._limit_a = self._model.limit_a

    def _declare(self) -> None:
        node, source = self.node, self.node.node("source")
        for name, cell in self._source.items():
            source.on(name, get=cell.get, set=cell.set)
        for axis in "vi":
            source.on(
                f"level{axis}",
                get=partial(self._get_source, axis),
                set=partial(self._set_source, axis),
            )
            source.on(
                f"range{axis}",
                get=partial(self._get_source_range, axis),
                set=partial(self._set_source_range, axis),
            )
        source.on("limiti", get=lambda: self._limit_a, set=self.set_limit)
        source.on("compliance", get=self._complies)
        node.function("reset", self.reset)
        node.function("abort", self.meter.abort)
        node.constants(OUTPUT_DCAMPS=DC_AMPS, OUTPUT_DCVOLTS=DC_VOLTS)
        node.constants(OUTPUT_OFF=OFF, OUTPUT_ON=ON, OUTPUT_HIGH_Z=HIGH_Z)
        node.constants(OUTPUT_NORMAL=0, OUTPUT_ZERO=1, ENABLE=1, DISABLE=0)
        node.constants(AUTORANGE_OFF=0, AUTORANGE_ON=1, AUTORANGE_FOLLOW_LIMIT=2)

    def _sourced(self) -> float:
        return self._level["v" if self.function == DC_VOLTS else "i"]

    def _get_source(self, axis: str) -> float:
        return self._level[axis]

    def _get_source_range(self, axis: str) -> float:
        return self._range[axis]

    def _set_source(self, axis: str, value: Any) -> None:
        level = as_number(value)
        ranges = self._ranges[axis]
        if abs(level) > ranges[-1] * OVER:
            raise TspError(1101, "Parameter too big")
        if self._source[f"autorange{axis}"].value:
            wanted = next(r for r in ranges if abs(level) <= r * OVER)
            if axis == "v" and self._limit_a > self._most_a(wanted):
                raise TspError(*UNSAFE)
            self._range[axis] = wanted
        elif self.is_on and self._sources(axis) and abs(level) > self._range[axis] * OVER:
            raise TspError(*TOO_BIG_FOR_RANGE)
        self._level[axis] = level
        self._drive()

    def _sources(self, axis: str) -> bool:
        return (axis == "v") == (self.function == DC_VOLTS)

    def _switch(self) -> None:
        """Switch the output; a level beyond a locked range keeps it off, and is an error only now.

        Topic *Range considerations*: "no error until the output is turned on".
        """
        axis = "v" if self._sources("v") else "i"
        if self.is_on and abs(self._level[axis]) > self._range[axis] * OVER:
            self._source["output"].value = OFF
            self._drive()
            raise TspError(*TOO_BIG_FOR_RANGE)
        self._drive()

    def _set_source_range(self, axis: str, value: Any) -> None:
        wanted = fitting(abs(as_number(value)), self._ranges[axis])
        if abs(self._level[axis]) > wanted * OVER:
            raise TspError(*TOO_BIG_FOR_RANGE)
        if axis == "v" and self._limit_a > self._most_a(wanted):
            raise TspError(*UNSAFE)
        self._range[axis] = wanted
        self._source[f"autorange{axis}"].value = 0.0

    def _most_a(self, range_v: float) -> float:
        return self._model.envelope_a.get(range_v, self._model.ranges_a[-1]) * OVER

    def _drive(self) -> None:
        self._step.note()
        state = self._source["output"].value
        if state == ON and self.function == DC_VOLTS:
            self._circuit.drive(self._output, volts=self._level["v"], limit_a=self._limit_a)
        elif state == ON:
            # A current source is a voltage source at its voltage limit, limited to the current.
            level_a = self._level["i"]
            volts = math.copysign(self._source["limitv"].value, level_a)
            self._circuit.drive(self._output, volts=volts, limit_a=max(abs(level_a), LEAST_A))
        elif state == HIGH_Z or self._source["offmode"].value == HIGH_Z:
            self._circuit.drive(self._output, volts=None, on=False)
        else:
            # Off, it holds 0 V within the off limit.
            limit_a = self._source["offlimiti"].value
            self._circuit.drive(self._output, volts=0.0, limit_a=limit_a, on=False)
        self._latch()

    def _complies(self) -> bool:
        if not self.is_on:
            return False
        limited = self._circuit.sense(self._output).limited
        return limited if self.function == DC_VOLTS else not limited
