"""Keithley 7001 and 7002 switch systems (SCPI); channels as slot!row!column of a matrix card.

Commands after the 7001's instruction manual, 7001-901-01, and the 7002's, 7002-901-01.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from typing_extensions import override

from hwloop.errors import UnexpectedReply, Unsupported
from hwloop_drivers.instruments.families.common import NAME
from hwloop_drivers.instruments.families.identified import KEITHLEY
from hwloop_drivers.instruments.families.matrix import VerifiedMatrix
from hwloop_drivers.instruments.families.scpi import ScpiInstrument
from hwloop_drivers.instruments.kind import InstrumentKind
from hwloop_drivers.links.link import Link, LinkSettings

SLOTS = {"7001": 2, "7002": 10}
ROWS, COLUMNS = 4, 10  # of a card such as 7012, 7073, 7153
_CHANNEL = re.compile(r"([1-9]|10)!([1-4])!([1-9]|10)")


class Keithley7001Settings(LinkSettings):
    """``model``: the mainframe; a 7001 has two slots, a 7002 ten."""

    model: Annotated[Literal["7001", "7002"], NAME] = "7001"


class Keithley7001(ScpiInstrument, VerifiedMatrix):
    """A mainframe with 4 × 10 matrix cards, such as 7012, in its slots."""

    makers, models = KEITHLEY, tuple(SLOTS)

    def __init__(self, link: Link, settings: Keithley7001Settings) -> None:
        super().__init__(link, settings)
        self._model = settings.model
        self.models = (settings.model,)

    @property
    @override
    def closed(self) -> frozenset[str]:
        reply = "".join(self.link.query(":CLOS:STAT?").split())
        if not (reply.startswith("(@") and reply.endswith(")")):
            raise UnexpectedReply(f"{self.link.address}: :CLOS:STAT? answered {reply!r}")
        parts = filter(None, reply[2:-1].split(","))
        try:
            return frozenset(channel for part in parts for channel in _expanded(part))
        except ValueError:
            raise UnexpectedReply(f"{self.link.address}: :CLOS:STAT? answered {reply!r}") from None

    @override
    def refuse_channel(self, channel: str) -> None:
        # A slot of the mainframe, row 1 to 4, column 1 to 10.
        match = _CHANNEL.fullmatch(channel)
        slots = SLOTS[self._model]
        if match is None or int(match[1]) > slots:
            raise Unsupported(
                f"{channel!r} is no channel of a {self._model}: slot!row!column, 1!1!1 to"
                f" {slots}!{ROWS}!{COLUMNS}"
            )

    @override
    def _close(self, channels: Sequence[str]) -> frozenset[str]:
        self._set_finished(f":CLOS (@{','.join(channels)})")
        return self.closed

    @override
    def _open(self, channels: Sequence[str]) -> frozenset[str]:
        self._set_finished(f":OPEN (@{','.join(channels)})")
        return self.closed

    @override
    def _open_everything(self) -> frozenset[str]:
        self._set_finished(":OPEN ALL")
        return self.closed


def _expanded(part: str) -> Iterator[str]:
    """Yield the channels of a part of an answer, such as 1!1!1 or the range 1!1!1:1!1!4."""
    first, _, last = part.partition(":")
    for place in range(_place(first), _place(last or first) + 1):
        slot_row, column = divmod(place, COLUMNS)
        slot, row = divmod(slot_row, ROWS)
        yield f"{slot + 1}!{row + 1}!{column + 1}"


def _place(channel: str) -> int:
    match = _CHANNEL.fullmatch(channel)
    if match is None:
        raise ValueError(channel)
    slot, row, column = (int(group) - 1 for group in match.groups())
    return (slot * ROWS + row) * COLUMNS + column


KEITHLEY_7001 = InstrumentKind(
    name="keithley_7001",
    summary="Keithley 7001 and 7002 switch systems with matrix cards, SCPI",
    settings=Keithley7001Settings,
    make=Keithley7001,
)
