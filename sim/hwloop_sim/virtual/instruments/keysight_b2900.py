"""A Keysight B2900 source-measure unit with one or two channels.

Commands after the SCPI command reference, B2910-90030; ranges, resolutions, power envelope, pulse
and trigger times after the data sheet, 5990-7009EN. The data sheet has no noise at one power line
cycle: 2 ppm of the range is assumed, which at 0.001 cycles is well within its derating.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from hwloop.errors import ConfigError
from hwloop_sim.virtual.instruments.keysight_b2900_channel import (
    ACQUIRE,
    LEAST_APERTURE_S,
    MOST_APERTURE_S,
    MOST_LIST,
    TRANSIENT,
    Channel,
    run,
)
from hwloop_sim.virtual.scpi import ILLEGAL, OUT_OF_RANGE, Arguments, ScpiError, scientific
from hwloop_sim.virtual.scpi_smu import FORMS, ScpiSmu, function_of, sense_function
from hwloop_sim.virtual.smu import CURR, OTHER, OVERFLOW, VOLT, Smu, SmuModel, SmuReading

NOISE_OF_RANGE = 2e-6
_RANGES_A = (1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1.5, 3.0)
_B2901A = SmuModel(
    ranges_v=(0.2, 2.0, 20.0, 200.0),
    ranges_a=_RANGES_A,
    over=1.05,
    envelope=((6.0, 3.03), (21.0, 1.515), (210.0, 0.105)),
    noise_a=tuple(NOISE_OF_RANGE * r for r in _RANGES_A),
    noise_of_v=NOISE_OF_RANGE,
    reading_steps=1e6,
    source_steps=2e5,
    settle_s=5e-5,
    least_limit_a=1e-9,
    least_limit_v=0.02,
)
_LOW_A = (1e-8, *_RANGES_A)
_B2911A = replace(
    _B2901A,
    ranges_a=_LOW_A,
    noise_a=tuple(NOISE_OF_RANGE * r for r in _LOW_A),
    source_steps=2e6,
)
MODELS = {
    "B2901A": (_B2901A, 1, 2e-5),
    "B2902A": (_B2901A, 2, 2e-5),
    "B2911A": (_B2911A, 1, 1e-5),
    "B2912A": (_B2911A, 2, 1e-5),
}
"""Of a model: its channels' data, their number, the least interval of their triggers."""
LEAST_PULSE_S, MOST_TIME_S = 5e-5, 1e5
MOST_TRIGGERS = 100_000
ELEMENTS = ("VOLT", "CURR", "RES", "TIME", "STAT", "SOUR")
ELEMENT_FORMS = ("VOLTage", "CURRent", "RESistance", "TIME", "STATus", "SOURce")
ACTIONS = {"": (TRANSIENT, ACQUIRE), ":ALL": (TRANSIENT, ACQUIRE)} | {
    ":TRANsient": (TRANSIENT,),
    ":ACQuire": (ACQUIRE,),
}
OFF_MODES = {"ZERO": "ZERO", "HIZ": "HIMP", "NORM": "NORM"}


class KeysightB2900(ScpiSmu):
    """Outputs named as the instrument, or with two channels ``.1`` and ``.2``."""

    def __init__(self, *args: Any, settings: Mapping[str, object], **kwargs: Any) -> None:
        super().__init__(*args, settings=settings, **kwargs)
        self._model = str(settings.get("model", "B2901A"))
        if self._model not in MODELS:
            raise ConfigError(
                f"{self._model!r}: a B2900 is one of {', '.join(MODELS)}", key="model"
            )
        data, count, self._least_interval_s = MODELS[self._model]
        self.identity = f"Keysight Technologies,{self._model},MY00000000,5.0.2037.1537"
        self._names = [""] if count == 1 else ["1", "2"]
        self._channels = []
        for name in self._names:
            output = f"{self._name}.{name}" if name else self._name
            smu = Smu(output, data, self._circuit, self._clock, self._noise)
            self._channels.append(Channel(smu, self._clock, line_hz=50.0))
        self._elements = list(ELEMENTS)
        for number, channel in enumerate(self._channels, start=1):
            self._add_channel(number, channel)
        self._add_box()

    def output_states(self) -> dict[str, bool]:
        """Whether each channel is on."""
        return {n: c.smu.on for n, c in zip(self._names, self._channels, strict=True)}

    def reset(self) -> None:
        """Every channel at 0 V and off."""
        self._elements = list(ELEMENTS)
        for channel in self._channels:
            channel.reset()
        self.reset_kept()

    def _add_channel(self, number: int, channel: Channel) -> None:
        suffix = "[1]" if number == 1 else str(number)
        source = f"[:SOURce{suffix}]" if number == 1 else f":SOURce{suffix}"
        self._add_source(source, channel)
        for function in (VOLT, CURR):
            self._add_level(f"{source}:{FORMS[function]}", source, function, channel)
            self._add_sense(f":SENSe{suffix}:{FORMS[function]}[:DC]", function, channel)
        self._add_functions(f":SENSe{suffix}", channel)
        self._add_output(f":OUTPut{suffix}", channel)
        for form, actions in ACTIONS.items():
            self._add_trigger(f":TRIGger{suffix}{form}", actions, channel)

    def _add_source(self, header: str, channel: Channel) -> None:
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

    def _add_level(self, header: str, source: str, function: str, channel: Channel) -> None:
        smu = channel.smu
        most = smu.model.most(function)

        def trigger_level(arguments: Arguments) -> None:
            level = arguments.number(lowest=-most, highest=most)
            smu.check_level(function, level)
            channel.triggered[function] = level

        self.on(
            f"{header}[:LEVel][:IMMediate][:AMPLitude]",
            set=lambda a: smu.set_level(function, a.number(lowest=-most, highest=most)),
            get=lambda _: scientific(smu.levels[function]),
        )
        self.on(f"{header}[:LEVel]:TRIGgered[:AMPLitude]", set=trigger_level)
        self.on(
            f"{header}:MODE",
            set=lambda a: channel.modes.update({function: a.choice("FIXed", "LIST")}),
            get=lambda _: channel.modes[function],
        )
        self._range(f"{header}:RANGe", function, channel, measuring=False)
        entries = f"{source}:LIST:{FORMS[function]}"
        self.on(
            entries,
            set=lambda a: _set_list(channel, function, a, []),
            get=lambda _: ",".join(scientific(v) for v in channel.lists[function]),
        )
        self.on(
            f"{entries}:APPend",
            set=lambda a: _set_list(channel, function, a, channel.lists[function]),
        )
        self.on(f"{entries}:POINts", get=lambda _: str(len(channel.lists[function])))

    def _range(self, header: str, function: str, channel: Channel, *, measuring: bool) -> None:
        smu = channel.smu
        told = smu.set_measure_range if measuring else smu.set_source_range
        most = smu.model.ranges(function)[-1] * smu.model.over

        def ranges() -> dict[str, float]:
            return smu.measure_range if measuring else smu.source_range

        def autos() -> dict[str, bool]:
            return smu.measure_auto if measuring else smu.source_auto

        self.on(
            f"{header}[:UPPer]" if measuring else header,
            set=lambda a: told(function, a.number(lowest=-most, highest=most)),
            get=lambda _: scientific(ranges()[function]),
        )
        self.on(
            f"{header}:AUTO",
            set=lambda a: autos().update({function: a.boolean()}),
            get=lambda _: str(int(autos()[function])),
        )

    def _add_sense(self, header: str, function: str, channel: Channel) -> None:
        smu, sourced = channel.smu, OTHER[function]
        most = smu.model.most(function)
        self.on(
            f"{header}:PROTection[:LEVel][:BOTH]",
            set=lambda a: smu.set_limit(sourced, a.number(lowest=-most, highest=most)),
            get=lambda _: scientific(smu.limits[sourced]),
        )
        self.on(
            f"{header}:PROTection:TRIPped",
            get=lambda _: str(int(smu.limited and smu.function == sourced)),
        )
        self._range(f"{header}:RANGe", function, channel, measuring=True)
        line_hz = channel.line_hz
        bounds = {"lowest": LEAST_APERTURE_S, "highest": MOST_APERTURE_S}
        self.on(
            f"{header}:APERture",
            set=lambda a: setattr(channel, "aperture_s", a.number(**bounds)),
            get=lambda _: scientific(channel.aperture_s),
        )
        cycles = {name: bound * line_hz for name, bound in bounds.items()}
        self.on(
            f"{header}:NPLCycles",
            set=lambda a: setattr(channel, "aperture_s", a.number(**cycles) / line_hz),
            get=lambda _: scientific(channel.nplc),
        )

    def _add_functions(self, header: str, channel: Channel) -> None:
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
        self.switch_kept(f"{header}:WAIT[:STATe]", on=True)

    def _add_output(self, header: str, channel: Channel) -> None:
        smu = channel.smu
        words = {mode: word for word, mode in OFF_MODES.items()}
        self.on(
            f"{header}[:STATe]",
            set=lambda a: smu.switch(on=a.boolean()),
            get=lambda _: str(int(smu.on)),
        )
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

    def _add_trigger(self, header: str, actions: tuple[str, ...], channel: Channel) -> None:
        def setting(
            name: str, parse: Callable[[Arguments], Any], show: Callable[[Any], str]
        ) -> Any:
            def told(arguments: Arguments) -> None:
                value = parse(arguments)
                for action in actions:
                    setattr(channel.triggers[action], name, value)

            def asked(_: Arguments) -> str:
                return show(getattr(channel.triggers[actions[0]], name))

            return {"set": told, "get": asked}

        least_s = self._least_interval_s
        self.on(f"{header}:SOURce", **setting("source", lambda a: a.choice("AINT", "TIMer"), str))
        interval = setting(
            "timer_s", lambda a: a.number(lowest=least_s, highest=MOST_TIME_S), scientific
        )
        self.on(f"{header}:TIMer", **interval)
        delay = setting("delay_s", lambda a: a.number(lowest=0, highest=MOST_TIME_S), scientific)
        self.on(f"{header}:DELay", **delay)
        count = setting("count", lambda a: int(a.number(lowest=1, highest=MOST_TRIGGERS)), str)
        self.on(f"{header}:COUNt", **count)

    def _add_box(self) -> None:
        self.on(":INITiate[:IMMediate][:ALL]", set=self._initiate)
        self.on(":ABORt[:ALL]", set=lambda a: _drop(self._listed(a)))
        self.on(":FORMat:ELEMents:SENSe", set=self._set_elements, get=self._get_elements)
        self.keep(":FORMat[:DATA]", "ASC", "ASCii")
        self.keep(":SYSTem:LFRequency", "50")
        self.on(":FETCh:ARRay", get=lambda a: self._fetch(a, self._elements))
        self.on(":MEASure", get=lambda a: self._measure(a, self._elements))
        for word, form in zip(ELEMENTS, ELEMENT_FORMS, strict=True):
            self.on(f":FETCh:ARRay:{form}", get=lambda a, w=word: self._fetch(a, [w]))  # type: ignore[misc]
            if word in {"VOLT", "CURR", "RES"}:
                self.on(f":MEASure:{form}[:DC]", get=lambda a, w=word: self._measure(a, [w]))  # type: ignore[misc]

    def _listed(self, arguments: Arguments) -> list[Channel]:
        """The channels of a list such as ``(@1,2)``; the first where there is none."""
        text = arguments.values[0] if arguments.values else "(@1)"
        if not (text.startswith("(@") and text.endswith(")")):
            raise ScpiError(*ILLEGAL)
        numbers = [part.strip() for part in text[2:-1].split(",")]
        known = {str(n): c for n, c in enumerate(self._channels, start=1)}
        if any(number not in known for number in numbers):
            raise ScpiError(*OUT_OF_RANGE)
        return [known[number] for number in numbers]

    def _initiate(self, arguments: Arguments) -> None:
        channels = self._listed(arguments)
        for channel in channels:
            refusal = channel.refusal()
            if refusal:
                raise ScpiError(-221, f"Settings conflict; {refusal}")
        run(self._clock, channels)

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
            channel.smu.switch(on=True)
            channel.measure()
        return self._fetch(arguments, elements)

    def _time(self, header: str, channel: Channel, name: str, least_s: float) -> None:
        self.on(
            header,
            set=lambda a: setattr(channel, name, a.number(lowest=least_s, highest=MOST_TIME_S)),
            get=lambda _: scientific(getattr(channel, name)),
        )


def _set_list(channel: Channel, function: str, arguments: Arguments, before: list[float]) -> None:
    values = arguments.numbers()
    if len(before) + len(values) > MOST_LIST:
        raise ScpiError(-223, "Too much data")
    for value in values:
        channel.smu.check_level(function, value)
    channel.lists[function] = [*before, *values]


def _values(channel: Channel, reading: SmuReading, level: float) -> dict[str, float]:
    over = bool(reading.over) or not reading.amperes
    return {
        "VOLT": reading.volts,
        "CURR": reading.amperes,
        "RES": OVERFLOW if over else reading.volts / reading.amperes,
        "TIME": reading.time_s,
        "STAT": channel.status(reading),
        "SOUR": level,
    }


def _drop(_: object) -> None:
    """Nothing is under way between messages."""
