"""From a station file to instruments on open links."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hwloop import plugins
from hwloop.errors import BackendError, ConfigError
from hwloop.station.parts import VIRTUAL
from hwloop.station.station import Station
from hwloop_drivers.instruments.kind import InstrumentKind
from hwloop_drivers.links.link import Link, LinkSettings, WireLog
from hwloop_drivers.links.opening import open_link, open_serial
from hwloop_drivers.links.visa_address import refuse_address
from hwloop_drivers.roles import Instrument


class NotConnected(BackendError):
    """Something was to be sent in a dry run."""


class NoLink(Link):
    """Link of a dry run, which refuses to send anything."""

    def __init__(self, address: str) -> None:
        self.address = address

    def write(self, text: str) -> None:
        """Refuse."""
        raise NotConnected(f"{self.address}: not connected, cannot send {text!r}")

    def query(self, text: str, *, timeout_s: float | None = None) -> str:  # noqa: ARG002 - the role's
        """Refuse."""
        raise NotConnected(f"{self.address}: not connected, cannot ask {text!r}")

    def query_binary(self, text: str, *, timeout_s: float | None = None) -> bytes:  # noqa: ARG002 - the role's
        """Refuse."""
        raise NotConnected(f"{self.address}: not connected, cannot ask {text!r}")

    def recover(self, verify: Callable[[], None]) -> None:  # noqa: ARG002 - the role's
        """Refuse."""
        raise NotConnected(f"{self.address}: not connected")

    def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True)
class Slot:
    """One instrument of a station: its driver, its settings, its address."""

    name: str
    address: str
    kind: InstrumentKind[Any]
    settings: LinkSettings

    def open(self, wire_log: WireLog | None = None) -> Instrument:
        """The instrument on an open link, its identity verified; nothing else was sent."""
        opener = open_serial if self.kind.serial_board else open_link
        link = opener(self.address, self.settings, wire_log=wire_log)
        link.address = f"{self.name} at {self.address}"  # errors say whose link it is
        instrument: Instrument = self.kind.make(link, self.settings)
        try:
            instrument.verify_identity()
        except BaseException:
            link.close()
            raise
        return instrument

    def dry_run(self) -> Instrument:
        """The instrument without a link: for what can be judged without one."""
        made: Instrument = self.kind.make(NoLink(self.address), self.settings)
        return made


def slots(station: Station, addresses: Mapping[str, str] | None = None) -> list[Slot]:
    """The instruments of a station, validated, not opened; ``addresses`` of virtual ones."""
    found = []
    for name, entry in station.instruments.items():
        try:
            kind: InstrumentKind[Any] = plugins.load(plugins.INSTRUMENTS, entry.kind)
        except ConfigError as exc:
            raise exc.below(f"instruments.{name}.kind") from None
        try:
            settings = kind.settings.parse(entry.settings)
        except ConfigError as exc:
            raise exc.below(f"instruments.{name}.settings") from None
        address = (addresses or {}).get(name, entry.address)
        if not kind.serial_board and not address.startswith(VIRTUAL):
            try:
                refuse_address(address)
            except ConfigError as exc:
                raise exc.below(f"instruments.{name}.address") from None
        found.append(Slot(name, address, kind, settings))
    return found
