"""Survey of the instruments that this computer can reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hwloop_drivers.discovery import places
from hwloop_drivers.discovery.asking import ask_all
from hwloop_drivers.discovery.found import Survey
from hwloop_drivers.discovery.matching import match


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
        places.search_visa(seen, library)
    places.search_services(seen, interfaces)
    places.search_serial_ports(seen)
    places.search_virtual_benches(seen)
    unique = {(one.address or one.name): one for one in reversed(seen.found)}
    seen.found = sorted(unique.values(), key=lambda one: (one.where, one.address))
    if ask:
        seen.found = ask_all(seen.found, ask_serial=ask_serial)
    for n, one in enumerate(seen.found):
        matched = match(one.identity)
        seen.found[n] = replace(one, drivers=matched.drivers, near=matched.near)
    return seen
