"""Discovery of VISA resources, services on the network, serial ports and virtual benches."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, get_args

from typing_extensions import override

from hwloop import plugins
from hwloop.errors import BackendError, ConfigError, InstrumentInUse
from hwloop.station.rendezvous import rendezvous_files
from hwloop_drivers.instruments.families.identified import IdentifiedInstrument
from hwloop_drivers.links.instrument_locks import Holder, hold
from hwloop_drivers.links.link import Link, LinkSettings
from hwloop_drivers.links.messages import close_quietly
from hwloop_drivers.links.visa import VisaLink
from hwloop_drivers.virtual_bench import connect

SERVICES = {  # of LXI and IVI; LXI's own names the web page
    "_lxi._tcp.local.": "",
    "_hislip._tcp.local.": "TCPIP::{host}::hislip0,{port}::INSTR",
    "_scpi-raw._tcp.local.": "TCPIP::{host}::{port}::SOCKET",
    "_vxi-11._tcp.local.": "TCPIP::{host}::INSTR",
}
ANSWER_S, ASKING_S, LISTEN_S = 2.0, 10.0, 1.5
SERIAL_QUESTIONS = ("*IDN?", "ID?")
VISA = ("TCPIP", "USB", "GPIB", "ASRL", "VICP", "PXI", "VXI")  # how its addresses begin


@dataclass(frozen=True)
class Found:
    """An instrument that was found, or a place where one may be.

    ``identity``: its answer or its announcement; "" where nothing is known. ``drivers``: the kinds
    that accept this identity. ``note``: why there is no identity.
    """

    address: str
    where: str
    name: str = ""
    identity: str = ""
    drivers: tuple[str, ...] = ()
    note: str = ""


@dataclass
class Survey:
    """Findings of a survey: instruments, places that were searched, places that could not be."""

    found: list[Found] = field(default_factory=list)
    looked: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)


def survey(
    *,
    visa_libraries: Sequence[str] = ("@py",),
    ask: bool = True,
    ask_serial: bool = False,
    interfaces: Sequence[str] | None = None,
) -> Survey:
    """Search everywhere and return the findings.

    ``visa_libraries``: besides pyvisa-py's. ``ask``, ``ask_serial``: whether to ask for identities,
    of serial ports too. ``interfaces``: addresses of this computer to listen at, None for all.
    """
    seen = Survey()
    for library in visa_libraries:
        _visa(seen, library)
    _services(seen, interfaces)
    _serial_ports(seen)
    _virtual_benches(seen)
    unique = {(one.address or one.name): one for one in reversed(seen.found)}
    seen.found = sorted(unique.values(), key=lambda one: (one.where, one.address))
    if ask:
        seen.found = _ask_all(seen.found, ask_serial=ask_serial)
    seen.found = [replace(one, drivers=fitting(one.identity)) for one in seen.found]
    return seen


def fitting(identity: str) -> tuple[str, ...]:
    """Return the names of the drivers that accept this identity."""
    if not identity:
        return ()
    kinds = plugins.load_all(plugins.INSTRUMENTS)
    return tuple(name for name, kind in kinds.items() if _accepts(kind, identity))


class _FixedReplyLink(Link):
    """A fixed-reply link: it answers every question with one identity."""

    address = "discovery"

    def __init__(self, identity: str) -> None:
        self._identity = identity

    @override
    def write(self, text: str) -> None:
        pass

    @override
    def query(self, text: str, *, timeout_s: float | None = None) -> str:
        return self._identity

    @override
    def query_binary(self, text: str, *, timeout_s: float | None = None) -> bytes:
        return self._identity.encode("latin-1")

    @override
    def recover(self, verify: Callable[[], None]) -> None:
        pass

    @override
    def close(self) -> None:
        pass


def _accepts(kind: Any, identity: str) -> bool:
    """Return whether the driver is for this instrument, set for any model that it can name.

    Where a driver names models, the models decide: it may go on to ask for cards, which the fixed
    reply cannot give.
    """
    field = kind.settings.model_fields.get("model")
    for model in get_args(field.annotation) if field else (None,):
        try:
            settings = kind.settings.parse({} if model is None else {"model": model})
            driver = kind.make(_FixedReplyLink(identity), settings)
            if isinstance(driver, IdentifiedInstrument):
                if any(word in identity.upper() for word in driver.models):
                    return True
                continue
            driver.verify_identity()
        except (BackendError, ConfigError):
            continue
        return True
    return False


def _visa(seen: Survey, library: str) -> None:
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


def _services(seen: Survey, interfaces: Sequence[str] | None) -> None:
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


def _serial_ports(seen: Survey) -> None:
    from serial.tools import list_ports

    seen.looked.append("serial ports")
    for port in list_ports.comports():
        description = "" if port.description in {None, "n/a"} else port.description
        seen.found.append(Found(port.device, "serial port", name=description, note="not asked"))


def _virtual_benches(seen: Survey) -> None:
    seen.looked.append("virtual benches of this computer")
    for path in rendezvous_files():
        bench = connect(path)
        if bench is None:
            continue  # it has ended without tidying up
        bench.close()
        where = f"virtual bench of {bench.station}"
        seen.found += [Found(a, where, name=n) for n, a in bench.addresses.items()]


def _ask_all(found: list[Found], *, ask_serial: bool) -> list[Found]:
    """Ask each in a thread of its own, and wait for none longer than ASKING_S."""
    answers: dict[int, Found] = {}

    def work(n: int, one: Found) -> None:
        answers[n] = _asked(one)

    threads = {}
    for n, one in enumerate(found):
        if one.address and (ask_serial or one.where != "serial port"):
            threads[n] = threading.Thread(target=work, args=(n, one), daemon=True)
            threads[n].start()
    end_s = time.monotonic() + ASKING_S
    for thread in threads.values():
        thread.join(timeout=max(end_s - time.monotonic(), 0.0))
    silent = {n: replace(found[n], note=f"no answer within {ASKING_S:g} s") for n in threads}
    return [answers.get(n, silent.get(n, one)) for n, one in enumerate(found)]


def _asked(one: Found) -> Found:
    """Return a finding with its identity; one that a run is using is left alone."""
    ask = _ask_visa if one.address.upper().startswith(VISA) else _ask_serial
    try:
        with hold({one.name: one.address}, Holder("a search (hwloop instruments)")):
            return replace(one, identity=ask(one.address), note="")
    except InstrumentInUse as exc:
        return replace(one, note=f"not asked: {exc}")
    except Exception as exc:  # noqa: BLE001 - a strange device; the others are still told of
        return replace(one, note=str(exc).removeprefix(f"{one.address}: "))


def _ask_visa(address: str) -> str:
    link = VisaLink(address, LinkSettings(timeout_s=ANSWER_S), clear=False)
    try:
        return link.query("*IDN?").strip()
    finally:
        link.close()


def _ask_serial(path: str) -> str:
    import serial

    port = serial.serial_for_url(path, baudrate=9600, timeout=ANSWER_S, write_timeout=ANSWER_S)
    try:
        for question in SERIAL_QUESTIONS:
            port.reset_input_buffer()
            port.write(question.encode() + b"\n")
            answer = port.read_until(b"\n")
            if answer.endswith(b"\n") and answer.strip():
                return str(answer.decode("latin-1").strip())
    finally:
        close_quietly(port)
    raise BackendError(f"no answer to {' or '.join(SERIAL_QUESTIONS)} at 9600 baud")
