"""Every driver that has a virtual instrument, ready for the conformance suites."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from hwloop import plugins
from hwloop_drivers.instruments.kind import InstrumentKind
from hwloop_drivers.links.link import Link
from hwloop_drivers.roles import SwitchMatrix
from hwloop_drivers.testing import MatrixRig, SeenPulse, SourceRig, Tap
from hwloop_sim.virtual.circuit.relays import Relays
from tests.drivers.instruments.test_matrices import Case
from tests.virtual_link import OneBox

TapLink = Callable[[Link], Tap]
MakeDriver = Callable[[Link, Any], Any]


_loaded = cache(plugins.load)  # a suite makes dozens of instruments of one kind


@dataclass(frozen=True)
class Source:
    """A source by its kind: settings, and the channel that is tried.

    ``driver``: another driver than the kind's, for the same instrument.
    """

    kind: str
    settings: Mapping[str, object] = field(default_factory=dict)
    channel: str = ""
    driver: MakeDriver | None = None
    load_ohm: float = 1e5

    @property
    def name(self) -> str:
        """For the test's own name."""
        return "-".join([self.kind, *map(str, self.settings.values()), self.channel]).rstrip("-")

    def make(self, tap: TapLink) -> SourceRig:
        """A fresh virtual instrument with a resistor, and its driver."""
        virtual: Any = _loaded("hwloop.virtual_instruments", self.kind)
        output = f"box.{self.channel}" if self.channel else "box"
        box = OneBox(virtual, conductance_s=1 / self.load_ohm, drive=output, settings=self.settings)
        kind: InstrumentKind[Any] = _loaded(plugins.INSTRUMENTS, self.kind)
        settings = kind.settings.parse(dict(self.settings))
        driver = self.driver or kind.make
        return SourceRig(
            instrument=driver(tap(box.link), settings),
            again=lambda: driver(box.link, settings),
            pulses=lambda: [
                SeenPulse(float(p.amplitude_v[0, 0]), p.width_s, ended_s)
                for p, ended_s in zip(box.device.pulses, box.device.ended_s, strict=True)
            ],
            output_v=lambda: box.circuit.output_volts()[output],
            load_ohm=self.load_ohm,
            output=self.channel,
        )


def matrix_rig(case: Case, tap: TapLink, driver: MakeDriver | None = None) -> MatrixRig:
    """A fresh virtual instrument of a case, and its driver, or another one for the same instrument."""
    box = case.box()

    def opened(link: Link) -> SwitchMatrix:
        made: SwitchMatrix = driver(link, case.settings) if driver else case.driver(link)
        return made

    relays = next(v for v in vars(box.instrument).values() if isinstance(v, Relays))
    first, second, third, *_ = case.channels
    return MatrixRig(
        instrument=opened(tap(box.link)),
        again=lambda: opened(box.link),
        channels=(first, second, third),
        wrong=case.wrong,
        closed=box.closed,
        stick=lambda channel: _stick(relays, channel),
    )


def _stick(relays: Relays, channel: str) -> None:
    """From now on this relay stays as it is, and the box knows."""
    before, become = channel in relays.closed, relays.become

    def other_relays(closed: frozenset[str], *, forced: frozenset[str] = frozenset()) -> None:
        kept = closed | {channel} if before else closed - {channel}
        become(kept, forced=forced)

    relays.become = other_relays  # type: ignore[method-assign]
