"""An instrument whose outputs wait in triggered bursts."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import ClassVar

from typing_extensions import override

from hwloop.errors import UnexpectedReply
from hwloop_drivers.instruments.families.burst_dialect import Bounds, Dialect
from hwloop_drivers.instruments.families.burst_output import BurstOutput
from hwloop_drivers.instruments.families.scpi import ScpiInstrument
from hwloop_drivers.links.link import Link, LinkSettings
from hwloop_drivers.roles import PulseGenerator, SourceMeter


class BurstGenerator(ScpiInstrument):
    """A function generator with one output per dialect, named 1, 2, or not at all if it has one."""

    abort: ClassVar[str] = ""
    """What ends a burst under way; "" where switching off is all that does."""

    def __init__(
        self,
        link: Link,
        settings: LinkSettings,
        *,
        model: str,
        dialects: Mapping[int, Dialect],
        bounds: Bounds,
    ) -> None:
        super().__init__(link, settings)
        self.models = (model,)
        self._outputs = {
            str(n) if len(dialects) > 1 else "": BurstOutput(
                link, settings, f"{model} output {n}", dialect, bounds
            )
            for n, dialect in dialects.items()
        }

    @override
    def outputs(self) -> Mapping[str, SourceMeter | PulseGenerator]:
        return dict(self._outputs)

    @override
    def reset(self) -> None:
        super().reset()
        for output in self._outputs.values():
            output.forget()

    @override
    def read_back(self) -> dict[str, object]:
        return {
            f"{number}.{name}" if number else name: value
            for number, output in self._outputs.items()
            for name, value in output.read_back().items()
        }

    @override
    def rest_at_zero(self) -> bool:
        if self.abort:
            self.link.write(self.abort)
        # One that is off has let go already.
        resting = [
            not output.source_enabled or output.rest_at_zero() for output in self._outputs.values()
        ]
        return all(resting)

    @override
    def safe_state(self) -> None:
        # End every burst; each output to 0 V where it waits for triggers, then off, read back.
        if self.abort:
            self.link.write(self.abort)
        with ExitStack() as whatever_happens:
            for output in self._outputs.values():
                whatever_happens.callback(output.make_safe)
        still_on = [n or "1" for n, output in self._outputs.items() if output.source_enabled]
        if still_on:
            raise UnexpectedReply(
                f"{self.link.address}: output {' and '.join(still_on)} is still on"
            )
