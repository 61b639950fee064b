"""How links are made."""

from __future__ import annotations

from hwloop_drivers.links.link import Link, LinkSettings, WireLog
from hwloop_drivers.links.visa import VisaLink

try:  # POSIX: what pyserial lets through when a port is gone
    from termios import error as PortError  # noqa: N812 - termios calls it error
except ImportError:  # Windows
    PortError = OSError  # type: ignore[misc, assignment]
from hwloop_drivers.links.serial import SerialLink


def open_link(address: str, settings: LinkSettings, *, wire_log: WireLog | None = None) -> Link:
    """A link to a VISA resource; raises :class:`ConnectionLost` if nothing is there."""
    return VisaLink(address, settings, wire_log=wire_log)


def open_serial(address: str, settings: LinkSettings, *, wire_log: WireLog | None = None) -> Link:
    """A link to a board on a serial port, or on any URL that pyserial understands."""
    return SerialLink(address, settings, wire_log=wire_log)
