"""Keithley 3706A system switch (TSP); matrix channels as slot, row, column: 1101.

Commands after the Series 3700A reference manual, 3700AS-901-01; the channels of a multiplexer
card are slot and a number of three digits: 1001.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator
from typing_extensions import override

from hwloop_drivers.instruments.families.common import NAME
from hwloop_drivers.instruments.families.identified import KEITHLEY
from hwloop_drivers.instruments.families.keithley_switch import KeithleySwitch
from hwloop_drivers.instruments.kind import InstrumentKind
from hwloop_drivers.links.link import Link, LinkSettings

SLOTS = 6
MATRICES = {"3730": (6, 16), "3731": (6, 16)}  # rows, columns
MULTIPLEXERS = {"3720": 60, "3721": 40, "3722": 96, "3723": 60}  # two-pole channels
BACKPLANE = [911, 912, 913, 914, 915, 916]


class Keithley3706ASettings(LinkSettings):
    """``cards``: the card in each slot in use."""

    cards: dict[int, Annotated[str, NAME]] = Field(default={1: "3730"}, min_length=1)

    @field_validator("cards")
    @classmethod
    def _possible(cls, cards: dict[int, str]) -> dict[int, str]:
        known = [*MATRICES, *MULTIPLEXERS]
        for slot, card in cards.items():
            if not 1 <= slot <= SLOTS:
                raise ValueError(f"slot {slot}: a 3706A has 1 to {SLOTS}")
            if card not in known:
                raise ValueError(f"{card!r} in slot {slot}: one of {', '.join(known)}")
        return cards


class Keithley3706A(KeithleySwitch):
    """A mainframe with matrix or multiplexer cards."""

    makers, models = KEITHLEY, ("3706A", "3706A-S", "3706A-NFP", "3706A-SNFP")
    near = ("3706", "3706-S", "3706-NFP", "3706-SNFP")

    def __init__(self, link: Link, settings: Keithley3706ASettings) -> None:
        super().__init__(link, settings, settings.cards)

    @staticmethod
    @override
    def channels(slot: int, card: str) -> list[str]:
        # 1101 to 1616 of a matrix, 1001 and on of a multiplexer, then the backplane relays.
        if card in MATRICES:
            rows, columns = MATRICES[card]
            numbers = [100 * r + c for r in range(1, rows + 1) for c in range(1, columns + 1)]
        else:
            numbers = list(range(1, MULTIPLEXERS[card] + 1))
        return [f"{slot}{number:03d}" for number in (*numbers, *BACKPLANE)]


KEITHLEY_3706A = InstrumentKind(
    name="keithley_3706a",
    summary="Keithley 3706A system switch with matrix or multiplexer cards, TSP",
    settings=Keithley3706ASettings,
    make=Keithley3706A,
)
