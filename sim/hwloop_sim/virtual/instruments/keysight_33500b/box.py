"""A Keysight 33500B or 33600A waveform generator with one or two outputs.

Behaviour after its operating and service guide: levels in four digits, their dependence on the
output load, voltage limits, the couplings between width and period, bursts that the bus triggers.
Of free-running waveforms only constant levels and bursts of pulses are modelled; any other waveform
stays at its offset, and the bench reports it as unmodelled.
"""

from __future__ import annotations

import re
from collections import deque
from typing import Any, TypedDict

from typing_extensions import override

from hwloop.errors import ConfigError
from hwloop_sim.virtual.instruments.keysight_33500b.output import FUNCTIONS, NO_LOAD, Output
from hwloop_sim.virtual.languages.scpi import (
    OUT_OF_RANGE,
    Arguments,
    Getter,
    ScpiError,
    Setter,
    VirtualScpiInstrument,
)

DEFAULT_MODEL = "33522B"
TWO_CHANNELS = frozenset({"33510B", "33512B", "33520B", "33522B", "33612A", "33622A"})
_MODEL = re.compile(r"33(?:509|51[0-2]|519|52[0-2])B|336[12][12]A")
KEPT_ERRORS = 20
LEAST_WIDTH_S = {"33611A": 8e-9, "33612A": 8e-9, "33621A": 5e-9, "33622A": 5e-9}
LEAST_EDGE_S = {"33611A": 4e-9, "33612A": 4e-9, "33621A": 2.9e-9, "33622A": 2.9e-9}
HIGHEST_HZ = {"336": 200e6, "335": 30e6}
TRIGGER_IGNORED = (-211, "Trigger ignored")


class Keysight33500B(VirtualScpiInstrument):
    """A generator with outputs ``name.1`` and ``name.2``, or one named as the instrument."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._model = str(kwargs["settings"].get("model", DEFAULT_MODEL))
        if not _MODEL.fullmatch(self._model):
            raise ConfigError(f"{self._model!r} is no model of the 33500B or 33600A", key="model")
        self.identity = f"Keysight Technologies,{self._model},MY00000000,5.03-3.15-2.00-58-00"
        self._errors = deque(maxlen=KEPT_ERRORS)
        numbers = (1, 2) if self._model in TWO_CHANNELS else (1,)
        self._outputs = {
            n: Output(
                f"{self._name}.{n}" if len(numbers) > 1 else self._name,
                self._circuit,
                self._clock,
                least_width_s=LEAST_WIDTH_S.get(self._model, 16e-9),
                least_edge_s=LEAST_EDGE_S.get(self._model, 8.4e-9),
                least_period_s=1 / (100e6 if self._model.startswith("336") else 30e6),
            )
            for n in numbers
        }
        for number, output in self._outputs.items():
            self._add_output(number, output)
        self.on("*TRG", set=lambda _: self._trigger())
        self.on(":ABORt", set=lambda _: self._abort())
        self.switch_kept(":OUTPut:SYNC[:STATe]", on=False)
        self.keep(":OUTPut:SYNC:SOURce", "CH1", "CH1", "CH2")
        for header in (":SYSTem:BEEPer[:IMMediate]", ":PHASe:SYNChronize", ":DISPlay:TEXT"):
            self.on(header, set=lambda _: None)

    @override
    def trip(self) -> None:
        for output in self._outputs.values():
            output.switch(on=False)

    @override
    def output_states(self) -> dict[str, bool]:
        only = len(self._outputs) == 1
        return {"" if only else str(n): output.on for n, output in self._outputs.items()}

    @override
    def reset(self) -> None:
        self.reset_kept()
        for output in self._outputs.values():
            output.reset()

    @override
    def device_clear(self) -> None:
        self._abort()

    @override
    def _next_error(self, _: Arguments) -> str:
        code, text = self._errors.popleft() if self._errors else (0, "No error")
        return f'{code:+d},"{text}"'

    @override
    def _add_common(self) -> None:
        self.on("*OPC", get=lambda _: self._completed())
        self.on("*WAI", set=lambda _: self._finish())
        super()._add_common()

    def _completed(self) -> str:
        self._finish()
        return "1"

    def _trigger(self) -> None:
        armed = [output for output in self._outputs.values() if output.armed]
        if not armed:
            raise ScpiError(*TRIGGER_IGNORED)
        for output in armed:
            output.fire()

    def _finish(self) -> None:
        while busy := [output for output in self._outputs.values() if output.busy]:
            self._clock.advance(max(output.ends_s for output in busy) - self._clock.now_s)

    def _abort(self) -> None:
        for output in self._outputs.values():
            output.abort()

    def _add_output(self, number: int, output: Output) -> None:
        source = "[:SOURce[1]]" if number == 1 else ":SOURce2"
        suffix = "[1]" if number == 1 else "2"
        self._add_levels(source, f":OUTPut{suffix}", output)
        self._add_functions(source, output)
        self._add_pulses(source, output)
        self._add_bursts(source, f":TRIGger{suffix}", output)

    def _add_levels(self, source: str, port: str, output: Output) -> None:
        on = self.on
        amplitude = f"{source}:VOLTage[:LEVel][:IMMediate][:AMPLitude]"
        on(
            amplitude,
            set=lambda a: output.set_amplitude(a.number()),
            get=_get(output, "amplitude_v"),
        )
        on(
            f"{source}:VOLTage[:LEVel][:IMMediate]:OFFSet",
            set=lambda a: output.set_offset(a.number()),
            get=_get(output, "offset_v"),
        )
        on(
            f"{source}:VOLTage[:LEVel][:IMMediate]:HIGH",
            set=lambda a: output.set_high(a.number()),
            get=_get(output, "high_v"),
        )
        on(
            f"{source}:VOLTage[:LEVel][:IMMediate]:LOW",
            set=lambda a: output.set_low(a.number()),
            get=_get(output, "low_v"),
        )
        on(f"{source}:VOLTage:UNIT", **_word(output, "unit", "VPP", "VRMS", "DBM"))
        on(
            f"{source}:VOLTage:RANGe:AUTO",
            set=lambda a: setattr(output, "ranging", _ranging(a)),
            get=_flag(output, "ranging"),
        )
        limit = f"{source}:VOLTage:LIMit"
        on(
            f"{limit}:HIGH",
            set=lambda a: output.set_limit_high(a.number()),
            get=_get(output, "limit_high_v"),
        )
        on(
            f"{limit}:LOW",
            set=lambda a: output.set_limit_low(a.number()),
            get=_get(output, "limit_low_v"),
        )
        on(
            f"{limit}:STATe",
            set=lambda a: output.set_limited(on=a.boolean()),
            get=_flag(output, "limited"),
        )
        on(f"{port}[:STATe]", set=lambda a: output.switch(on=a.boolean()), get=_flag(output, "on"))
        on(
            f"{port}:LOAD",
            set=lambda a: output.set_load(_load_ohm(a)),
            get=_get(output, "load_ohm"),
        )
        on(
            f"{port}:POLarity",
            set=lambda a: output.set_polarity(a.choice("NORMal", "INVerted")),
            get=lambda _: output.polarity,
        )

    def _add_functions(self, source: str, output: Output) -> None:
        self.on(
            f"{source}:FUNCtion[:SHAPe]",
            set=lambda a: output.set_function(a.choice(*FUNCTIONS)),
            get=lambda _: output.function,
        )
        highest_hz = HIGHEST_HZ[self._model[:3]]
        self.on(
            f"{source}:FREQuency[:CW]",
            set=lambda a: output.set_period(1 / a.number(lowest=1e-6, highest=highest_hz)),
            get=lambda _: exact(1 / output.period_s),
        )
        for header, name, lowest, highest in (
            (":PHASe[:ADJust]", "phase_deg", -360.0, 360.0),
            (":FUNCtion:SQUare:DCYCle", "square_percent", 0.01, 99.99),
            (":FUNCtion:RAMP:SYMMetry", "symmetry_percent", 0.0, 100.0),
        ):
            self.on(f"{source}{header}", **_number(output, name, lowest, highest))
        self.on(f"{source}:FREQuency:MODE", **_word(output, "mode", "CW", "LIST", "SWEep", "FIXed"))

    def _add_pulses(self, source: str, output: Output) -> None:
        pulse = f"{source}:FUNCtion:PULSe"
        self.on(
            f"{pulse}:WIDTh",
            set=lambda a: output.set_width(
                a.number(lowest=output.least_width_s, highest=1e6, default=1e-4)
            ),
            get=_get(output, "width_s"),
        )
        self.on(
            f"{pulse}:PERiod",
            set=lambda a: output.set_period(a.number(lowest=output.least_period_s, highest=1e6)),
            get=_get(output, "period_s"),
        )
        self.on(
            f"{pulse}:DCYCle",
            set=lambda a: output.set_width(a.number(lowest=0, highest=100) / 100 * output.period_s),
            get=lambda _: exact(100 * output.width_s / output.period_s),
        )
        self.on(f"{pulse}:HOLD", **_word(output, "hold", "WIDTh", "DCYCle"))
        for header in ("[:BOTH]", ":LEADing", ":TRAiling"):
            self.on(
                f"{pulse}:TRANsition{header}",
                **_number(output, "edge_s", output.least_edge_s, 1e-6),
            )

    def _add_bursts(self, source: str, trigger: str, output: Output) -> None:
        burst = f"{source}:BURSt"
        self.on(
            f"{burst}:STATe",
            set=lambda a: output.set_burst(on=a.boolean()),
            get=_flag(output, "burst"),
        )
        self.on(f"{burst}:MODE", **_word(output, "burst_mode", "TRIGgered", "GATed"))
        self.on(
            f"{burst}:NCYCles",
            set=lambda a: setattr(output, "cycles", _cycles(a)),
            get=_get(output, "cycles"),
        )
        self.on(f"{burst}:PHASe", **_number(output, "burst_phase_deg", -360.0, 360.0))
        self.on(f"{burst}:INTernal:PERiod", **_number(output, "burst_period_s", 1e-6, 8000.0))
        self.on(f"{burst}:GATE:POLarity", **_word(output, "gate_polarity", "NORMal", "INVerted"))
        self.on(
            f"{trigger}:SOURce",
            set=lambda a: output.set_source(a.choice("IMMediate", "EXTernal", "TIMer", "BUS")),
            get=lambda _: output.source,
        )
        self.on(f"{trigger}:SLOPe", **_word(output, "slope", "POSitive", "NEGative"))
        self.on(f"{trigger}:COUNt", **_number(output, "trigger_count", 1.0, 1e6))
        self.on(f"{trigger}:DELay", **_number(output, "trigger_delay_s", 0.0, 1000.0))
        self.on(f"{trigger}:TIMer", **_number(output, "timer_s", 1e-6, 8000.0))


class _Handlers(TypedDict):
    set: Setter
    get: Getter


def exact(value: float) -> str:
    """Format a number as the instrument does, in 15 digits."""
    return f"{value:+.15E}"


def _get(output: Output, name: str) -> Getter:
    return lambda _: exact(getattr(output, name))


def _flag(output: Output, name: str) -> Getter:
    return lambda _: str(int(getattr(output, name)))


def _number(output: Output, name: str, lowest: float, highest: float) -> _Handlers:
    """Make the handlers of a bounded number that has no effect on the model."""

    def change(arguments: Arguments) -> None:
        setattr(output, name, arguments.number(lowest=lowest, highest=highest))

    return {"set": change, "get": _get(output, name)}


def _word(output: Output, name: str, *forms: str) -> _Handlers:
    """Make the handlers of a choice that has no effect on the model."""

    def change(arguments: Arguments) -> None:
        setattr(output, name, arguments.choice(*forms))

    return {"set": change, "get": lambda _: str(getattr(output, name))}


def _cycles(arguments: Arguments) -> float:
    if arguments.text().upper() in {"INF", "INFINITY"}:
        return NO_LOAD
    return round(arguments.number(lowest=1, highest=1e8, default=1))


def _load_ohm(arguments: Arguments) -> float:
    if arguments.text().upper() in {"INF", "INFINITY"}:
        return NO_LOAD
    value = arguments.number(lowest=1, highest=NO_LOAD, default=50)
    if 1e4 < value < NO_LOAD:
        raise ScpiError(*OUT_OF_RANGE)
    return value


def _ranging(arguments: Arguments) -> bool:
    """Parse ON, OFF, or ONCE, which is off afterwards."""
    return arguments.text().upper() != "ONCE" and arguments.boolean()
