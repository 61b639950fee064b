"""Names of an instrument that do not depend on how its address is spelt."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import stat
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

RESOLVE_S = 2.0  # a name server that does not answer must not hold up a run
_SCPI_PORTS = ("23", "5024", "5025")
_LAN_DEVICES = ("inst0", "hislip0", "hislip0,4880")
_ITSELF = "instrument"


def identities(address: str) -> frozenset[str]:
    """Return the names of the instrument at an address, independent of the address's spelling.

    Two addresses of one instrument have a name in common: a host by name and by number, the
    interfaces of one instrument on the network, a serial port and a link to it, numbers in decimal
    and hexadecimal. ``address``: a VISA resource, a serial port, or a URL that pyserial
    understands. A host name that is not resolved within :data:`RESOLVE_S` counts by itself.
    """
    from pyvisa.rname import InvalidResourceName, parse_resource_name

    try:
        resource: Any = parse_resource_name(address)
    except (InvalidResourceName, ValueError):
        return _port(address)
    match (resource.interface_type, resource.resource_class):
        case ("TCPIP", "SOCKET"):
            return _network(resource.host_address, resource.port)
        case ("TCPIP", "INSTR"):
            host, _, port = resource.host_address.partition(",")
            device = resource.lan_device_name.lower()
            return _network(host, f"{device},{port}" if port else device)
        case ("USB", _):
            product = [_number(resource.manufacturer_id), _number(resource.model_code)]
            return frozenset([":".join(["usb", *product, resource.serial_number.casefold()])])
        case ("GPIB", "INSTR"):
            place = [resource.board, resource.primary_address, resource.secondary_address or "-"]
            return frozenset([":".join(["gpib", *place])])
        case ("ASRL", _):
            return _visa_port(resource.board)
    return frozenset([f"other:{str(resource).casefold()}"])


def _network(host: str, service: str) -> frozenset[str]:
    """Return names by host and service; all services of an instrument itself are one.

    Not on this computer, and not on other ports: there each is another instrument's, of a virtual
    bench, a terminal server or a gateway.
    """
    hosts = _hosts(host)
    if "localhost" not in hosts and service in (*_SCPI_PORTS, *_LAN_DEVICES):
        service = _ITSELF
    return frozenset(f"network:{one}:{service}" for one in hosts)


def _hosts(host: str) -> set[str]:
    """Return a host by its name and its addresses; this computer is always "localhost"."""
    name = host.strip("[]").rstrip(".").casefold()
    with contextlib.suppress(ValueError):
        return {_canonical(str(ipaddress.ip_address(name)))}
    return {name, *map(_canonical, _resolved(name))}


def _resolved(name: str) -> list[str]:
    found: list[str] = []

    def look_up() -> None:
        with contextlib.suppress(OSError, UnicodeError):
            found.extend(str(info[4][0]) for info in socket.getaddrinfo(name, None))

    thread = threading.Thread(target=look_up, daemon=True, name=f"resolve {name}")
    thread.start()
    thread.join(timeout=RESOLVE_S)
    return list(found)


def _canonical(number: str) -> str:
    address = ipaddress.ip_address(number.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    here = address.is_loopback or address.is_unspecified or _is_own(str(address))
    return "localhost" if here else str(address)


def _is_own(number: str) -> bool:
    """Return whether an address is one of this computer's: only these can be bound."""
    family = socket.AF_INET6 if ":" in number else socket.AF_INET
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as own:
        own.bind((number, 0))
        return True
    return False


def _number(text: str) -> str:
    """Return a number of a USB address, decimal or hexadecimal, in decimal."""
    for base in (0, 16):
        with contextlib.suppress(ValueError):
            return str(int(text, base))
    return text.casefold()


def _visa_port(board: str) -> frozenset[str]:
    """Return names of a serial port as VISA numbers or names it."""
    if not board.isdigit():
        return _port(board)
    if sys.platform == "win32":
        return _port(f"COM{board}")
    return frozenset([f"serial:{board}", *_port(f"/dev/ttyS{int(board) - 1}")])


def _port(address: str) -> frozenset[str]:
    """Return names of a serial port by its path, or by a URL of pyserial's."""
    scheme, _, rest = address.partition("://")
    if rest and scheme.casefold() in {"socket", "rfc2217"}:
        parts = urlsplit(address)
        return _network(parts.hostname or "", str(parts.port))
    if rest and scheme.casefold() in {"spy", "alt"}:  # of a port that they name
        return _port(rest.partition("?")[0])
    if rest:
        return frozenset([f"url:{address.casefold()}"])
    if sys.platform == "win32":
        return frozenset(["serial:" + address.removeprefix("\\\\.\\").upper()])
    if os.sep not in address and not Path(address).exists():
        return frozenset([f"alias:{address.casefold()}"])  # which an installed VISA knows
    path = os.path.realpath(address)
    with contextlib.suppress(OSError):
        status = Path(path).stat()
        if stat.S_ISCHR(status.st_mode):
            return frozenset([f"serial:{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"])
    return frozenset([f"serial:{path}"])
