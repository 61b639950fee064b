"""What virtual source-measure units that speak SCPI have in common."""

from __future__ import annotations

import math

from hwloop_sim.virtual.scpi import (
    ILLEGAL,
    OUT_OF_RANGE,
    Arguments,
    ScpiError,
    ScpiInstrument,
    scientific,
)
from hwloop_sim.virtual.smu import CURR, VOLT, SmuError

FORMS = {VOLT: "VOLTage", CURR: "CURRent"}
OFF_MODES = ("HIMPedance", "NORMal", "ZERO", "GUARd")


class ScpiSmu(ScpiInstrument):
    """A box whose channels refuse what they cannot do as parameters out of range."""

    def _run(self, header: str, arguments: Arguments, *, asks: bool) -> str | None:
        try:
            return super()._run(header, arguments, asks=asks)
        except SmuError:
            raise ScpiError(*OUT_OF_RANGE) from None

    def number_at(
        self,
        header: str,
        name: str,
        *,
        lowest: float = -math.inf,
        highest: float = math.inf,
        default: float | None = None,
    ) -> None:
        """Register a number that is an attribute of this box."""
        self.on(
            header,
            set=lambda a: setattr(
                self, name, a.number(lowest=lowest, highest=highest, default=default)
            ),
            get=lambda _: scientific(getattr(self, name)),
        )

    def flag_at(self, header: str, name: str) -> None:
        """Register an ON or OFF that is an attribute of this box."""
        self.on(
            header,
            set=lambda a: setattr(self, name, a.boolean()),
            get=lambda _: str(int(getattr(self, name))),
        )


def function_of(arguments: Arguments) -> str:
    """VOLT or CURR, the function that a source is set to."""
    return arguments.choice(FORMS[VOLT], FORMS[CURR])


def sense_function(word: str) -> str:
    """VOLT, CURR or RES from a name such as ``"CURRent:DC"``."""
    head = word.strip().strip("'\"").partition(":")[0]
    return Arguments((head,)).choice(FORMS[VOLT], FORMS[CURR], "RESistance")


def refuse_unless(*, holds: bool) -> None:
    """Raise the error for an illegal parameter."""
    if not holds:
        raise ScpiError(*ILLEGAL)
