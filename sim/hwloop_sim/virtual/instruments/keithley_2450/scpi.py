"""A Keithley 2450 in SCPI; reference manual 2450-901-01, section 6."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from typing_extensions import override

from hwloop_sim.virtual.circuit.smu import CURR, VOLT
from hwloop_sim.virtual.instruments.keithley_2450.core import (
    BUFFERS,
    LEAST_SWEEP_DELAY_S,
    LIST_LINE,
    MOST_DELAY_S,
    MOST_LIST,
    MOST_SWEEP_DELAY_S,
    RES,
    USER_DELAYS,
    Core,
    SourceSweep,
)
from hwloop_sim.virtual.instruments.keithley_2450.terminals import MODEL
from hwloop_sim.virtual.instruments.keithley_2450.trace import SENSE_FORMS, Traces
from hwloop_sim.virtual.languages.scpi import (
    ILLEGAL,
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
)
from hwloop_sim.virtual.languages.scpi_smu import sense_function as sensed

NAMES = {VOLT: '"VOLT:DC"', CURR: '"CURR:DC"', RES: '"RES"'}
LIMIT_FORMS = {VOLT: "ILIMit", CURR: "VLIMit"}


class Keithley2450Scpi(ScpiSmu):
    """The SCPI commands of a 2450, which act on its :class:`Core`."""

    def __init__(self, *args: Any, core: Core, identity: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._core, self._smu = core, core.smu
        self.identity = identity
        self._traces = Traces(self, core)
        self._lists: dict[str, list[float]] = {VOLT: [], CURR: []}
        self._add_source()
        self._add_sense()
        self._add_output()
        self._traces.add_commands()
        self._add_sweeps()

    @override
    def output_states(self) -> dict[str, bool]:
        return {"": self._smu.on}

    @override
    def reset(self) -> None:
        self._core.reset()
        self._lists = {VOLT: [], CURR: []}
        self.reset_kept()

    def _add_source(self) -> None:
        smu = self._smu
        self.on(
            ":SOURce[1]:FUNCtion[:MODE]",
            set=lambda a: smu.set_function(function_of(a)),
            get=lambda _: smu.function,
        )
        for function, form in FORMS.items():
            header = f":SOURce[1]:{form}"
            self.add_source(header, function, smu)
            self._add_limit(function, f"{header}:{LIMIT_FORMS[function]}[:LEVel]")
            self._add_delay(function, header)
            self.add_list(
                f":SOURce[1]:LIST:{form}",
                function,
                smu,
                lambda: self._lists,
                line=LIST_LINE,
                most=MOST_LIST,
            )

    def _add_limit(self, function: str, header: str) -> None:
        smu = self._smu
        self.add_limit(header, function, smu)
        self.on(
            f"{header}:TRIPped",
            get=lambda _: str(int(smu.limited and smu.function == function)),
        )

    def _add_delay(self, function: str, header: str) -> None:
        def told(arguments: Arguments) -> None:
            self._core.now.delay_s[function] = arguments.number(
                lowest=0, highest=MOST_DELAY_S, default=0.0
            )
            self._core.now.delay_auto[function] = False

        self.on(
            f"{header}:DELay",
            set=told,
            get=lambda _: scientific(self._core.now.delay_s[function]),
        )
        self.flag_in(f"{header}:DELay:AUTO", lambda: self._core.now.delay_auto, function)
        self.flag_in(f"{header}:READ:BACK", lambda: self._core.now.readback, function)
        for n in USER_DELAYS:
            self._add_user_delay(f"{header}:DELay:USER{n}", (function, n))

    def _add_user_delay(self, header: str, key: tuple[str, int]) -> None:
        def told(arguments: Arguments) -> None:
            self._core.now.user_delay_s[key] = arguments.number(
                lowest=0, highest=MOST_DELAY_S, default=0.0
            )

        self.on(
            header,
            set=told,
            get=lambda _: scientific(self._core.now.user_delay_s.get(key, 0.0)),
        )

    def _add_sense(self) -> None:
        self.on(
            ":SENSe[1]:FUNCtion[:ON]",
            set=lambda a: setattr(self._core.now, "measures", sensed(a.text())),
            get=lambda _: NAMES[self._core.now.measures],
        )
        for function, form in SENSE_FORMS.items():
            header = f":SENSe[1]:{form}"
            if function != RES:
                self.add_measure_range(header, function, self._smu)
                self._add_automatic_range(f"{header}:RANGe:AUTO", function)
            self._add_measurement(header)
        self.keep(":SENSe[1]:RESistance:RANGe[:UPPer]", "200000")
        self.switch_kept(":SENSe[1]:RESistance:RANGe:AUTO", on=True)
        self.on(":SENSe[1]:AZERo:ONCE", set=lambda _: None)
        self._number(":SENSe[1]:COUNt", "count", 1, 300_000, whole=True)

    def _add_automatic_range(self, header: str, function: str) -> None:
        smu = self._smu
        self.on(
            f"{header}:REBound",
            set=lambda a: setattr(smu, "rebound", a.boolean()),
            get=lambda _: str(int(smu.rebound)),
        )
        self.on(
            f"{header}:LLIMit",
            set=lambda a: smu.set_lowest(function, a.number(lowest=0, highest=200)),
            get=lambda _: scientific(smu.lowest[function]),
        )

    def _add_measurement(self, header: str) -> None:
        """Register settings that the real instrument has for each function, here one for all."""
        self._number(f"{header}:NPLCycles", "nplc", 0.01, 10)
        self._core_flag(f"{header}:AZERo[:STATe]", "autozero")
        self._core_flag(f"{header}:RSENse", "four_wire")
        self.switch_kept(f"{header}:AVERage[:STATe]", on=False)
        self.keep(f"{header}:AVERage:COUNt", "10")
        self.keep(f"{header}:AVERage:TCONtrol", "REP", "REPeat", "MOVing")
        for n in range(1, 6):
            self.keep(f"{header}:DELay:USER{n}", "0")

    def _number(
        self, header: str, name: str, lowest: float, highest: float, *, whole: bool = False
    ) -> None:
        def told(arguments: Arguments) -> None:
            value = arguments.number(lowest=lowest, highest=highest)
            setattr(self._core.now, name, int(value) if whole else value)

        def asked(_: Arguments) -> str:
            value = getattr(self._core.now, name)
            return str(value) if whole else scientific(value)

        self.on(header, set=told, get=asked)

    def _core_flag(self, header: str, name: str) -> None:
        self.on(
            header,
            set=lambda a: setattr(self._core.now, name, a.boolean()),
            get=lambda _: str(int(getattr(self._core.now, name))),
        )

    def _add_output(self) -> None:
        smu = self._smu
        self.add_switch(":OUTPut[1]", smu)
        for function in ("", f":{FORMS[VOLT]}", f":{FORMS[CURR]}"):
            self.on(
                f":OUTPut[1]{function}:SMODe",
                set=lambda a: smu.set_off_mode(a.choice(*OFF_MODES)),
                get=lambda _: smu.off_mode,
            )
        self.keep(":ROUTe:TERMinals", "FRON", "FRONt", "REAR")
        self.keep(":FORMat:ASCii:PRECision", "0")
        self.keep(":FORMat[:DATA]", "ASC", "ASCii")
        self.on(":SYSTem:LFRequency", get=lambda _: f"{self._core.line_hz:g}")
        self.on(":SYSTem:BEEPer[:IMMediate]", set=lambda a: refuse_unless(holds=len(a.values) == 2))
        self.on(":DISPlay:CLEar", set=lambda _: None)

    def _add_sweeps(self) -> None:
        for function, form in FORMS.items():
            header = f":SOURce[1]:SWEep:{form}"
            self.on(f"{header}:LINear", set=lambda a, f=function: self._spaced(f, a, np.linspace))  # type: ignore[misc]
            self.on(f"{header}:LOG", set=lambda a, f=function: self._spaced(f, a, np.geomspace))  # type: ignore[misc]
            self.on(f"{header}:LIST", set=lambda a, f=function: self._listed(f, a))  # type: ignore[misc]
        self.on(":INITiate[:IMMediate]", set=lambda _: self._initiate())
        self.on(":ABORt", set=lambda _: None)
        self.on("*TRG", set=lambda _: None)

    def _spaced(self, function: str, arguments: Arguments, space: Callable[..., Any]) -> None:
        """Define a sweep over evenly spaced levels.

        Arguments: start, stop, points[, delay[, count[, range type[, fail abort[, dual[,
        buffer]]]]]].
        """
        given = arguments.values
        start, stop, points = (Arguments((v,)).number() for v in (*given, "", "", "")[:3])
        if not 2 <= points <= 1e6:
            raise ScpiError(*OUT_OF_RANGE)
        if space is np.geomspace and start * stop <= 0:
            raise ScpiError(*ILLEGAL)
        levels = [float(v) for v in space(start, stop, int(points))]
        if len(given) > 7 and Arguments((given[7],)).boolean():
            levels += levels[-2::-1]
        sweep = SourceSweep(function, levels)
        self._complete(sweep, given[3:5], given[6:7], given[8:9])

    def _listed(self, function: str, arguments: Arguments) -> None:
        """Define a sweep over the list of levels.

        Arguments: start index[, delay[, count[, fail abort[, buffer]]]].
        """
        given = arguments.values
        first = int(Arguments(given[:1] or ("1",)).number(lowest=1, highest=MOST_LIST))
        levels = self._lists[function][first - 1 :]
        if not levels:
            raise ScpiError(*ILLEGAL)
        self._complete(SourceSweep(function, levels), given[1:3], given[3:4], given[4:5])

    def _complete(
        self,
        sweep: SourceSweep,
        times: tuple[str, ...],
        fail_abort: tuple[str, ...],
        buffer: tuple[str, ...],
    ) -> None:
        """Complete a sweep with its optional parameters: delay and count, fail abort, buffer."""
        if any(abs(v) > MODEL.most(sweep.function) for v in sweep.levels):
            raise ScpiError(*OUT_OF_RANGE)
        delay_s = Arguments((*times, "0")[:1]).number(lowest=0, highest=MOST_SWEEP_DELAY_S)
        if 0 < delay_s < LEAST_SWEEP_DELAY_S:
            raise ScpiError(*OUT_OF_RANGE)
        sweep.delay_s = delay_s
        sweep.count = int(Arguments(times[1:2] or ("1",)).number(lowest=1, highest=1e6))
        sweep.fail_abort = Arguments(fail_abort or ("ON",)).boolean()
        sweep.buffer = Arguments(buffer or BUFFERS[:1]).text()
        self._traces.named(sweep.buffer)
        self._core.sweep = sweep

    def _initiate(self) -> None:
        if self._core.sweep is None:
            raise ScpiError(-200, "Execution error")
        self._smu.set_function(self._core.sweep.function)
        self._core.run()
