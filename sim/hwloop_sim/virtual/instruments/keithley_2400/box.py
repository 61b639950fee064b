"""A Keithley 2400 SourceMeter.

Commands after its user's manual, 2400S-900-01; the pages in the code are its. The measurement range
in use limits the output (range compliance: 6-2), and an automatic range changes only with a reading
(auto range change mode SINGle: 18-113). A reading lasts its integration time for each function that
is measured, three times as long while autozero is on. After a reset the source waits 1 ms before a
reading (auto delay).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from typing_extensions import override

from hwloop_sim.virtual.circuit.smu import CURR, OTHER, OVERFLOW, SAME, VOLT, Smu, SmuReading
from hwloop_sim.virtual.instruments.keithley_2400.models import MODELS
from hwloop_sim.virtual.instruments.keithley_2400.system import SystemCommands, Timestamp
from hwloop_sim.virtual.instruments.keithley_2400.timing import (
    CONVERSION_S,
    LATENCY_S,
    SET_SOURCE_S,
    conversions_s,
    firmware_s,
)
from hwloop_sim.virtual.instruments.keithley_2400.trace import Trace
from hwloop_sim.virtual.instruments.keithley_2400.triggers import MOST_POINTS, TriggerModel
from hwloop_sim.virtual.languages.scpi import (
    OUT_OF_RANGE,
    Arguments,
    ScpiError,
    scientific,
)
from hwloop_sim.virtual.languages.scpi_smu import (
    FORMS,
    OFF_MODES,
    ScpiSmu,
    function_of,
    refuse_unless,
    sense_function,
)

LIST_LINE = 100
AUTO_DELAY_S = 1e-3
NOT_A_NUMBER = 9.91e37
ELEMENTS = {"VOLT": 0, "CURR": 1, "RES": 2, "TIME": 3, "STAT": 4}
ELEMENT_FORMS = ("VOLTage", "CURRent", "RESistance", "TIME", "STATus")
RES = "RES"
LIMITS = {VOLT: 21.0, CURR: 1.05e-4}  # after *RST: 18-67
LEAST_OF_RANGE = 1e-3
DRIFT_OF_RANGE_PER_S = 1e-7
"""Drift of a zero that is not measured again; assumed, the manual has no figure (3-10)."""
OTHER_ZERO_OF_RANGE = 1e-4
"""Offset with the zero of another integration time; assumed too."""
SENSE_FORMS = {VOLT: "VOLTage[:DC]", CURR: "CURRent[:DC]", RES: "RESistance"}
NAMES = {VOLT: '"VOLT:DC"', CURR: '"CURR:DC"', RES: '"RES"'}
OVER_RANGE, COMPLIANCE, RANGE_COMPLIANCE = 1 << 0, 1 << 3, 1 << 16  # of a reading: 18-50
READING_AVAILABLE, BUFFER_FULL, AT_COMPLIANCE = 1 << 6, 1 << 9, 1 << 14


class Keithley2400(ScpiSmu):
    """One output, named as the instrument; ``model``: one of :data:`MODELS`, a 2400 if left out."""

    def __init__(self, *args: Any, settings: Any, **kwargs: Any) -> None:
        super().__init__(*args, settings=settings, **kwargs)
        self._line_hz = float(settings.get("line_frequency_hz", 50.0))
        model = str(settings.get("model") or "2400")
        self.identity = (
            f"KEITHLEY INSTRUMENTS INC.,MODEL {model},0000000,C32   Oct  4 2010 14:20:11/A02  /K/J"
        )
        self._smu = Smu(self._name, MODELS[model], self._circuit, self._clock, self._noise)
        range_v = 20.0 if 20.0 in self._smu.model.ranges_v else 10.0  # of a 2440: 18-64
        self._ranges_after_reset = {VOLT: range_v, CURR: 1e-4}  # 18-63
        self._trace, self._timestamp = Trace(self), Timestamp(self._clock)
        self._triggers = TriggerModel(self._clock)
        self._add_source()
        self._add_sense()
        self._add_filter()
        self._add_output()
        self._add_triggers()
        self._add_panel()
        self.reset()

    @override
    def output_states(self) -> dict[str, bool]:
        return {"": self._smu.on}

    @override
    def trip(self) -> None:
        self._smu.switch(on=False)

    @override
    def reset(self) -> None:
        ranges = self._ranges_after_reset
        self._smu.reset(
            range_v=ranges[VOLT], range_a=ranges[CURR], limit_a=LIMITS[CURR], limit_v=LIMITS[VOLT]
        )
        self._zero = 1.0, self._clock.now_s  # when a zero was measured, and with what NPLC
        self._lists: dict[str, list[float]] = {VOLT: [], CURR: []}
        self._modes, self._sweep_range = {VOLT: "FIX", CURR: "FIX"}, "BEST"
        self._delay_s, self._delay_auto, self._nplc = 0.0, True, 1.0
        self._triggers.reset()
        self._functions, self._concurrent = {CURR}, True
        self._averaging, self._average_count, self._autozero = False, 10, True
        self._elements = list(ELEMENTS)
        self._readings: list[str] = []
        self._cycled_s, self._restarts = -math.inf, False
        self._trace.reset()
        self.reset_kept()

    @override
    def condition(self, register: str) -> int:
        if register != "MEAS":
            return 0
        full = BUFFER_FULL if self._trace.full else 0
        return full | (AT_COMPLIANCE if self._smu.limited else 0)

    def _add_source(self) -> None:
        self.on(
            ":SOURce[1]:FUNCtion[:MODE]",
            set=lambda a: self._smu.set_function(function_of(a)),
            get=lambda _: self._smu.function,
        )
        for function, form in FORMS.items():
            self._add_source_of(function, f":SOURce[1]:{form}")
        self.on(":SOURce[1]:DELay", set=self._set_delay, get=lambda _: scientific(self._delay()))
        self.flag_at(":SOURce[1]:DELay:AUTO", "_delay_auto")
        self.switch_kept(":SOURce[1]:CLEar:AUTO", on=False)
        self.on(
            ":SOURce[1]:SWEep:RANGing",
            set=lambda a: setattr(self, "_sweep_range", a.choice("BEST", "AUTO", "FIXed")),
            get=lambda _: self._sweep_range,
        )

    def _add_source_of(self, function: str, header: str) -> None:
        self.add_source(header, function, self._smu)
        self.on(
            f"{header}:MODE",
            set=lambda a: self._modes.update({function: a.choice("FIXed", "LIST")}),
            get=lambda _: self._modes[function],
        )
        self.add_list(
            f":SOURce[1]:LIST:{FORMS[function]}",
            function,
            self._smu,
            lambda: self._lists,
            line=LIST_LINE,
            most=MOST_POINTS,
            any_range=True,
        )

    def _add_sense(self) -> None:
        for function in (VOLT, CURR):
            self._add_sense_of(function, f":SENSe[1]:{SENSE_FORMS[function]}")
        for form in SENSE_FORMS.values():
            header = f":SENSe[1]:{form}:NPLCycles"
            self.number_at(header, "_nplc", lowest=0.01, highest=10, default=1.0)
        self.keep(":SENSe[1]:RESistance:MODE", "AUTO", "AUTO", "MANual")
        self.keep(":SENSe[1]:RESistance:RANGe[:UPPer]", "210000")
        self.switch_kept(":SENSe[1]:RESistance:RANGe:AUTO", on=True)
        self.on(":SENSe[1]:FUNCtion[:ON]", set=self._sense_on, get=lambda _: self._sensed())
        self.on(":SENSe[1]:FUNCtion:OFF", set=self._sense_off)
        self.on(":SENSe[1]:FUNCtion:OFF:ALL", set=lambda _: self._functions.clear())
        self.on(":SENSe[1]:FUNCtion[:ON]:ALL", set=lambda _: self._sense_all())
        self.flag_at(":SENSe[1]:FUNCtion:CONCurrent", "_concurrent")

    def _add_sense_of(self, function: str, header: str) -> None:
        sourced = CURR if function == VOLT else VOLT  # whose compliance this is
        self.on(f"{header}:PROTection[:LEVel]", set=lambda a: self._set_limit(sourced, a))
        self.add_limit(f"{header}:PROTection[:LEVel]", sourced, self._smu)
        self.on(f"{header}:PROTection:TRIPped", get=lambda _: str(int(self._smu.limited)))
        self.on(
            f"{header}:RANGe[:UPPer]", set=lambda a: self._set_measure_range(function, a)
        )  # before the usual one, whose question remains
        self.add_measure_range(header, function, self._smu)

    def _set_limit(self, sourced: str, arguments: Arguments) -> None:
        """Set a compliance; none below 0.1 % of the measurement range in use: 18-68."""
        smu, limited = self._smu, OTHER[sourced]
        most = smu.model.most(limited)
        value = arguments.number(lowest=-most, highest=most, default=LIMITS[limited])
        if abs(value) < LEAST_OF_RANGE * smu.measure_range[limited] * (1 - SAME):
            raise ScpiError(*OUT_OF_RANGE)
        smu.set_limit(sourced, value)

    def _set_measure_range(self, function: str, arguments: Arguments) -> None:
        """Lock a measurement range; none above that of the compliance: 18-62, note 3."""
        smu = self._smu
        most = smu.model.ranges(function)[-1] * smu.model.over
        value = arguments.number(lowest=-most, highest=most)
        highest = smu.limit_range(smu.function)
        if function == OTHER[smu.function] and smu.model.range_for(function, value) > highest:
            raise ScpiError(*OUT_OF_RANGE)
        smu.set_measure_range(function, value)

    def _add_filter(self) -> None:
        self.flag_at(":SENSe[1]:AVERage[:STATe]", "_averaging")
        self.on(
            ":SENSe[1]:AVERage:COUNt",
            set=self._set_average_count,
            get=lambda _: str(self._average_count),
        )
        self.keep(":SENSe[1]:AVERage:TCONtrol", "REP", "REPeat", "MOVing")
        self.on(
            ":SYSTem:AZERo[:STATe]",
            set=self._set_autozero,
            get=lambda _: str(int(self._autozero)),
        )

    def _add_output(self) -> None:
        self.add_switch(":OUTPut[1]", self._smu)
        self.on(
            ":OUTPut[1]:SMODe",
            set=lambda a: self._smu.set_off_mode(a.choice(*OFF_MODES)),
            get=lambda _: self._smu.off_mode,
        )
        self.on(":FORMat:ELEMents[:SENSe[1]]", set=self._set_elements, get=self._get_elements)
        self.keep(":FORMat[:DATA]", "ASC", "ASCii")
        self.switch_kept(":SYSTem:RSENse", on=False)

    def _add_triggers(self) -> None:
        self._triggers.add_commands(self)
        self.on(":TRIGger:CLEar", set=lambda _: None)
        self.on(":ABORt", set=lambda _: setattr(self._triggers, "waiting", False))
        self.on("*TRG", set=lambda _: self._trigger())
        self.on(":INITiate[:IMMediate]", set=lambda _: self._initiate())
        self.on(":READ", get=lambda _: self._read())
        self.on(":FETCh", get=lambda _: ",".join(self._readings))
        self._add_configure()
        self._trace.add_commands()

    def _add_configure(self) -> None:
        self.on(":CONFigure", get=lambda _: self._sensed())
        self.on(":MEASure", get=lambda _: self._measure_one(next(iter(self._functions), CURR)))
        for function, form in SENSE_FORMS.items():
            self.on(f":CONFigure:{form}", set=lambda _, f=function: self._configure(f))  # type: ignore[misc]
            self.on(f":MEASure:{form}", get=lambda _, f=function: self._measure_one(f))  # type: ignore[misc]

    def _add_panel(self) -> None:
        self.keep(":ROUTe:TERMinals", "FRON", "FRONt", "REAR")
        self.on(":SYSTem:LFRequency", set=self._set_line_hz, get=lambda _: f"{self._line_hz:g}")
        self.switch_kept(":SYSTem:LFRequency:AUTO", on=True)
        self.switch_kept(":DISPlay:ENABle", on=True)
        self.keep_whole(":SOURce2:TTL[:LEVel]", "15", 0, 15)
        self.keep_whole(":SOURce2:BSIZe", "4", 3, 4)
        said = self._circuit.unmodelled
        SystemCommands(
            self, self._smu, self._timestamp, lambda text: said.append(f"{self._name}: {text}")
        )
        self.flag_at(":SYSTem:TIME:RESet:AUTO", "_restarts")

    def _set_line_hz(self, arguments: Arguments) -> None:
        wanted = arguments.number()
        refuse_unless(holds=wanted in {50.0, 60.0})
        self._line_hz, self._kept[":SYSTem:LFRequency:AUTO"] = wanted, "0"

    def _set_delay(self, arguments: Arguments) -> None:
        self._delay_s = arguments.number(lowest=0, highest=999.9999, default=0.0)  # 18-82
        self._delay_auto = False

    def _delay(self) -> float:
        return AUTO_DELAY_S if self._delay_auto else self._delay_s

    def _set_average_count(self, arguments: Arguments) -> None:
        self._average_count = int(arguments.number(lowest=1, highest=100, default=10))

    def _set_autozero(self, arguments: Arguments) -> None:
        if arguments.text().upper() != "ONCE":
            self._autozero = arguments.boolean()
            return
        self._clock.advance(2 * (self._nplc / self._line_hz + CONVERSION_S))
        self._zero = self._nplc, self._clock.now_s

    def _sense_on(self, arguments: Arguments) -> None:
        wanted = {sense_function(word) for word in arguments.values}
        refuse_unless(holds=bool(wanted))
        self._functions = self._functions | wanted if self._concurrent else wanted

    def _sense_off(self, arguments: Arguments) -> None:
        self._functions -= {sense_function(word) for word in arguments.values}

    def _sense_all(self) -> None:
        self._functions = set(SENSE_FORMS)

    def _sensed(self) -> str:
        return ",".join(NAMES[name] for name in NAMES if name in self._functions) or '""'

    def _set_elements(self, arguments: Arguments) -> None:
        words = [Arguments((value,)).choice(*ELEMENT_FORMS) for value in arguments.values]
        refuse_unless(holds=bool(words))
        self._elements = sorted(set(words), key=lambda word: ELEMENTS[word])

    def _get_elements(self, _: Arguments) -> str:
        return ",".join(self._elements)

    def _initiate(self) -> None:
        if not self._smu.on:
            raise ScpiError(803, "Not permitted with OUTPUT off")
        self._readings = []
        self._triggers.waiting = self._triggers.waits
        if not self._triggers.waiting:
            self._run_sweep()

    def _trigger(self) -> None:
        """Obey a trigger over the bus, if an arm layer waits for it."""
        triggers = self._triggers
        if triggers.waiting and triggers.sources == {"ARM": "BUS", "TRIG": "IMM"}:
            triggers.waiting = False
            self._run_sweep()

    def _read(self) -> str | None:
        """Return the readings; None while a layer waits: the answer does not come."""
        self._initiate()
        return None if self._triggers.waiting else ",".join(self._readings)

    def _measure_one(self, function: str) -> str | None:
        self._configure(function)
        return self._read()

    def _configure(self, function: str) -> None:
        """Reset what belongs to a measured function, and turn the output on: 17-2, 17-3."""
        smu = self._smu
        self._functions = {function}
        if function != RES:
            smu.measure_auto[function] = True
            smu.measure_range[function] = self._ranges_after_reset[function]
            smu.limits[OTHER[function]] = LIMITS[function]
        self._nplc, self._averaging, self._autozero = 1.0, False, True
        self._triggers.reset()
        self._trace.stop()
        smu.switch(on=True)

    def _run_sweep(self) -> None:
        if self._restarts:  # leaving idle: 18-113
            self._timestamp.restart()
        source = self._smu.function
        values = self._lists[source] if self._modes[source] == "LIST" else []
        before = self._smu.source_range[source], self._smu.source_auto[source]
        self._take_sweep_range(values)
        for n in self._triggers.cycles():
            self._cycle(values[n % len(values)] if values else None)
        if values:
            self._smu.source_range[source], self._smu.source_auto[source] = before
        self.status.registers["MEAS"].latch(READING_AVAILABLE | self.condition("MEAS"))

    def _take_sweep_range(self, values: Sequence[float]) -> None:
        """Choose the source range of a sweep: 18-83."""
        if not values or self._sweep_range == "FIX":
            return
        smu = self._smu
        smu.source_auto[smu.function] = self._sweep_range == "AUTO"
        smu.source_range[smu.function] = max(
            smu.model.range_for(smu.function, value) for value in values
        )

    def _cycle(self, level: float | None) -> None:
        """Make one cycle of source, delay and measurement; ``level`` None: the source stays."""
        smu = self._smu
        functions = self._measured_functions()
        if level is not None:
            most = smu.source_range[smu.function] * smu.model.over
            if not smu.source_auto[smu.function]:
                level = min(max(level, -most), most)  # 18-83: the largest of the range
            smu.set_level(smu.function, level)
            self._clock.advance(SET_SOURCE_S + self._delay())
        else:
            self._clock.advance(LATENCY_S[self._autozero])
            if smu.changed_s > self._cycled_s:  # the delay is omitted for a source that stays
                self._clock.advance(self._delay())
        self._latch_limits()
        self._readings.append(self._reading())
        self._trace.store(self._readings[-1])
        if level is not None:
            self._clock.advance(
                firmware_s(functions, autozero=self._autozero, sources_volts=smu.function == VOLT)
            )
            self._latch_limits()
        self._cycled_s = self._clock.now_s

    def _latch_limits(self) -> None:
        self.status.registers["MEAS"].latch(self.condition("MEAS"))

    def _measured_functions(self) -> int:
        return len(self._functions - {RES}) or 2 * (RES in self._functions)

    def _reading(self) -> str:
        cycles = self._nplc * (self._average_count if self._averaging else 1)
        aperture_s = conversions_s(
            self._measured_functions(), nplc=cycles, line_hz=self._line_hz, autozero=self._autozero
        )
        reading = self._smu.measure(
            aperture_s,
            line_hz=self._line_hz,
            cycles=cycles,
            searching=bool(self._functions & {OTHER[self._smu.function], RES}),
            delay_s=self._delay(),
        )
        values = self._values(self._with_zero(reading))
        return ",".join(scientific(values[ELEMENTS[word]]) for word in self._elements)

    def _with_zero(self, reading: SmuReading) -> SmuReading:
        """Return a reading with what its zero has drifted since it was measured: 3-10, 18-107."""
        if self._autozero:
            self._zero = self._nplc, self._clock.now_s
            return reading
        nplc, measured_s = self._zero
        drift = DRIFT_OF_RANGE_PER_S * (self._clock.now_s - measured_s)
        drift += OTHER_ZERO_OF_RANGE * (nplc != self._nplc)
        steps = round(drift * self._smu.model.reading_steps)
        volts, amperes = (
            steps * self._smu.measure_range[f] / self._smu.model.reading_steps for f in (VOLT, CURR)
        )
        return replace(reading, volts=reading.volts + volts, amperes=reading.amperes + amperes)

    def _values(self, reading: SmuReading) -> tuple[float, ...]:
        """Return volts, amperes, ohms, seconds and status of a reading.

        A quantity that was not measured is the programmed level, or NAN.
        """
        smu, sensed = self._smu, self._functions
        shown = {
            function: reading.value(function)
            if function in sensed or RES in sensed
            else (smu.levels[function] if smu.function == function else NOT_A_NUMBER)
            for function in (VOLT, CURR)
        }
        ohm = NOT_A_NUMBER
        if RES in sensed:
            over = reading.over or not shown[CURR]
            ohm = OVERFLOW if over else shown[VOLT] / shown[CURR]
        over_range = bool(reading.over & sensed)
        status = over_range * OVER_RANGE
        if reading.limited:
            status |= RANGE_COMPLIANCE if reading.range_limited else COMPLIANCE
        return shown[VOLT], shown[CURR], ohm, self._timestamp.of(reading.time_s), float(status)
