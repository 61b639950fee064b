"""A PyMeasure instrument as a source meter, named in a station file.

::

    smu:
      kind: pymeasure
      address: GPIB0::24::INSTR
      settings:
        class: pymeasure.instruments.keithley.Keithley2400
        identity: MODEL 2400
        most_v: 210
        least_a: 1 nA
        most_a: 1.05
"""

from __future__ import annotations

from typing import Any

from typing_extensions import override

from hwloop_drivers.adapters.source_meter import ForeignSettings, ForeignSourceMeter
from hwloop_drivers.instruments.kind import InstrumentKind
from hwloop_drivers.links.link import Link


class PyMeasureSourceMeter(ForeignSourceMeter):
    """The names are those of PyMeasure's Keithley 2400.

    Its ``current`` is a ``:MEASure?``, which resets the compliance and turns the output on (2400
    user's manual, 17-2); ``measure_all`` is a ``:READ?``.
    """

    names = {  # noqa: RUF012 - a constant
        "level": "source_voltage",
        "range": "source_voltage_range",
        "compliance": "compliance_current",
        "current": "measure_all",
        "nplc": "current_nplc",
        "enabled": "source_enabled",
    }
    prepare = {"source_mode": "voltage"}  # noqa: RUF012 - a constant

    def __init__(self, link: Link, settings: ForeignSettings) -> None:
        super().__init__(link, settings, library="pymeasure")

    @override
    def _make(self, made_by: Any) -> Any:
        return made_by(_on_link(self.link))

    @override
    def _put(self, name: str, value: object) -> None:
        setattr(self.foreign(), name, value)

    @override
    def _take(self, name: str) -> object:
        value: object = getattr(self.foreign(), name)
        return value

    @override
    def _discard(self) -> None:
        self._made = None


def _on_link(link: Link) -> Any:
    """Return a PyMeasure adapter that speaks through a link, and asks each question at once."""
    from pymeasure.adapters import Adapter

    class LinkAdapter(Adapter):  # type: ignore[misc] # untyped
        reply = ""

        def _write(self, command: str, **_: Any) -> None:
            if "?" in command:
                self.reply = link.query(command)
            else:
                link.write(command)

        def _read(self, **_: Any) -> str:
            reply, self.reply = self.reply, ""
            return reply

        def close(self) -> None:
            """Do nothing: the link is closed by the driver that opened it."""

    return LinkAdapter()


PYMEASURE = InstrumentKind(
    name="pymeasure",
    summary="a source meter of PyMeasure's: reads and levels, no pulses",
    settings=ForeignSettings,
    make=PyMeasureSourceMeter,
    proof="PyMeasure's own driver on the virtual 2400; never met hardware",
)
