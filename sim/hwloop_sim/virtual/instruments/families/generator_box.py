"""Base of virtual waveform generators: outputs, and the commands of their levels and terminals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from typing_extensions import override

from hwloop_sim.virtual.instruments.families.generator_handlers import (
    exact,
    flag_of,
    number_of,
    word,
)
from hwloop_sim.virtual.instruments.families.generator_output import Output, OutputModel
from hwloop_sim.virtual.languages.scpi import Arguments, VirtualScpiInstrument


class VirtualGenerator(VirtualScpiInstrument):
    """A generator with outputs ``name.1`` and ``name.2``, or one named as the instrument."""

    _outputs: dict[int, Output]

    def make_outputs(self, numbers: Sequence[int], model: OutputModel) -> None:
        """Make the outputs of the instrument."""
        names = {n: f"{self._name}.{n}" for n in numbers}
        if len(numbers) == 1:
            names = dict.fromkeys(numbers, self._name)
        self._outputs = {
            n: Output(name, self._circuit, self._clock, model) for n, name in names.items()
        }

    @override
    def trip(self) -> None:
        for output in self._outputs.values():
            output.switch(on=False)

    @override
    def output_states(self) -> dict[str, bool]:
        only = len(self._outputs) == 1
        return {"" if only else str(n): output.on for n, output in self._outputs.items()}

    def add_levels(
        self, volts: str, port: str, output: Output, *, load_ohm: Callable[[Arguments], float]
    ) -> None:
        """Register levels under the header ``volts``, and the terminal under ``port``."""
        settings: dict[str, tuple[Callable[[float], None], str]] = {
            "[:LEVel][:IMMediate][:AMPLitude]": (output.set_amplitude, "amplitude_v"),
            "[:LEVel][:IMMediate]:OFFSet": (output.set_offset, "offset_v"),
            "[:LEVel][:IMMediate]:HIGH": (output.set_high, "high_v"),
            "[:LEVel][:IMMediate]:LOW": (output.set_low, "low_v"),
            ":LIMit:HIGH": (output.set_limit_high, "limit_high_v"),
            ":LIMit:LOW": (output.set_limit_low, "limit_low_v"),
        }
        for header, (told, name) in settings.items():
            self.on(f"{volts}{header}", set=_numbered(told), get=number_of(output, name))
        self.on(
            f"{volts}:LIMit:STATe",
            set=lambda a: output.set_limited(on=a.boolean()),
            get=flag_of(output, "limited"),
        )
        self.on(f"{volts}:UNIT", **word(output, "unit", "VPP", "VRMS", "DBM"))
        self.on(
            f"{port}[:STATe]",
            set=lambda a: output.switch(on=a.boolean()),
            get=flag_of(output, "on"),
        )
        self.on(
            f"{port}:LOAD",
            set=lambda a: output.set_load(load_ohm(a)),
            get=number_of(output, "load_ohm"),
        )
        self.on(
            f"{port}:POLarity",
            set=lambda a: output.set_polarity(a.choice("NORMal", "INVerted")),
            get=lambda _: output.polarity,
        )

    def add_width(
        self, headers: dict[str, str], output: Output, *, widths: Any, periods: Any
    ) -> None:
        """Register width, period, duty cycle; ``widths``, ``periods``: the bounds of both."""
        self.on(
            headers["width"],
            set=lambda a: output.set_width(a.number(**widths)),
            get=number_of(output, "width_s"),
        )
        self.on(
            headers["period"],
            set=lambda a: output.set_period(a.number(**periods)),
            get=number_of(output, "period_s"),
        )
        self.on(
            headers["cycle"],
            set=lambda a: output.set_width(a.number(lowest=0, highest=100) / 100 * output.period_s),
            get=lambda _: exact(100 * output.width_s / output.period_s),
        )
        self.on(headers["hold"], **word(output, "hold", "WIDTh", "DCYCle"))


def _numbered(told: Callable[[float], None]) -> Callable[[Arguments], None]:
    return lambda arguments: told(arguments.number())
