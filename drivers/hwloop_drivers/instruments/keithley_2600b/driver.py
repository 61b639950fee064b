"""Keithley 2600B System SourceMeter (TSP); commands after its reference manual, 2600BS-901-01."""

from __future__ import annotations

from collections.abc import Mapping

from typing_extensions import override

from hwloop.errors import UnexpectedReply
from hwloop_drivers.instruments.families.identified import KEITHLEY
from hwloop_drivers.instruments.families.tsp import TspInstrument
from hwloop_drivers.instruments.keithley_2600b.channel import Keithley2600BChannel
from hwloop_drivers.instruments.keithley_2600b.models import (
    MODELS,
    Keithley2600BSettings,
    near_models,
)
from hwloop_drivers.instruments.kind import InstrumentKind
from hwloop_drivers.links.link import Link
from hwloop_drivers.roles import PulseGenerator, SourceMeter


class Keithley2600B(TspInstrument):
    """A 2600B with its one or two channels, ``a`` and ``b``."""

    makers, models = KEITHLEY, tuple(MODELS)

    def __init__(self, link: Link, settings: Keithley2600BSettings) -> None:
        super().__init__(link, settings)
        self.models, self.near = (settings.model,), near_models(settings.model)
        letters = MODELS[settings.model].letters
        self._channels = {
            letter: Keithley2600BChannel(link, settings, letter) for letter in letters
        }

    @override
    def reset(self) -> None:
        super().reset()
        for channel in self._channels.values():
            channel.forget()

    @override
    def outputs(self) -> Mapping[str, SourceMeter | PulseGenerator]:
        return dict(self._channels)

    @override
    def read_back(self) -> dict[str, object]:
        return {
            f"{letter}.{name}": value
            for letter, channel in self._channels.items()
            for name, value in channel.read_back().items()
        }

    @override
    def safe_state(self) -> None:
        self.link.write("abort")
        for channel in self._channels.values():
            channel.turn_off()
        still_on = [letter for letter, c in self._channels.items() if c.source_enabled]
        if still_on:
            raise UnexpectedReply(
                f"{self.link.address}: output {' and '.join(still_on)} is still on"
            )


KEITHLEY_2600B = InstrumentKind(
    name="keithley_2600b",
    summary="Keithley 2600B SourceMeter family, one or two channels, TSP",
    settings=Keithley2600BSettings,
    make=Keithley2600B,
    proof=(
        "the manual and data sheets; PyMeasure's and QCoDeS's drivers run its virtual instrument;"
        " never met hardware"
    ),
)
