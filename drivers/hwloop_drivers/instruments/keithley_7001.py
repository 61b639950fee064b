"""Keithley 7001 switch system (SCPI); channels as slot!row!column of a matrix card."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hwloop.errors import InstrumentFault, UnexpectedReply, Unsupported
from hwloop_drivers.instruments.scpi import ScpiInstrument
from hwloop_drivers.link import InstrumentKind, LinkSettings
from hwloop_drivers.roles import SwitchMatrix

_CHANNEL = re.compile(r"[12]![1-4]!(?:[1-9]|10)")


class Keithley7001(ScpiInstrument, SwitchMatrix):
    """A 7001 with 4 × 10 matrix cards, such as 7012, in its two slots."""

    models = ("MODEL 700",)

    @property
    def closed(self) -> frozenset[str]:
        """The closed channels."""
        reply = self.link.query(":CLOS:STAT?").replace(" ", "")
        if not (reply.startswith("(@") and reply.endswith(")")):
            raise UnexpectedReply(f"{self.link.address}: :CLOS:STAT? answered {reply!r}")
        return frozenset(filter(None, reply[2:-1].split(",")))

    def refuse_channel(self, channel: str) -> None:
        """Slot 1 or 2, row 1 to 4, column 1 to 10."""
        if not _CHANNEL.fullmatch(channel):
            raise Unsupported(f"{channel!r} is no channel of a 7001: slot!row!column, as 1!4!10")

    def close_channels(self, channels: Sequence[str]) -> None:
        """Close these as well; verified."""
        self._switch("CLOS", channels)
        missing = set(channels) - self.closed
        if missing:
            self._fault("did not close", missing)

    def open_channels(self, channels: Sequence[str]) -> None:
        """Open these; verified."""
        self._switch("OPEN", channels)
        left = set(channels) & self.closed
        if left:
            self._fault("did not open", left)

    def open_all(self) -> None:
        """Open every channel; verified."""
        self._set(":OPEN ALL")
        left = self.closed
        if left:
            self._fault("did not open", left)

    def _switch(self, verb: str, channels: Sequence[str]) -> None:
        for channel in channels:
            self.refuse_channel(channel)
        if channels:
            self._set(f":{verb} (@{','.join(channels)})")

    def _fault(self, what: str, channels: set[str] | frozenset[str]) -> None:
        named = ", ".join(sorted(channels))
        raise InstrumentFault(f"{self.link.address}: {named} {what}; a relay is stuck")


KEITHLEY_7001 = InstrumentKind(
    name="keithley_7001",
    summary="Keithley 7001 switch system with matrix cards, SCPI",
    settings=LinkSettings,
    make=Keithley7001,
)
