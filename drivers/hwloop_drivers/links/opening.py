"""Opening of links to VISA resources and to serial ports."""

from __future__ import annotations

from hwloop_drivers.links.link import Link, LinkSettings, WireLog
from hwloop_drivers.links.serial import SerialLink
from hwloop_drivers.links.visa import VisaLink


def open_link(
    address: str, settings: LinkSettings, *, wire_log: WireLog | None = None, alone: bool = False
) -> Link:
    """Return a link to a VISA resource; raises :class:`ConnectionLost` if nothing is there.

    ``alone``: raise :class:`InstrumentInUse` where another computer has the instrument's lock.
    """
    return VisaLink(address, settings, wire_log=wire_log, alone=alone)


def open_serial(address: str, settings: LinkSettings, *, wire_log: WireLog | None = None) -> Link:
    """Return a link to a board on a serial port, or on any URL that pyserial understands."""
    return SerialLink(address, settings, wire_log=wire_log)
