"""Links to instruments: text and bytes over VISA, sockets and serial ports, bounded in time."""

from hwloop_drivers.links.link import Link, LinkSettings, WireLog
from hwloop_drivers.links.opening import open_link, open_serial

__all__ = [
    "Link",
    "LinkSettings",
    "WireLog",
    "open_link",
    "open_serial",
]
