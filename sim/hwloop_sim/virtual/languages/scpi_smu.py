"""Common parts of virtual source-measure units that speak SCPI."""

from __future__ import annotations

import math
from collections.abc import Callable

from typing_extensions import override

from hwloop_sim.virtual.circuit.smu import CURR, OTHER, VOLT, Smu, SmuError
from hwloop_sim.virtual.languages.scpi import (
    ILLEGAL,
    OUT_OF_RANGE,
    Arguments,
    ScpiError,
    VirtualScpiInstrument,
    scientific,
)

FORMS = {VOLT: "VOLTage", CURR: "CURRent"}
Lists = Callable[[], dict[str, list[float]]]
OFF_MODES = ("HIMPedance", "NORMal", "ZERO", "GUARd")


class ScpiSmu(VirtualScpiInstrument):
    """An instrument that refuses what its channels cannot do as a parameter out of range."""

    @override
    def _run(self, header: str, arguments: Arguments, *, asks: bool) -> str | None:
        try:
            return super()._run(header, arguments, asks=asks)
        except SmuError:
            raise ScpiError(*OUT_OF_RANGE) from None

    def add_source(self, header: str, function: str, smu: Smu) -> None:
        """Register level and range, fixed or automatic, of a channel's source."""
        most = smu.model.most(function)
        self.on(
            f"{header}[:LEVel][:IMMediate][:AMPLitude]",
            set=lambda a: smu.set_level(
                function, a.number(lowest=-most, highest=most, default=0.0)
            ),
            get=lambda _: scientific(smu.levels[function]),
        )
        self._add_range(f"{header}:RANGe", function, smu, measuring=False)

    def add_measure_range(self, header: str, function: str, smu: Smu) -> None:
        """Register the range, fixed or automatic, of a channel's meter."""
        self._add_range(f"{header}:RANGe", function, smu, measuring=True)

    def _add_range(self, header: str, function: str, smu: Smu, *, measuring: bool) -> None:
        told = smu.set_measure_range if measuring else smu.set_source_range
        most = smu.model.ranges(function)[-1] * smu.model.over

        def ranges() -> dict[str, float]:
            return smu.measure_range if measuring else smu.source_range

        self.on(
            f"{header}[:UPPer]" if measuring else header,
            set=lambda a: told(function, a.number(lowest=-most, highest=most)),
            get=lambda _: scientific(ranges()[function]),
        )
        self.flag_in(
            f"{header}:AUTO",
            lambda: smu.measure_auto if measuring else smu.source_auto,
            function,
        )

    def add_limit(self, header: str, function: str, smu: Smu) -> None:
        """Register the limit of the other quantity while ``function`` is sourced."""
        most = smu.model.most(OTHER[function])
        self.on(
            header,
            set=lambda a: smu.set_limit(function, a.number(lowest=-most, highest=most)),
            get=lambda _: scientific(smu.limits[function]),
        )

    def add_list(
        self,
        header: str,
        function: str,
        smu: Smu,
        lists: Lists,
        *,
        line: int,
        most: int,
        any_range: bool = False,
    ) -> None:
        """Register the levels of a list sweep: ``line`` in a message, ``most`` altogether.

        ``any_range``: levels beyond a locked range are accepted.
        """

        def told(arguments: Arguments, before: list[float]) -> None:
            values = arguments.numbers()
            if len(values) > line or len(before) + len(values) > most:
                raise ScpiError(-223, "Too much data")
            for value in values:
                if any_range:
                    smu.model.range_for(function, value)
                else:
                    smu.check_level(function, value)
            lists()[function] = [*before, *values]

        self.on(
            header,
            set=lambda a: told(a, []),
            get=lambda _: ",".join(scientific(v) for v in lists()[function]),
        )
        self.on(f"{header}:APPend", set=lambda a: told(a, lists()[function]))
        self.on(f"{header}:POINts", get=lambda _: str(len(lists()[function])))

    def add_switch(self, header: str, smu: Smu) -> None:
        """Register the output relay of a channel."""
        self.on(
            f"{header}[:STATe]",
            set=lambda a: smu.switch(on=a.boolean()),
            get=lambda _: str(int(smu.on)),
        )

    def flag_in(self, header: str, flags: Callable[[], dict[str, bool]], key: str) -> None:
        """Register an ON/OFF setting that is kept in a mapping."""
        self.on(
            header,
            set=lambda a: flags().update({key: a.boolean()}),
            get=lambda _: str(int(flags()[key])),
        )

    def number_at(
        self,
        header: str,
        name: str,
        *,
        lowest: float = -math.inf,
        highest: float = math.inf,
        default: float | None = None,
    ) -> None:
        """Register a number that is an attribute of this instrument."""
        self.on(
            header,
            set=lambda a: setattr(
                self, name, a.number(lowest=lowest, highest=highest, default=default)
            ),
            get=lambda _: scientific(getattr(self, name)),
        )

    def flag_at(self, header: str, name: str) -> None:
        """Register an ON/OFF setting that is an attribute of this instrument."""
        self.on(
            header,
            set=lambda a: setattr(self, name, a.boolean()),
            get=lambda _: str(int(getattr(self, name))),
        )


def function_of(arguments: Arguments) -> str:
    """Parse VOLT or CURR, the function of a source."""
    return arguments.choice(FORMS[VOLT], FORMS[CURR])


def sense_function(word: str) -> str:
    """Parse VOLT, CURR or RES from a name such as ``"CURRent:DC"``."""
    head = word.strip().strip("'\"").partition(":")[0]
    return Arguments((head,)).choice(FORMS[VOLT], FORMS[CURR], "RESistance")


def refuse_unless(*, holds: bool) -> None:
    """Raise the error for an illegal parameter unless the condition holds."""
    if not holds:
        raise ScpiError(*ILLEGAL)
