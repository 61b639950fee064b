"""A Keysight B2900 source-measure unit with one or two channels.

Commands after the SCPI command reference, B2910-90030; ranges, resolutions, power envelope, pulse
and trigger times after the data sheet, 5990-7009EN.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from typing_extensions import override

from hwloop.errors import ConfigError
from hwloop_sim.virtual.circuit.smu import CURR, OTHER, OVERFLOW, VOLT, Smu, SmuReading
from hwloop_sim.virtual.instruments.keysight_b2900.channel import (
    LEAST_APERTURE_S,
    MOST_APERTURE_S,
    MOST_LIST,
    TriggeredChannel,
)
from hwloop_sim.virtual.instruments.keysight_b2900.models import MODELS
from hwloop_sim.virtual.instruments.keysight_b2900.trigger_commands import (
    ACTIONS,
    MOST_TIME_S,
    add_sweep,
    add_triggers,
    channels_of,
)
from hwloop_sim.virtual.instruments.keysight_b2900.triggers import run
from hwloop_sim.virtual.languages.scpi import (
    ILLEGAL,
    OUT_OF_RANGE,
    Arguments,
    ScpiError,
    scientific,
)
from hwloop_sim.virtual.languages.scpi_smu import FORMS, ScpiSmu, function_of, sense_function

LEAST_PULSE_S = 5e-5
ELEMENTS = ("VOLT", "CURR", "RES", "TIME", "STAT", "SOUR")
ELEMENT_FORMS = ("VOLTage", "CURRent", "RESistance", "TIME", "STATus", "SOURce")
OFF_MODES = {"ZERO": "ZERO", "HIZ": "HIMP", "NORM": "NORM"}


class KeysightB2900(ScpiSmu):
    """A B2900 with outputs named as the instrument, or with two channels ``.1`` and ``.2``.

    ``range_limits`` in the settings: whether a measurement range limits the output to what it can
    show, as in a 2450; no text says so, and none says that it does not.
    """

    def __init__(self, *args: Any, settings: Mapping[str, object], **kwargs: Any) -> None:
        super().__init__(*args, settings=settings, **kwargs)
        self._model = str(settings.get("model", "B2901A"))
        if self._model not in MODELS:
            raise ConfigError(
                f"{self._model!r}: a B2900 is one of {', '.join(MODELS)}", key="model"
            )
        data, count, self._least_interval_s = MODELS[self._model]
        data = replace(data, range_limits=bool(settings.get("range_limits", False)))
        self.identity = f"Keysight Technologies,{self._model},MY00000000,5.0.2037.1537"
        self._names = [""] if count == 1 else ["1", "2"]
        self._channels = []
        for name in self._names:
            output = f"{self._name}.{name}" if name else self._name
            smu = Smu(output, data, self._circuit, self._clock, self._noise)
            self._channels.append(TriggeredChannel(smu, self._clock, line_hz=50.0))
        self._elements = list(ELEMENTS)
        for number, channel in enumerate(self._channels, start=1):
            self._add_channel(number, channel)
        self._add_box()

    @override
    def trip(self) -> None:
        for channel in self._channels:
            channel.smu.switch(on=False)

    @override
    def output_states(self) -> dict[str, bool]:
        return {n: c.smu.on for n, c in zip(self._names, self._channels, strict=True)}

    @override
    def reset(self) -> None:
        self._elements = list(ELEMENTS)
        for channel in self._channels:
            channel.reset()
        self.reset_kept()

    @override
    def _add_common(self) -> None:
        self.on("*WAI", set=lambda _: self._refuse_waiting())
        self.on("*OPC", get=lambda _: self._when_done())
        super()._add_common()

    def _add_channel(self, number: int, channel: TriggeredChannel) -> None:
        suffix = "[1]" if number == 1 else str(number)
        source = f"[:SOURce{suffix}]" if number == 1 else f":SOURce{suffix}"
        self._add_source(source, channel)
        for function in (VOLT, CURR):
            self._add_level(f"{source}:{FORMS[function]}", source, function, channel)
            self._add_sense(f":SENSe{suffix}:{FORMS[function]}[:DC]", function, channel)
        self._add_functions(f":SENSe{suffix}", channel)
        self._add_output(f":OUTPut{suffix}", channel)
        add_triggers(self, suffix, channel, least_interval_s=self._least_interval_s)

    def _add_source(self, header: str, channel: TriggeredChannel) -> None:
        self.on(
            f"{header}:FUNCtion:MODE",
            set=lambda a: channel.smu.set_function(function_of(a)),
            get=lambda _: channel.smu.function,
        )
        self.on(
            f"{header}:FUNCtion[:SHAPe]",
            set=lambda a: setattr(channel, "shape", a.choice("DC", "PULSe")),
            get=lambda _: channel.shape,
        )
        self._time(f"{header}:PULSe:DELay", channel, "pulse_delay_s", 0.0)
        self._time(f"{header}:PULSe:WIDTh", channel, "pulse_width_s", LEAST_PULSE_S)
        self.switch_kept(f"{header}:WAIT[:STATe]", on=True)

    def _add_level(
        self, header: str, source: str, function: str, channel: TriggeredChannel
    ) -> None:
        smu = channel.smu
        most = smu.model.most(function)

        def trigger_level(arguments: Arguments) -> None:
            level = arguments.number(lowest=-most, highest=most)
            smu.check_level(function, level)
            channel.triggered[function] = level

        self.add_source(header, function, smu)
        self.on(
            f"{header}[:LEVel]:TRIGgered[:AMPLitude]",
            set=trigger_level,
            get=lambda _: scientific(channel.trigger_level(function)),
        )
        self.on(
            f"{header}:MODE",
            set=lambda a: channel.modes.update({function: a.choice("FIXed", "LIST", "SWEep")}),
            get=lambda _: channel.modes[function],
        )
        self.add_list(
            f"{source}:LIST:{FORMS[function]}",
            function,
            smu,
            lambda: channel.lists,
            line=MOST_LIST,
            most=MOST_LIST,
        )
        add_sweep(self, header, f"{source}:SWEep", function, channel)

    def _add_sense(self, header: str, function: str, channel: TriggeredChannel) -> None:
        smu, sourced = channel.smu, OTHER[function]
        for side in ("[:BOTH]", ":POSitive", ":NEGative"):  # one limit for both signs here
            self.add_limit(f"{header}:PROTection[:LEVel]{side}", sourced, smu)
        self.on(
            f"{header}:PROTection:TRIPped",
            get=lambda _: str(int(smu.limited and smu.function == sourced)),
        )
        self._add_measure_range(header, function, smu)
        line_hz = channel.line_hz
        self.on(
            f"{header}:APERture",
            set=lambda a: setattr(channel, "aperture_s", _aperture_s(a.number())),
            get=lambda _: scientific(channel.aperture_s),
        )
        self.on(
            f"{header}:NPLCycles",
            set=lambda a: setattr(channel, "aperture_s", _aperture_s(a.number() / line_hz)),
            get=lambda _: scientific(channel.nplc),
        )

    def _add_measure_range(self, header: str, function: str, smu: Smu) -> None:
        """Register the range of a meter; none above that of its limit is used: guide, 6-4."""

        def told(arguments: Arguments) -> None:
            most = smu.model.ranges(function)[-1] * smu.model.over
            value = arguments.number(lowest=-most, highest=most)
            if OTHER[smu.function] == function:
                value = min(abs(value), smu.limit_range(smu.function))
            smu.set_measure_range(function, value)

        self.on(f"{header}:RANGe[:UPPer]", set=told)  # before the usual one, which answers
        self.add_measure_range(header, function, smu)
        most = smu.model.ranges(function)[-1]
        self.on(
            f"{header}:RANGe:AUTO:LLIMit",
            set=lambda a: smu.least_auto_range.update({function: a.number(lowest=0, highest=most)}),
            get=lambda _: scientific(smu.least_auto_range[function]),
        )

    def _add_functions(self, header: str, channel: TriggeredChannel) -> None:
        def sense(arguments: Arguments) -> None:
            channel.senses = channel.senses | {sense_function(v) for v in arguments.values}

        def unsense(arguments: Arguments) -> None:
            channel.senses = channel.senses - {sense_function(v) for v in arguments.values}

        self.on(
            f"{header}:FUNCtion[:ON]",
            set=sense,
            get=lambda _: ",".join(f'"{word}"' for word in sorted(channel.senses)),
        )
        self.on(f"{header}:FUNCtion:OFF", set=unsense)
        self.on(f"{header}:FUNCtion:OFF:ALL", set=lambda _: channel.senses.clear())
        self.on(
            f"{header}:REMote",
            set=lambda a: setattr(channel, "four_wire", a.boolean()),
            get=lambda _: str(int(channel.four_wire)),
        )
        self.on(
            f"{header}:WAIT[:STATe]",
            set=lambda a: setattr(channel, "measure_wait", a.boolean()),
            get=lambda _: str(int(channel.measure_wait)),
        )

    def _add_output(self, header: str, channel: TriggeredChannel) -> None:
        smu = channel.smu
        words = {mode: word for word, mode in OFF_MODES.items()}
        self.add_switch(header, smu)
        self.on(
            f"{header}:ON:AUTO",
            set=lambda a: setattr(channel, "auto_on", a.boolean()),
            get=lambda _: str(int(channel.auto_on)),
        )
        self.on(
            f"{header}:OFF:MODE",
            set=lambda a: smu.set_off_mode(OFF_MODES[a.choice("ZERO", "HIZ", "NORMal")]),
            get=lambda _: words[smu.off_mode],
        )
        self.switch_kept(f"{header}:OFF:AUTO", on=False)
        self.switch_kept(f"{header}:HCAPacitance[:STATe]", on=False)
        self.switch_kept(f"{header}:PROTection[:STATe]", on=False)
        self.keep(f"{header}:LOW", "GRO", "GROund", "FLOating")

    def _add_box(self) -> None:
        for form, actions in ACTIONS.items():
            if form != ":ALL":  # which may be left out
                middle = form or "[:ALL]"
                self.on(
                    f":INITiate[:IMMediate]{middle}",
                    set=lambda a, which=actions: self._initiate(a, which),  # type: ignore[misc]
                )
                self.on(f":ABORt{middle}", set=self._abort)
                self.on(
                    f":TRIGger{middle}[:IMMediate]", set=lambda a: self._trigger(self._listed(a))
                )
                self.on(f":ARM{middle}[:IMMediate]", set=lambda a: self._trigger(self._listed(a)))
        self.on("*TRG", set=lambda _: self._trigger(self._channels))
        self.on(":FORMat:ELEMents:SENSe", set=self._set_elements, get=self._get_elements)
        self.keep(":FORMat[:DATA]", "ASC", "ASCii")
        self.keep(":SYSTem:LFRequency", "50")
        self.on(":FETCh:ARRay", get=lambda a: self._fetch(a, self._elements))
        self.on(":MEASure", get=lambda a: self._measure(a, self._elements))
        for word, form in zip(ELEMENTS, ELEMENT_FORMS, strict=True):
            self.on(f":FETCh:ARRay:{form}", get=lambda a, w=word: self._fetch(a, [w]))  # type: ignore[misc]
            if word in {"VOLT", "CURR", "RES"}:
                self.on(f":MEASure:{form}[:DC]", get=lambda a, w=word: self._measure(a, [w]))  # type: ignore[misc]

    def _listed(self, arguments: Arguments) -> list[TriggeredChannel]:
        """Return the channels of a list such as ``(@1,2)``; the first where there is none."""
        text = arguments.values[0] if arguments.values else "(@1)"
        if not (text.startswith("(@") and text.endswith(")")):
            raise ScpiError(*ILLEGAL)
        numbers = channels_of(text[2:-1])
        known = {str(n): c for n, c in enumerate(self._channels, start=1)}
        if any(number not in known for number in numbers):
            raise ScpiError(*OUT_OF_RANGE)
        return [known[number] for number in numbers]

    def _initiate(self, arguments: Arguments, actions: tuple[str, ...]) -> None:
        channels = self._listed(arguments)
        for channel in channels:
            refusal = channel.refusal(actions)
            if refusal:
                raise ScpiError(-221, f"Settings conflict; {refusal}")
        run(self._clock, [event for channel in channels for event in channel.initiate(actions)])

    def _trigger(self, channels: list[TriggeredChannel]) -> None:
        if not any(channel.waiting for channel in channels):
            raise ScpiError(-211, "Trigger ignored")
        run(self._clock, [event for c in channels for event in c.triggered_events()])

    def _abort(self, arguments: Arguments) -> None:
        for channel in self._listed(arguments):
            channel.waiting.clear()

    def _refuse_waiting(self) -> None:
        """Refuse to wait for triggers of which none can come while the instrument waits."""
        if any(channel.waiting for channel in self._channels):
            raise ScpiError(-214, "Trigger deadlock")

    def _when_done(self) -> str:
        self._refuse_waiting()
        return "1"

    def _set_elements(self, arguments: Arguments) -> None:
        words = {Arguments((value,)).choice(*ELEMENT_FORMS) for value in arguments.values}
        self._elements = [word for word in ELEMENTS if word in words]

    def _get_elements(self, _: Arguments) -> str:
        return ",".join(self._elements)

    def _fetch(self, arguments: Arguments, elements: list[str]) -> str:
        values = []
        for channel in self._listed(arguments):
            for reading, level in zip(channel.readings, channel.sourced, strict=True):
                shown = _values(channel, reading, level)
                values += [scientific(shown[word]) for word in elements]
        if not values:
            raise ScpiError(-230, "Data corrupt or stale")
        return ",".join(values)

    def _measure(self, arguments: Arguments, elements: list[str]) -> str:
        for channel in self._listed(arguments):
            if not (channel.smu.on or channel.auto_on):
                raise ScpiError(-221, "Settings conflict; the output is off")
            channel.readings, channel.sourced = [], []
            if not channel.smu.on:
                channel.smu.switch(on=True)
            channel.measure()
        return self._fetch(arguments, elements)

    def _time(self, header: str, channel: TriggeredChannel, name: str, least_s: float) -> None:
        self.on(
            header,
            set=lambda a: setattr(channel, name, a.number(lowest=least_s, highest=MOST_TIME_S)),
            get=lambda _: scientific(getattr(channel, name)),
        )


def _values(channel: TriggeredChannel, reading: SmuReading, level: float) -> dict[str, float]:
    over = bool(reading.over) or not reading.amperes
    return {
        "VOLT": reading.volts,
        "CURR": reading.amperes,
        "RES": OVERFLOW if over else reading.volts / reading.amperes,
        "TIME": reading.time_s,
        "STAT": channel.status(reading),
        "SOUR": level,
    }


def _aperture_s(asked_s: float) -> float:
    """Return the aperture that is set: out of bounds it is the bound, without an error; 4-73."""
    return min(max(asked_s, LEAST_APERTURE_S), MOST_APERTURE_S)
