"""A QCoDeS instrument as a source meter, named in a station file.

::

    smu:
      kind: qcodes
      address: GPIB0::24::INSTR
      settings:
        class: qcodes.instrument_drivers.Keithley.Keithley2400
        identity: MODEL 2400
        most_v: 210
        least_a: 1 uA      # its driver sends six decimals: less would be rounded, and is refused
        most_a: 1.05
"""

from __future__ import annotations

import contextlib
import io
import itertools
from types import SimpleNamespace
from typing import Any

from typing_extensions import override

from hwloop_drivers.adapters.source_meter import ForeignSettings, ForeignSourceMeter
from hwloop_drivers.instruments.kind import InstrumentKind
from hwloop_drivers.links.link import Link

_numbers = itertools.count(1)  # QCoDeS knows every instrument by a name that no other has


class QCoDeSSourceMeter(ForeignSourceMeter):
    """The names are those of QCoDeS's Keithley 2400, whose ``volt`` is read as a reading."""

    names = {  # noqa: RUF012 - a constant
        "level": "volt",
        "level_read": "",
        "range": "rangev",
        "compliance": "compliancei",
        "current": "curr",
        "nplc": "nplci",
        "enabled": "output",
    }
    prepare = {"mode": "VOLT"}  # noqa: RUF012 - a constant

    def __init__(self, link: Link, settings: ForeignSettings) -> None:
        super().__init__(link, settings, library="qcodes")

    @override
    def _make(self, made_by: Any) -> Any:
        name = f"hwloop_{next(_numbers)}"
        with contextlib.redirect_stdout(io.StringIO()):  # it prints a greeting
            return made_by(name, None, resource=_resource(self.link), device_clear=False)

    @override
    def _put(self, name: str, value: object) -> None:
        self.foreign().parameters[name](value)

    @override
    def _take(self, name: str) -> object:
        value: object = self.foreign().parameters[name]()
        return value

    @override
    def _discard(self) -> None:
        made, self._made = self._made, None
        if made is not None:
            made.close()


def _resource(link: Link) -> Any:
    """Return a VISA resource as QCoDeS uses it, over a link; closing it leaves the link open."""
    return SimpleNamespace(
        resource_name=link.address,
        session=None,  # there is nothing of its own to close
        visalib=SimpleNamespace(),
        timeout=None,
        write_termination=None,
        read_termination=None,
        write=link.write,
        query=link.query,
        close=lambda: None,
    )


QCODES = InstrumentKind(
    name="qcodes",
    summary="a source meter of QCoDeS's: reads and levels, no pulses",
    settings=ForeignSettings,
    make=QCoDeSSourceMeter,
    proof="QCoDeS's own driver on the virtual 2400; never met hardware",
)
