"""VISA addresses: their syntax, a probe of the port, and errors that say what is missing."""

from __future__ import annotations

import re
import socket

from hwloop.errors import BackendError, ConfigError, ConnectionLost, Unsupported

HISLIP_PORT, PORTMAPPER_PORT = 4880, 111
_LAN = re.compile(
    r"TCPIP\d*::([^:,]+)(?:,(\d+))?(?:::([^:]+))??(?:::(INSTR|SOCKET))?", re.IGNORECASE
)
_PORT = re.compile(r"COM(\d+)", re.IGNORECASE)
_EXTRAS = {"USB": ("PyUSB", "hwloop[usb]"), "GPIB": ("linux-gpib or gpib-ctypes", "hwloop[gpib]")}


def visa_resource(address: str, visa_library: str) -> str:
    """Return the resource of an address as VISA opens it; nothing is opened.

    A serial port by its name (``COM3``, ``/dev/ttyUSB0``) becomes a resource. An alias and
    ``visa://host/resource`` are left to an installed VISA, which alone can know them. Raises
    :class:`ConfigError` for what can be no resource.
    """
    from pyvisa.rname import InvalidResourceName, parse_resource_name

    if port := _PORT.fullmatch(address):
        return f"ASRL{port[1]}::INSTR"
    own = visa_library.endswith("@py")
    if own and address.startswith("/dev/"):
        return f"ASRL{address}::INSTR"
    try:
        parse_resource_name(address)
    except (InvalidResourceName, ValueError) as exc:
        is_remote = address.lower().startswith("visa://")
        if not own and (is_remote or "::" not in address):
            return address
        needs = (
            "; an alias, or visa://host/..., needs an installed VISA that knows it: visa_library:"
            " '@ivi'"
        )
        raise ConfigError(
            f"{address!r} is no VISA address ({exc}); they read TCPIP::host::5025::SOCKET,"
            " TCPIP::host::hislip0::INSTR, USB::0x05E6::0x2450::serial::INSTR, GPIB0::24::INSTR,"
            f" COM3{needs if is_remote or '::' not in address else ''}"
        ) from None
    return address


def unaliased(address: str, visa_library: str) -> str:
    """Return the resource that an installed VISA has for an alias; the address for all else.

    By it an instrument is locked: under its alias and under its address it is the same one.
    """
    if visa_library.endswith("@py") or "::" in address or address.startswith("virtual:"):
        return address
    try:
        import pyvisa

        found = pyvisa.ResourceManager(visa_library).resource_info(address).resource_name
    except Exception:  # noqa: BLE001 - whatever a VISA library raises; opening it says why
        return address
    return found or address


def probe(address: str, visa_library: str, *, timeout_s: float) -> None:
    """Try the port first where pyvisa-py would wait long or give no reason.

    Not for a plain socket, of which some instruments have only one: there the session's own is
    asked.
    """
    match = _LAN.fullmatch(address)
    if match is None or not visa_library.endswith("@py"):
        return
    host, vxi11_port, device, kind = match.groups()
    if (kind or "").upper() == "SOCKET":
        return
    name, _, hislip_port = (device or "").partition(",")
    hislip = name.lower().startswith("hislip")
    port = int((hislip_port or HISLIP_PORT) if hislip else vxi11_port or PORTMAPPER_PORT)
    try:
        socket.create_connection((host, port), timeout=timeout_s).close()
    except OSError as exc:
        raise nothing_answers(address, host, port, exc.strerror or str(exc)) from exc


def nothing_answers(address: str, host: str, port: object, reason: str) -> ConnectionLost:
    """Return the error for a port that is closed, or a host that is off."""
    return ConnectionLost(
        f"{address}: nothing answers at {host} port {port} ({reason});"
        " check the address, the cable and that the instrument is on"
    )


def not_opened(address: str, visa_library: str, exc: Exception) -> BackendError:
    """Return our error for what VISA raised when it could not open an address."""
    said = " ".join(str(exc).split())
    for interface, (library, extra) in _EXTRAS.items():
        if address.upper().startswith(interface) and "install" in said:
            return Unsupported(
                f"{address}: pyvisa-py needs {library} for it: pip install '{extra}';"
                " or use an installed VISA, visa_library: '@ivi'"
            )
    if isinstance(exc, ValueError) and "install" in said:
        return Unsupported(f"{address}: {said}")
    if any(words in said for words in ("VISA library", "Wrapper not found", "while accessing")):
        return Unsupported(f"visa_library {visa_library!r}: {said}")
    return ConnectionLost(f"{address}: cannot be opened: {said or type(exc).__name__}")
