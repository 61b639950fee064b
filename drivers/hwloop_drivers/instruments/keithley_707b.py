"""Keithley 707B and 708B switching matrices (TSP); channels as slot, row, column: 1A01.

Commands after their reference manual, 707B-901-01.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator
from typing_extensions import override

from hwloop_drivers.instruments.families.common import NAME
from hwloop_drivers.instruments.families.identified import KEITHLEY
from hwloop_drivers.instruments.families.keithley_switch import KeithleySwitch
from hwloop_drivers.instruments.kind import InstrumentKind
from hwloop_drivers.links.link import Link, LinkSettings

SLOTS = {"707B": 6, "708B": 1}
CARDS = {"7072": 8, "7072-HV": 8, "7173-50": 4, "7174A": 8}  # rows, of 12 columns each
REPORTED = {"7072-HV": "70721", "7173-50": "7173", "7174A": "7174"}
"""What a slot answers for a card, where it is not the card's own name: Keithley's help, topics
*slot[X].idn* (a 7173-50) and *slot[X].pseudocard* (the two others)."""
COLUMNS = 12


class Keithley707BSettings(LinkSettings):
    """``model``: the mainframe, of six slots or one. ``cards``: the card in each slot in use."""

    model: Literal["707B", "708B"] = "707B"
    cards: dict[int, Annotated[str, NAME]] = Field(default={1: "7072"}, min_length=1)

    @model_validator(mode="after")
    def _possible(self) -> Keithley707BSettings:
        for slot, card in self.cards.items():
            if not 1 <= slot <= SLOTS[self.model]:
                raise ValueError(f"cards: slot {slot}: a {self.model} has 1 to {SLOTS[self.model]}")
            if card not in CARDS:
                raise ValueError(f"cards: {card!r} in slot {slot}: one of {', '.join(CARDS)}")
        return self


class Keithley707B(KeithleySwitch):
    """A mainframe with matrix cards of 12 columns."""

    makers, models = KEITHLEY, tuple(SLOTS)

    def __init__(self, link: Link, settings: Keithley707BSettings) -> None:
        super().__init__(link, settings, settings.cards)
        self.models = (settings.model,)

    @staticmethod
    @override
    def reported(card: str) -> str:
        return REPORTED.get(card, card)

    @staticmethod
    @override
    def channels(slot: int, card: str) -> list[str]:
        rows = "ABCDEFGH"[: CARDS[card]]
        return [f"{slot}{row}{column:02d}" for row in rows for column in range(1, COLUMNS + 1)]


KEITHLEY_707B = InstrumentKind(
    name="keithley_707b",
    summary="Keithley 707B and 708B switching matrices, TSP",
    settings=Keithley707BSettings,
    make=Keithley707B,
)
