"""A Keithley 2400 SourceMeter.

Commands after its user's manual, 2400S-900-01; ranges, resolutions, compliance and noise after its
data sheet: 5½ digits, 50 ppm source steps, 0.1 % of the range as the least compliance, settled in
100 µs. A reading lasts its integration time for each function that is measured, three times as
long while autozero is on. After a reset the source waits 1 ms before a reading (auto delay).
"""

from __future__ import annotations

from typing import Any

from typing_extensions import override

from hwloop_sim.virtual.circuit.smu import CURR, OVERFLOW, VOLT, Smu, SmuModel, SmuReading
from hwloop_sim.virtual.instruments.keithley_2400.trace import Trace
from hwloop_sim.virtual.languages.scpi import ILLEGAL, Arguments, ScpiError, scientific
from hwloop_sim.virtual.languages.scpi_smu import (
    FORMS,
    OFF_MODES,
    ScpiSmu,
    function_of,
    refuse_unless,
    sense_function,
)

MODEL = SmuModel(
    ranges_v=(0.2, 2.0, 20.0, 200.0),
    ranges_a=(1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0),
    over=1.05,
    envelope=((21.0, 1.05), (210.0, 0.105)),
    noise_a=(3e-11, 3e-10, 3e-9, 3e-8, 3e-7, 3e-6, 3e-5),
    noise_of_v=1e-5,
    reading_steps=1e5,
    source_steps=4e4,
    settle_s=1e-4,
    least_limit_a=1e-9,
    least_limit_v=2e-4,
    least_limit_of_range=1e-3,
)
MOST_POINTS = 2500
LIST_LINE = 100
AUTO_DELAY_S = 1e-3
NOT_A_NUMBER = 9.91e37
ELEMENTS = {"VOLT": 0, "CURR": 1, "RES": 2, "TIME": 3, "STAT": 4}
ELEMENT_FORMS = ("VOLTage", "CURRent", "RESistance", "TIME", "STATus")
RES = "RES"
SENSE_FORMS = {VOLT: "VOLTage[:DC]", CURR: "CURRent[:DC]", RES: "RESistance"}
NAMES = {VOLT: '"VOLT:DC"', CURR: '"CURR:DC"', RES: '"RES"'}
READING_AVAILABLE, BUFFER_FULL, AT_COMPLIANCE = 1 << 6, 1 << 9, 1 << 14


class Keithley2400(ScpiSmu):
    """One output, named as the instrument."""

    identity = "KEITHLEY INSTRUMENTS INC.,MODEL 2400,0000000,C32   Oct  4 2010 14:20:11/A02  /K/J"

    def __init__(self, *args: Any, settings: Any, **kwargs: Any) -> None:
        super().__init__(*args, settings=settings, **kwargs)
        self._line_hz = float(settings.get("line_frequency_hz", 50.0))
        self._smu = Smu(self._name, MODEL, self._circuit, self._clock, self._noise)
        self._trace = Trace(self)
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
        self._smu.reset(range_v=20.0, range_a=1e-4)
        self._lists: dict[str, list[float]] = {VOLT: [], CURR: []}
        self._modes = {VOLT: "FIX", CURR: "FIX"}
        self._delay_s, self._delay_auto, self._trigger_delay_s = 0.0, True, 0.0
        self._count, self._arm_count, self._nplc = 1, 1, 1.0
        self._functions, self._concurrent = {CURR}, True
        self._averaging, self._average_count, self._autozero = False, 10, True
        self._elements = list(ELEMENTS)
        self._readings: list[str] = []
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
        self.add_limit(f"{header}:PROTection[:LEVel]", sourced, self._smu)
        self.on(f"{header}:PROTection:TRIPped", get=lambda _: str(int(self._smu.limited)))
        self.add_measure_range(header, function, self._smu)

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
        self.on(":TRIGger:COUNt", set=self._set_count, get=lambda _: str(self._count))
        self.on(":ARM:COUNt", set=self._set_arm_count, get=lambda _: str(self._arm_count))
        self.number_at(
            ":TRIGger:DELay", "_trigger_delay_s", lowest=0, highest=999.9999, default=0.0
        )
        self.keep(":TRIGger:SOURce", "IMM", "IMMediate")
        self.keep(":ARM:SOURce", "IMM", "IMMediate")
        self.keep(":TRIGger:OUTPut", "NONE", "SOURce", "DELay", "SENSe", "NONE")
        self.keep(":ARM:OUTPut", "NONE", "TENTer", "TEXit", "NONE")
        self.on(":TRIGger:CLEar", set=lambda _: None)
        self.on(":ABORt", set=lambda _: None)
        self.on("*TRG", set=lambda _: None)
        self.on(":INITiate[:IMMediate]", set=lambda _: self._run_sweep())
        self.on(":READ", get=lambda _: self._read())
        self.on(":FETCh", get=lambda _: ",".join(self._readings))
        self.on(":MEASure", get=lambda _: self._read())
        for function, form in SENSE_FORMS.items():
            self.on(f":MEASure:{form}", get=lambda _, f=function: self._measure_one(f))  # type: ignore[misc]
        self._trace.add_commands()

    def _add_panel(self) -> None:
        self.keep(":ROUTe:TERMinals", "FRON", "FRONt", "REAR")
        self.on(":SYSTem:LFRequency", get=lambda _: f"{self._line_hz:g}")
        self.switch_kept(":SYSTem:LFRequency:AUTO", on=True)
        self.switch_kept(":DISPlay:ENABle", on=True)
        self.on(":SYSTem:BEEPer[:IMMediate]", set=lambda a: refuse_unless(holds=len(a.values) == 2))

    def _set_delay(self, arguments: Arguments) -> None:
        self._delay_s = arguments.number(lowest=0, highest=9999.999, default=0.0)
        self._delay_auto = False

    def _delay(self) -> float:
        return AUTO_DELAY_S if self._delay_auto else self._delay_s

    def _set_average_count(self, arguments: Arguments) -> None:
        self._average_count = int(arguments.number(lowest=1, highest=100, default=10))

    def _set_autozero(self, arguments: Arguments) -> None:
        if arguments.text().upper() != "ONCE":
            self._autozero = arguments.boolean()

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

    def _set_count(self, arguments: Arguments) -> None:
        self._count = self._counted(arguments, self._arm_count)

    def _set_arm_count(self, arguments: Arguments) -> None:
        self._arm_count = self._counted(arguments, self._count)

    def _counted(self, arguments: Arguments, other: int) -> int:
        count = int(arguments.number(lowest=1, highest=MOST_POINTS, default=1))
        if count * other > MOST_POINTS:
            raise ScpiError(*ILLEGAL)
        return count

    def _read(self) -> str:
        self._run_sweep()
        return ",".join(self._readings)

    def _measure_one(self, function: str) -> str:
        self._functions = {function}
        self._count = self._arm_count = 1
        return self._read()

    def _run_sweep(self) -> None:
        if not self._smu.on:
            raise ScpiError(803, "Not permitted with OUTPUT off")
        self._readings = []
        source = self._smu.function
        values = self._lists[source] if self._modes[source] == "LIST" else []
        for n in range(self._count * self._arm_count):
            self._clock.advance(self._trigger_delay_s)
            if values:
                self._smu.set_level(source, values[n % len(values)])
            self._clock.advance(self._delay())
            self._readings.append(self._reading())
            self._trace.store(self._readings[-1])
        self.status.registers["MEAS"].latch(READING_AVAILABLE | self.condition("MEAS"))

    def _reading(self) -> str:
        cycles = self._nplc * (self._average_count if self._averaging else 1)
        integrations = len(self._functions - {RES}) or int(RES in self._functions)
        phases = 3 if self._autozero else 1
        aperture_s = cycles / self._line_hz * integrations * phases
        reading = self._smu.measure(aperture_s, line_hz=self._line_hz, cycles=cycles)
        values = self._values(reading)
        return ",".join(scientific(values[ELEMENTS[word]]) for word in self._elements)

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
        status = int(over_range) | (int(reading.limited) << 3)
        return shown[VOLT], shown[CURR], ohm, reading.time_s, float(status)
