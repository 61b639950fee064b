"""A Keithley 3706A system switch with matrix and multiplexer cards."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from typing_extensions import override

from hwloop_sim.virtual.languages.tsp_switch import Card
from hwloop_sim.virtual.languages.tsp_tables import Cell
from hwloop_sim.virtual.mainframe.scanning_switch import ScanningSwitch

BACKPLANE = (911, 912, 913, 914, 915, 916)
ENGAGED = 3.0  # both interlocks
MULTIPLEXED = {"Dual 1x30 Multiplexer": 60, "Dual 1x20 Multiplexer": 40}


class Keithley3706A(ScanningSwitch):
    """A 3706A; a 3730 matrix in the first slot without ``cards`` in the settings.

    Channels are 1101 to 1616 of a matrix, 1001 and on of a multiplexer, then the backplane relays.
    """

    model = "3706A"
    slots = 6
    cards: ClassVar[Mapping[str, Card]] = {  # relay settling after the Series 3700A data sheets
        "3720": Card("Dual 1x30 Multiplexer", 4e-3, interlock=ENGAGED),
        "3721": Card("Dual 1x20 Multiplexer", 4e-3, interlock=ENGAGED),
        "3730": Card("6x16 High Density Matrix", 4e-3, rows=6, columns=16, interlock=ENGAGED),
        "3731": Card("6x16 High Speed Matrix", 5e-4, rows=6, columns=16, interlock=ENGAGED),
    }
    default_card = "3730"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for path in ("comm.gpib.enable", "comm.lan.enable"):
            enabled = Cell(1, choices=(0, 1))
            self.root.on(path, get=partial(_truth, enabled), set=enabled.set)
        address = Cell(16, lowest=0, highest=30)
        self.root.on("gpib.address", get=address.get, set=address.set)
        self.root.function("memory.available", lambda: "98.0,99.0,99.0,99.0")
        self.root.constant("lan.status.ipaddress", "127.0.0.1")

    @property
    @override
    def identity(self) -> str:
        return f"KEITHLEY INSTRUMENTS INC.,MODEL {self.model},{self.serial},01.56a"

    @staticmethod
    @override
    def channels(slot: int, card: Card) -> list[str]:
        if card.rows is not None and card.columns is not None:
            numbers = [
                100 * row + column
                for row in range(1, card.rows + 1)
                for column in range(1, card.columns + 1)
            ]
        else:
            numbers = list(range(1, MULTIPLEXED[card.about] + 1))
        return [f"{slot}{number:03d}" for number in (*numbers, *BACKPLANE)]


def _truth(cell: Cell) -> bool:
    return cell.value != 0
