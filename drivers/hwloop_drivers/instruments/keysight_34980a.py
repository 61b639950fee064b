"""Keysight 34980A switch/measure unit (SCPI) with matrix modules; a channel is sxxx: 1101.

Commands after its programmer's reference; channel numbers after the user's guides of the modules
34931A/34932A/34933A and 34934A: slot, then 100 + (row - 1) × spacing + column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field, field_validator
from typing_extensions import override

from hwloop.errors import UnexpectedReply, Unsupported
from hwloop_drivers.instruments.families.identified import KEYSIGHT
from hwloop_drivers.instruments.families.matrix import VerifiedMatrix
from hwloop_drivers.instruments.families.scpi import ScpiInstrument
from hwloop_drivers.instruments.kind import InstrumentKind
from hwloop_drivers.links.link import Link, LinkSettings

SLOTS = 8
HIGH_DENSITY = "34934A"  # its terminal block makes its layout


@dataclass(frozen=True)
class Module:
    """Rows, columns of each (all its matrices together), and the numbers between two rows."""

    rows: int
    columns: int
    spacing: int = 100

    def numbers(self) -> list[int]:
        """Return the numbers of the module's channels, in order."""
        return [100 + row * self.spacing + c for row in range(self.rows) for c in self._columns]

    @property
    def _columns(self) -> range:
        return range(1, self.columns + 1)


MODULES = {
    "34931A": Module(8, 8),  # two 4 × 8: rows 5 to 8 are those of the second
    "34932A": Module(8, 16),  # two 4 × 16
    "34933A": Module(8, 8),  # two 4 × 8, in its 2-wire mode
    "34934A-4x32": Module(4, 128, 200),  # four 4 × 32, one beside the other
    "34934A-4x64": Module(4, 128, 200),
    "34934A-4x128": Module(4, 128, 200),
    "34934A-8x32": Module(8, 64),
    "34934A-8x64": Module(8, 64),
    "34934A-16x32": Module(16, 32, 50),
}


class Keysight34980ASettings(LinkSettings):
    """``modules``: the matrix module in each slot that the station uses."""

    modules: dict[int, str] = Field(default={1: "34932A"}, min_length=1)

    @field_validator("modules")
    @classmethod
    def _known(cls, modules: dict[int, str]) -> dict[int, str]:
        for slot, module in modules.items():
            if not 1 <= slot <= SLOTS:
                raise ValueError(f"slot {slot}: a 34980A has 1 to {SLOTS}")
            if module not in MODULES:
                raise ValueError(f"module {module!r}: one of {', '.join(MODULES)}")
        return modules


class Keysight34980A(ScpiInstrument, VerifiedMatrix):
    """A mainframe with matrix modules."""

    makers, models = KEYSIGHT, ("34980A",)

    def __init__(self, link: Link, settings: Keysight34980ASettings) -> None:
        super().__init__(link, settings)
        self._modules: Mapping[int, str] = settings.modules
        self._channels = [
            f"{slot}{number}"
            for slot, module in sorted(settings.modules.items())
            for number in MODULES[module].numbers()
        ]
        self._known = frozenset(self._channels)

    @override
    def verify_identity(self) -> None:
        super().verify_identity()
        for slot, module in self._modules.items():
            reply = self.link.query(f"SYST:CTYP? {slot}").strip().strip('"')
            if [f.strip().upper() for f in reply.split(",")][1:2] != [module.upper()]:
                raise UnexpectedReply(
                    f"{self.link.address}: expected a {module} in slot {slot}, found {reply!r};"
                    " check the station's modules"
                )
            if module.startswith(HIGH_DENSITY):
                self._verify_terminals(slot, module)

    def _verify_terminals(self, slot: int, module: str) -> None:
        """Raise :class:`UnexpectedReply` unless the terminal block of a 34934A is on it.

        Without it, or with its interlock open, the module connects nothing and says nothing.
        """
        reply = self.link.query(f"SYST:MOD:TERM:TYPE? {slot}").strip().strip('"')
        if reply.upper() != module.partition("-")[2].upper():
            raise UnexpectedReply(
                f"{self.link.address}: the {module} in slot {slot} has the terminal block"
                f" {reply!r}; NONE stands for no block, or for an open safety interlock"
            )

    @property
    @override
    def closed(self) -> frozenset[str]:
        found: set[str] = set()
        for slot, name in self._modules.items():
            module = MODULES[name]
            asked = [f"{slot}{number}" for number in module.numbers()]
            rows = [asked[n : n + module.columns] for n in range(0, len(asked), module.columns)]
            ranges = ",".join(f"{row[0]}:{row[-1]}" for row in rows)
            reply = self.link.query(f"ROUT:CLOS? (@{ranges})").strip()
            states = reply.replace(" ", "").split(",")
            if len(states) != len(asked) or not set(states) <= {"0", "1"}:
                raise UnexpectedReply(
                    f"{self.link.address}: ROUT:CLOS? of {len(asked)} channels answered {reply!r}"
                )
            found |= {c for c, state in zip(asked, states, strict=True) if state == "1"}
        return frozenset(found)

    @override
    def refuse_channel(self, channel: str) -> None:
        if channel not in self._known:
            raise Unsupported(
                f"{channel!r} is no channel of this 34980A: {self._channels[0]} to"
                f" {self._channels[-1]}, of"
                f" {', '.join(f'{m} in slot {s}' for s, m in sorted(self._modules.items()))}"
            )

    @override
    def _close(self, channels: Sequence[str]) -> frozenset[str]:
        self._set_finished(f"ROUT:CLOS (@{','.join(channels)})")
        return self.closed

    @override
    def _open(self, channels: Sequence[str]) -> frozenset[str]:
        self._set_finished(f"ROUT:OPEN (@{','.join(channels)})")
        return self.closed

    @override
    def _open_everything(self) -> frozenset[str]:
        self._set_finished("ROUT:OPEN:ALL")
        return self.closed


KEYSIGHT_34980A = InstrumentKind(
    name="keysight_34980a",
    summary="Keysight 34980A switch/measure unit with matrix modules, SCPI",
    settings=Keysight34980ASettings,
    make=Keysight34980A,
)
