"""Resistances between sources, cells and meters of an array."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Literal, get_args

RowEnds = Literal["left", "right", "both"]
ColEnds = Literal["top", "bottom", "both"]


@dataclass(frozen=True)
class Wires:
    """Resistances of the lines and their terminals, ohms; 0 is ideal.

    ``row_ohm``, ``col_ohm``: one segment of a word or bit line, from cell to cell and from the
    first cell to the terminal. ``driver_ohm``: output of a row's driver. ``sense_ohm``: input of
    a column's meter. ``selector_ohm``: the closed selector of any line. ``row_ends``,
    ``col_ends``: where a line has its terminal; with "both", each end has a driver (or meter)
    and a selector of its own, at one voltage.
    """

    row_ohm: float = 0.0
    col_ohm: float = 0.0
    driver_ohm: float = 0.0
    sense_ohm: float = 0.0
    selector_ohm: float = 0.0
    row_ends: RowEnds = "left"
    col_ends: ColEnds = "bottom"

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, str) and not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{field.name} {value} is not a finite resistance of 0 or more")
        _one_of(self.row_ends, get_args(RowEnds), "row_ends")
        _one_of(self.col_ends, get_args(ColEnds), "col_ends")

    @property
    def row_lead_ohm(self) -> float:
        """Return the resistance from a row's voltage source to the first cell."""
        return self.driver_ohm + self.selector_ohm + self.row_ohm

    @property
    def col_lead_ohm(self) -> float:
        """Return the resistance from a column's nearest cell to the virtual ground of its meter."""
        return self.sense_ohm + self.selector_ohm + self.col_ohm

    def lead_conductance_s(self) -> tuple[float, float, float, float]:
        """Return the conductance from the terminals to the left, right, top and bottom line ends.

        Siemens; 0 where there is no terminal, infinity where the end is held without any
        resistance.
        """
        row_conductance_s, col_conductance_s = (
            _inverse(self.row_lead_ohm),
            _inverse(self.col_lead_ohm),
        )
        return (
            row_conductance_s if self.row_ends != "right" else 0.0,
            row_conductance_s if self.row_ends != "left" else 0.0,
            col_conductance_s if self.col_ends != "bottom" else 0.0,
            col_conductance_s if self.col_ends != "top" else 0.0,
        )


def _inverse(ohm: float) -> float:
    return 1.0 / ohm if ohm > 0 else math.inf


def _one_of(value: str, allowed: tuple[str, ...], name: str) -> None:
    if value not in allowed:
        raise ValueError(f"{name} {value!r} is none of {', '.join(allowed)}")
