"""A Keithley 707B with six slots, or a 708B with one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from typing_extensions import override

from hwloop_sim.virtual.languages.tsp_switch import Card
from hwloop_sim.virtual.mainframe.scanning_switch import ScanningSwitch

COLUMNS = 12
SLOTS = {"707B": 6, "708B": 1}


class Keithley707B(ScanningSwitch):
    """A 707B, or the ``model`` in the settings; a 7072 in the first slot without ``cards``.

    Channels are 1A01 to 1H12 in the first slot.
    """

    # Relay settling after the cards' manuals; what a slot answers after slot[X].idn and
    # slot[X].pseudocard of Keithley's help of the 707B: a 7173-50 is a 7173 there.
    cards: ClassVar[Mapping[str, Card]] = {
        "7072": Card("8x12 Semiconductor Matrix", 15e-3, rows=8, columns=COLUMNS),
        "7072-HV": Card(
            "8x12 High Voltage Semiconductor Matrix",
            15e-3,
            rows=8,
            columns=COLUMNS,
            reported="70721",
        ),
        "7173-50": Card(
            "4x12 Hi Freq Matrix AAAA", 10e-3, rows=4, columns=COLUMNS, reported="7173"
        ),
        "7174A": Card("8x12 Low Current Matrix", 1e-3, rows=8, columns=COLUMNS, reported="7174"),
    }
    default_card = "7072"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.model = str(kwargs.get("settings", {}).get("model", "707B"))
        self.slots = SLOTS[self.model]  # type: ignore[misc]
        super().__init__(*args, **kwargs)

    @property
    @override
    def identity(self) -> str:
        return f"KEITHLEY INSTRUMENTS INC.,MODEL {self.model},{self.serial},01.30a"

    @staticmethod
    @override
    def channels(slot: int, card: Card) -> list[str]:
        rows = "ABCDEFGH"[: card.rows]
        return [f"{slot}{row}{column:02d}" for row in rows for column in range(1, COLUMNS + 1)]
