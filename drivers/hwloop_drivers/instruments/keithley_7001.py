"""Keithley 7001 switch system (SCPI); channels as slot!row!column of a matrix card."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hwloop.errors import InstrumentFault, UnexpectedReply, Unsupported
from hwloop_drivers.instruments.common import check_scpi_errors, verify_model
from hwloop_drivers.link import InstrumentKind, Link, LinkSettings
from hwloop_drivers.roles import SwitchMatrix

_CHANNEL = re.compile(r"[12]![1-4]!(?:[1-9]|10)")


class Keithley7001(SwitchMatrix):
    """A 7001 with 4 × 10 matrix cards, such as 7012, in its two slots."""

    def __init__(self, link: Link, settings: LinkSettings) -> None:
        self.link = link
        self._settings = settings
        self._id = ""

    @property
    def id(self) -> str:
        """Maker, model, serial number and firmware."""
        if not self._id:
            self._id = self.link.query("*IDN?")
        return self._id

    def verify_identity(self) -> None:
        """A 7001 or 7002."""
        verify_model(self.link, "MODEL 700")

    def reset(self) -> None:
        """Every channel open, error queue empty."""
        self.link.write("*RST")
        self.clear()

    def clear(self) -> None:
        """Empty the error queue."""
        self.link.write("*CLS")

    def check_errors(self) -> None:
        """Raise with what the error queue says."""
        if self._settings.errors != "never":
            check_scpi_errors(self.link)

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
        self.link.write(":OPEN ALL")
        left = self.closed
        if left:
            self._fault("did not open", left)

    def _switch(self, verb: str, channels: Sequence[str]) -> None:
        for channel in channels:
            self.refuse_channel(channel)
        if channels:
            self.link.write(f":{verb} (@{','.join(channels)})")

    def _fault(self, what: str, channels: set[str] | frozenset[str]) -> None:
        named = ", ".join(sorted(channels))
        raise InstrumentFault(f"{self.link.address}: {named} {what}; a relay is stuck")


KEITHLEY_7001 = InstrumentKind(
    name="keithley_7001",
    summary="Keithley 7001 switch system with matrix cards, SCPI",
    settings=LinkSettings,
    make=Keithley7001,
)
