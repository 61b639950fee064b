"""A Keysight 33500B or 33600A waveform generator with one or two outputs.

Behaviour after its operating and service guide: levels in four digits, their dependence on the
output load, voltage limits, the couplings between width and period, bursts that the bus triggers.
Of free-running waveforms only constant levels and bursts of pulses are modelled; any other waveform
stays at its offset, and the bench reports it as unmodelled.
"""

from __future__ import annotations

import re
from typing import Any

from typing_extensions import override

from hwloop.errors import ConfigError
from hwloop_sim.virtual.instruments.families.generator_box import VirtualGenerator
from hwloop_sim.virtual.instruments.families.generator_handlers import (
    bounded,
    exact,
    flag_of,
    number_of,
    word,
)
from hwloop_sim.virtual.instruments.families.generator_output import NO_LOAD, Output, OutputModel
from hwloop_sim.virtual.instruments.keysight_33500b.arbitrary import add_arbitrary
from hwloop_sim.virtual.languages.scpi import (
    OUT_OF_RANGE,
    Arguments,
    ScpiError,
)

DEFAULT_MODEL = "33522B"
FUNCTIONS = ("SINusoid", "SQUare", "TRIangle", "RAMP", "PULSe", "PRBS", "NOISe", "ARB", "DC")
TWO_CHANNELS = frozenset({"33510B", "33512B", "33520B", "33522A", "33522B", "33612A", "33622A"})
_MODEL = re.compile(r"3352[12]A|33(?:509|51[0-2]|519|52[0-2])B|336[12][12]A")
SLOW_HZ, MIDDLE_HZ = 20e6, 30e6  # of the 33509B to 33512B, and of the others of the 33500
FAST_HZ = {"33611A": 80e6, "33612A": 80e6, "33621A": 120e6, "33622A": 120e6}
MOST_WAIT_S = 1e8  # longer than any burst that somebody waits for
TRIGGER_IGNORED = (-211, "Trigger ignored")


class Keysight33500B(VirtualGenerator):
    """A generator with outputs ``name.1`` and ``name.2``, or one named as the instrument."""

    errors_kept = 20

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._model = str(kwargs["settings"].get("model", DEFAULT_MODEL))
        if not _MODEL.fullmatch(self._model):
            raise ConfigError(f"{self._model!r} is no model of the 33500B or 33600A", key="model")
        self.identity = f"Keysight Technologies,{self._model},MY00000000,5.03-3.15-2.00-58-00"
        numbers = (1, 2) if self._model in TWO_CHANNELS else (1,)
        self.make_outputs(numbers, _output_model(self._model))
        for number, output in self._outputs.items():
            self._add_output(number, output)
        self.on("*TRG", set=lambda _: self._trigger())
        self.on(":ABORt", set=lambda _: self._abort())
        self.switch_kept(":OUTPut:SYNC[:STATe]", on=False)
        self.keep(":OUTPut:SYNC:SOURce", "CH1", "CH1", "CH2")
        self.switch_kept(":OUTPut:TRIGger[:STATe]", on=False)
        self.keep(":OUTPut:TRIGger:SLOPe", "POS", "POSitive", "NEGative")
        self.keep(":OUTPut:TRIGger:SOURce", "CH1", "CH1", "CH2")
        for header in (
            ":SYSTem:BEEPer[:IMMediate]",
            "[:SOURce[1]]:PHASe:SYNChronize",
            ":DISPlay:TEXT",
            ":DISPlay:TEXT:CLEar",
        ):
            self.on(header, set=lambda _: None)

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
        code, text = self._take_error()
        return f'{code:+d},"{text}"'

    @override
    def _add_common(self) -> None:
        self.on("*OPC", get=lambda _: self._completed())
        self.on("*WAI", set=lambda _: self._wait())
        super()._add_common()

    def _completed(self) -> str | None:
        return "1" if self._finishes() else None

    def _wait(self) -> None:
        self._finishes()

    def _trigger(self) -> None:
        armed = [output for output in self._outputs.values() if output.armed]
        if not armed:
            raise ScpiError(*TRIGGER_IGNORED)
        for output in armed:
            output.fire()

    def _finishes(self) -> bool:
        """Wait for the bursts that are running; return False for one without end, at once."""
        while busy := [output for output in self._outputs.values() if output.busy]:
            left_s = max(output.left_s for output in busy)
            if left_s > MOST_WAIT_S:
                return False
            self._clock.advance(left_s)
        return True

    def _abort(self) -> None:
        for output in self._outputs.values():
            output.abort()

    def _add_output(self, number: int, output: Output) -> None:
        source = "[:SOURce[1]]" if number == 1 else ":SOURce2"
        suffix = "[1]" if number == 1 else "2"
        volts = f"{source}:VOLTage"
        self.add_levels(volts, f":OUTPut{suffix}", output, load_ohm=_load_ohm)
        self.on(
            f"{volts}:RANGe:AUTO",
            set=lambda a: setattr(output, "ranging", _ranging(a)),
            get=flag_of(output, "ranging"),
        )
        self._add_functions(source, output)
        self._add_pulses(source, output)
        add_arbitrary(self, source, output)
        self._add_bursts(source, f":TRIGger{suffix}", output)

    def _add_functions(self, source: str, output: Output) -> None:
        self.on(
            f"{source}:FUNCtion[:SHAPe]",
            set=lambda a: output.set_function(a.choice(*FUNCTIONS)),
            get=lambda _: output.function,
        )
        highest_hz = _highest_hz(self._model)
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
            self.on(f"{source}{header}", **bounded(output, name, lowest, highest))
        self.on(f"{source}:FREQuency:MODE", **word(output, "mode", "CW", "LIST", "SWEep", "FIXed"))

    def _add_pulses(self, source: str, output: Output) -> None:
        pulse = f"{source}:FUNCtion:PULSe"
        headers = {
            "width": f"{pulse}:WIDTh",
            "period": f"{pulse}:PERiod",
            "cycle": f"{pulse}:DCYCle",
            "hold": f"{pulse}:HOLD",
        }
        self.add_width(
            headers,
            output,
            widths={"lowest": output.model.least_width_s, "highest": 1e6, "default": 1e-4},
            periods={"lowest": output.model.least_period_s, "highest": 1e6},
        )
        for header in ("[:BOTH]", ":LEADing", ":TRAiling"):
            self.on(
                f"{pulse}:TRANsition{header}",
                **bounded(output, "edge_s", output.model.least_edge_s, 1e-6),
            )

    def _add_bursts(self, source: str, trigger: str, output: Output) -> None:
        burst = f"{source}:BURSt"
        self.on(
            f"{burst}:STATe",
            set=lambda a: output.set_burst(on=a.boolean()),
            get=flag_of(output, "burst"),
        )
        self.on(f"{burst}:MODE", **word(output, "burst_mode", "TRIGgered", "GATed"))
        self.on(
            f"{burst}:NCYCles",
            set=lambda a: setattr(output, "cycles", _cycles(a)),
            get=number_of(output, "cycles"),
        )
        self.on(f"{burst}:PHASe", **bounded(output, "burst_phase_deg", -360.0, 360.0))
        self.on(f"{burst}:INTernal:PERiod", **bounded(output, "burst_period_s", 1e-6, 8000.0))
        self.on(f"{burst}:GATE:POLarity", **word(output, "gate_polarity", "NORMal", "INVerted"))
        self.on(
            f"{trigger}:SOURce",
            set=lambda a: output.set_source(a.choice("IMMediate", "EXTernal", "TIMer", "BUS")),
            get=lambda _: output.source,
        )
        self.on(f"{trigger}:SLOPe", **word(output, "slope", "POSitive", "NEGative"))
        self.on(f"{trigger}:COUNt", **bounded(output, "trigger_count", 1.0, 1e6))
        self.on(f"{trigger}:DELay", **bounded(output, "trigger_delay_s", 0.0, 1000.0))
        self.on(f"{trigger}:TIMer", **bounded(output, "timer_s", 1e-6, 8000.0))


def _highest_hz(model: str) -> float:
    """Return the highest frequency of a sine."""
    return FAST_HZ.get(model, SLOW_HZ if model < "33519B" else MIDDLE_HZ)


def _output_model(model: str) -> OutputModel:
    if model not in FAST_HZ:
        return OutputModel(16e-9, 8.4e-9, 1 / _highest_hz(model))
    if model in {"33611A", "33612A"}:
        return OutputModel(8e-9, 4e-9, 1 / 80e6)
    return OutputModel(5e-9, 2.9e-9, 1 / 100e6)


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
