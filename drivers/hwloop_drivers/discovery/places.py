"""Places where instruments are looked for: VISA, the network, serial ports, virtual benches."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

from hwloop.station.rendezvous import rendezvous_files
from hwloop_drivers.discovery.found import Found, Survey
from hwloop_drivers.virtual_bench import connect

SERVICES = {  # of LXI and IVI; LXI's own names the web page
    "_lxi._tcp.local.": "",
    "_hislip._tcp.local.": "TCPIP::{host}::hislip0,{port}::INSTR",
    "_scpi-raw._tcp.local.": "TCPIP::{host}::{port}::SOCKET",
    "_vxi-11._tcp.local.": "TCPIP::{host}::INSTR",
}
LISTEN_S = 1.5


def search_visa(seen: Survey, library: str) -> None:
    """Add the resources that a VISA library lists."""
    import pyvisa

    place = f"VISA {library}"
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            addresses = pyvisa.ResourceManager(library).list_resources("?*")
        except Exception as exc:  # noqa: BLE001 - whatever a VISA library raises
            seen.missed.append(f"{place}: {' '.join(str(exc).split())}")
            return
    seen.looked.append(f"{place}: USB, GPIB and VXI-11 resources" if library == "@py" else place)
    messages = {str(w.message) for w in said if issubclass(w.category, UserWarning)}
    seen.missed += [f"{place}: {_reworded(word)}" for word in sorted(messages)]
    if library == "@py":
        seen.missed += _missing_backends(place)
    seen.found += [
        Found(a, place) for a in addresses if not a.upper().startswith(("ASRL", "PRLGX"))
    ]


def _reworded(warning: str) -> str:
    if "psutil" in warning:
        return "VXI-11 beyond the default network interface: pip install 'hwloop[discovery]'"
    return " ".join(warning.split())


def _missing_backends(place: str) -> list[str]:
    """Return a line for each interface that pyvisa-py lacks a library for."""
    wanted = {"USB": "hwloop[usb]", "GPIB": "hwloop[gpib]"}
    modules = {"USB": ("usb",), "GPIB": ("gpib", "gpib_ctypes")}
    return [
        f"{place}: {name} instruments: pip install '{extra}'"
        for name, extra in wanted.items()
        if not any(_installed(module) for module in modules[name])
    ]


def _installed(module: str) -> bool:
    from importlib.util import find_spec

    return find_spec(module) is not None


def search_services(seen: Survey, interfaces: Sequence[str] | None) -> None:
    """Add the services that instruments announce on the network."""
    names = ", ".join(name.removesuffix(".local.") for name in SERVICES)
    try:
        import zeroconf
    except ImportError:
        seen.missed.append(f"services on the network ({names}): pip install 'hwloop[discovery]'")
        return
    try:
        chosen: Any = zeroconf.InterfaceChoice.All if interfaces is None else list(interfaces)
        network = zeroconf.Zeroconf(interfaces=chosen)
    except OSError as exc:
        seen.missed.append(f"services on the network ({names}): {exc}")
        return
    heard: set[tuple[str, str]] = set()

    class Listener(zeroconf.ServiceListener):
        def add_service(self, zc: Any, type_: str, name: str) -> None:  # noqa: ARG002 - theirs
            heard.add((type_, name))

        def update_service(self, zc: Any, type_: str, name: str) -> None:
            """Do nothing: the service is known already."""

        def remove_service(self, zc: Any, type_: str, name: str) -> None:
            """Do nothing: the service was there a moment ago, and is reported."""

    try:
        zeroconf.ServiceBrowser(network, list(SERVICES), listener=Listener())
        time.sleep(LISTEN_S)
        for type_, name in sorted(heard):
            info = network.get_service_info(type_, name, timeout=int(LISTEN_S * 1e3))
            seen.found += _announced(type_, name, info)
    finally:
        network.close()
    seen.looked.append(f"services on the network: {names}")


def _announced(type_: str, name: str, info: Any) -> Iterable[Found]:
    if info is None or not info.parsed_addresses():
        return
    host, port = info.parsed_addresses()[0], info.port
    text = {
        key.decode("latin-1").lower(): (value or b"").decode("utf-8", "replace")
        for key, value in info.properties.items()
    }
    fields = [text.get(key, "") for key in ("manufacturer", "model", "serialnumber")]
    identity = ",".join([*fields, text.get("firmwareversion", "")]) if fields[1] else ""
    short = name.removesuffix("." + type_)
    note = "" if SERVICES[type_] else f"its web page: http://{host}:{port}/"
    yield Found(
        SERVICES[type_].format(host=host, port=port),
        f"network {type_.removesuffix('.local.')}",
        name=short,
        identity=identity,
        note=note,
    )


def search_serial_ports(seen: Survey) -> None:
    """Add the serial ports of this computer."""
    from serial.tools import list_ports

    seen.looked.append("serial ports")
    for port in list_ports.comports():
        description = "" if port.description in {None, "n/a"} else port.description
        seen.found.append(Found(port.device, "serial port", name=description, note="not asked"))


def search_virtual_benches(seen: Survey) -> None:
    """Add the instruments of the virtual benches that run on this computer."""
    seen.looked.append("virtual benches of this computer")
    for path in rendezvous_files():
        bench = connect(path)
        if bench is None:
            continue  # it has ended without tidying up
        bench.close()
        where = f"virtual bench of {bench.station}"
        seen.found += [Found(a, where, name=n) for n, a in bench.addresses.items()]
