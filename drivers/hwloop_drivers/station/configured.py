"""The configured instruments of a station file, and how they are opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from hwloop import plugins
from hwloop.errors import BackendError, ConfigError
from hwloop.station.parts import VIRTUAL
from hwloop.station.station import Station
from hwloop_drivers.instruments.kind import InstrumentKind
from hwloop_drivers.links.link import Link, LinkSettings, WireLog
from hwloop_drivers.links.opening import open_link, open_serial
from hwloop_drivers.links.visa_address import unaliased, visa_resource
from hwloop_drivers.roles import Instrument


class NotConnected(BackendError):
    """A message was to be sent during a dry run."""


class NoLink(Link):
    """The link of a dry run: every message raises :class:`NotConnected`."""

    def __init__(self, address: str) -> None:
        self.address = address

    @override
    def write(self, text: str) -> None:
        raise NotConnected(f"{self.address}: not connected, cannot send {text!r}")

    @override
    def query(self, text: str, *, timeout_s: float | None = None) -> str:
        raise NotConnected(f"{self.address}: not connected, cannot ask {text!r}")

    @override
    def query_binary(self, text: str, *, timeout_s: float | None = None) -> bytes:
        raise NotConnected(f"{self.address}: not connected, cannot ask {text!r}")

    @override
    def recover(self, verify: Callable[[], None]) -> None:
        raise NotConnected(f"{self.address}: not connected")

    @override
    def close(self) -> None:
        pass


@dataclass(frozen=True)
class ConfiguredInstrument:
    """One instrument of a station: its driver, its settings, its address."""

    name: str
    address: str
    kind: InstrumentKind[Any]
    settings: LinkSettings
    accept_model: str | None = None

    @property
    def lock_address(self) -> str:
        """Get the address by which the instrument is locked: of an alias, what it stands for."""
        if self.kind.serial_board:
            return self.address
        return unaliased(self.address, self.settings.visa_library)

    def open(self, wire_log: WireLog | None = None, *, alone: bool = False) -> Instrument:
        """Return the instrument on an open link, its identity verified; nothing else was sent.

        ``alone``: raise :class:`hwloop.errors.InstrumentInUse` where another computer has its lock.

        Raises :class:`hwloop.errors.ConnectionLost` where nothing answers and
        :class:`hwloop.errors.UnexpectedReply` where another instrument does.
        """
        if self.kind.serial_board:
            link = open_serial(self.address, self.settings, wire_log=wire_log)
        else:
            link = open_link(self.address, self.settings, wire_log=wire_log, alone=alone)
        link.address = f"{self.name} at {self.address}"  # errors name the instrument of the link
        instrument = self._made(link)
        try:
            instrument.verify_identity()
        except BaseException:
            link.close()
            raise
        return instrument

    def dry_run(self) -> Instrument:
        """Return the instrument without a link: for what can be judged without one."""
        return self._made(NoLink(self.address))

    def _made(self, link: Link) -> Instrument:
        made: Instrument = self.kind.make(link, self.settings)
        if self.accept_model is not None:
            try:
                made.allow(self.accept_model)
            except ConfigError as exc:
                raise exc.below(f"instruments.{self.name}.accept_model") from None
        return made


def configured_instruments(
    station: Station, addresses: Mapping[str, str] | None = None
) -> list[ConfiguredInstrument]:
    """Return the instruments of a station, validated, not opened.

    ``addresses``: by name, instead of the station's virtual ones. Raises
    :class:`hwloop.errors.ConfigError` with the key of what is wrong.
    """
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
                visa_resource(address, settings.visa_library)
            except ConfigError as exc:
                raise exc.below(f"instruments.{name}.address") from None
        found.append(ConfiguredInstrument(name, address, kind, settings, entry.accept_model))
    return found
