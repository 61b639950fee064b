"""A Keysight 81160A pulse function arbitrary generator with one or two outputs.

Commands after its user's guide, 81160-91021, so far as it is public, and after PyMeasure's driver,
which has met the instrument; of no known source are ``:OUTP:POL`` and ``:PULS:TRAN``. In triggered
mode each trigger starts one burst, and one that comes during a burst is ignored (page 92). Nothing
waits for the end of a burst: it goes on while messages are obeyed, in the time of the host.
"""

from __future__ import annotations

import time
from typing import Any

from typing_extensions import override

from hwloop_sim.virtual.instruments.families.generator_box import VirtualGenerator
from hwloop_sim.virtual.instruments.families.generator_handlers import (
    bounded,
    exact,
    number_of,
    word,
)
from hwloop_sim.virtual.instruments.families.generator_output import (
    CONFLICT,
    Output,
    OutputModel,
)
from hwloop_sim.virtual.languages.scpi import Arguments, ScpiError

FUNCTIONS = ("SINusoid", "SQUare", "RAMP", "PULSe", "NOISe", "DC", "USER")
SHAPES = ("SINusoid", "SQUare", "RAMP", "PULSe", "NOISe", "USER")
LEAST_OHM, MOST_OHM = 0.3, 1e6
MOST_COUNT = 2_147_483_647
MOST_HZ, LEAST_HZ = 500e6, 1e-6
MODEL = OutputModel(
    least_width_s=1.5e-9,
    least_edge_s=1e-9,
    least_period_s=3.03e-9,
    least_vpp=0.1,
    most_vpp=10.0,
    start_vpp=0.2,
    width_step_s=1e-11,
    edges=1.6,  # a period holds its width and 1.6 edges: page 142
    no_burst=frozenset({"DC"}),
)
SLOTS = 4  # of user waveforms in non-volatile memory


class Keysight81160A(VirtualGenerator):
    """A generator with outputs ``name.1`` and ``name.2``, or one named as the instrument."""

    identity = "Agilent Technologies,81160A,MY00000000,1.0.3.0-2.6"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        count = int(kwargs["settings"].get("channels", 2))
        self.make_outputs(range(1, count + 1), MODEL)
        self._fired_host_s = 0.0
        for number, output in self._outputs.items():
            self._add_output("[1]" if number == 1 else str(number), output)
        self.reset()
        self.on("*TRG", set=lambda _: self._trigger())
        self.on(":SYSTem:BEEPer[:IMMediate]", set=lambda _: None)
        self.on(":DISPlay:TEXT", set=lambda _: None)

    @override
    def receive(self, message: str) -> str | None:
        self._let_bursts_go_on()
        return super().receive(message)

    @override
    def reset(self) -> None:
        self.reset_kept()
        for output in self._outputs.values():
            output.reset()
            output.burst = True  # triggered or not is a matter of the arming source alone
            output.edge_s = MODEL.least_edge_s

    def _let_bursts_go_on(self) -> None:
        busy = [output for output in self._outputs.values() if output.busy]
        if busy:
            gone_s = time.monotonic() - self._fired_host_s
            self._fired_host_s += gone_s
            self._clock.advance(min(gone_s, max(output.left_s for output in busy)))

    def _trigger(self) -> None:
        self._fired_host_s = time.monotonic()
        for output in self._outputs.values():
            if output.armed:
                output.fire()

    def _add_output(self, n: str, output: Output) -> None:
        volts, port = f"[:SOURce]:VOLTage{n}", f":OUTPut{n}"
        self.add_levels(volts, port, output, load_ohm=_load_ohm)
        self._add_functions(n, output)
        self._add_pulses(n, output)
        self._add_triggers(n, output)
        self._add_memory(n)
        for form in SHAPES:
            self.on(
                f":APPLy{n}:{form}",
                set=lambda a, f=form: self._apply(output, f, a),  # type: ignore[misc]
            )
        self.on(f":APPLy{n}:DC", set=lambda a: self._apply(output, "DC", a))

    def _add_functions(self, n: str, output: Output) -> None:
        self.on(
            f"[:SOURce]:FUNCtion{n}[:SHAPe]",
            set=lambda a: self._set_function(output, a),
            get=lambda _: output.function,
        )
        self.on(
            f"[:SOURce]:FREQuency{n}[:CW]",
            set=lambda a: output.set_period(1 / a.number(lowest=LEAST_HZ, highest=MOST_HZ)),
            get=lambda _: exact(1 / output.period_s),
        )
        self.on(f"[:SOURce]:PHASe{n}[:ADJust]", **bounded(output, "phase_deg", -360.0, 360.0))
        function = f"[:SOURce]:FUNCtion{n}"
        self.on(f"{function}:SQUare:DCYCle", **bounded(output, "square_percent", 1.5e-4, 99.99985))
        self.on(f"{function}:RAMP:SYMMetry", **bounded(output, "symmetry_percent", 0.0, 100.0))
        self.keep_word(f"{function}:USER", "EXP_RISE")
        self.switch_kept(f":TRACk:CHANnel{n}", on=False)

    def keep_word(self, header: str, default: str) -> None:
        """Register a name that has no effect here, and is returned as it was set."""
        self._kept[header] = self._defaults[header] = default
        self.on(
            header,
            set=lambda a: self._kept.update({header: a.text().upper()}),
            get=lambda _: self._kept[header],
        )

    def _set_function(self, output: Output, arguments: Arguments) -> None:
        output.function = arguments.choice(*FUNCTIONS)
        output.abort()

    def _add_pulses(self, n: str, output: Output) -> None:
        headers = {
            "width": f":PULSe:WIDTh{n}",
            "period": f":PULSe:PERiod{n}",
            "cycle": f":PULSe:DCYCle{n}",
            "hold": f":PULSe:HOLD{n}",
        }
        self.add_width(
            headers,
            output,
            widths={"lowest": MODEL.least_width_s, "highest": 1e6},
            periods={"lowest": MODEL.least_period_s, "highest": 1e6},
        )
        edges = bounded(output, "edge_s", MODEL.least_edge_s, 1e3)
        for header in (
            f":PULSe:TRANsition{n}[:LEADing]",
            f"[:SOURce]:FUNCtion{n}:PULSe:TRANsition",
        ):
            self.on(header, **edges)

    def _add_triggers(self, n: str, output: Output) -> None:
        self.on(
            f":ARM:SOURce{n}",
            set=lambda a: output.set_source(a.choice("IMMediate", "INT2", "EXTernal", "MANual")),
            get=lambda _: output.source,
        )
        for header in (f":TRIGger{n}:COUNt", f":BURSt{n}:NCYCles"):
            self.on(
                header,
                set=lambda a: setattr(
                    output, "cycles", round(a.number(lowest=1, highest=MOST_COUNT, default=1))
                ),
                get=number_of(output, "cycles"),
            )
        self.switch_kept(f":BURSt{n}:STATe", on=False)
        self.on(f":BURSt{n}:MODE", **word(output, "burst_mode", "TRIGgered", "GATed"))
        self.on(f":BURSt{n}:INTernal:PERiod", **bounded(output, "burst_period_s", 3.03e-9, 1e6))

    def _add_memory(self, n: str) -> None:
        names: list[str] = []

        def copy(arguments: Arguments) -> None:
            if len(names) >= SLOTS:
                raise ScpiError(CONFLICT, "Settings conflict; no free memory")
            names.append(arguments.text().upper())

        def delete(arguments: Arguments) -> None:
            name = arguments.text().upper()
            if name not in names:
                raise ScpiError(CONFLICT, "Settings conflict; no such waveform")
            names.remove(name)

        data = f":DATA{n}"
        self.on(f"{data}:NVOLatile:FREE", get=lambda _: str(SLOTS - len(names)))
        self.on(f"{data}:NVOLatile:CATalog", get=lambda _: ",".join(f'"{name}"' for name in names))
        self.on(f"{data}:COPY", set=copy)
        self.on(f"{data}:DELete", set=delete)

    def _apply(self, output: Output, function: str, arguments: Arguments) -> None:
        """Set function, frequency, amplitude and offset at once, run freely, and switch on."""
        values = [v if v.upper() not in {"DEF", "DEFAULT"} else "" for v in arguments.values]
        frequency, amplitude, offset = ([*values, "", "", ""])[:3]
        self._set_function(output, Arguments((function,)))
        output.set_source("IMM")
        if frequency:
            output.set_period(1 / Arguments((frequency,)).number(lowest=LEAST_HZ, highest=MOST_HZ))
        if amplitude:
            output.set_amplitude(Arguments((amplitude,)).number())
        if offset:
            output.set_offset(Arguments((offset,)).number())
        output.switch(on=True)


def _load_ohm(arguments: Arguments) -> float:
    return arguments.number(lowest=LEAST_OHM, highest=MOST_OHM, default=50.0)
