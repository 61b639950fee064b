"""Settings of the wires of an array: their resistances, and what they do to pulses."""

from __future__ import annotations

from typing import Literal, TypeAlias

from hwloop.settings.model import Settings
from hwloop.settings.units import Resistance
from hwloop_sim.circuit import Wires
from hwloop_sim.circuit.wires import ColEnds, RowEnds

WiredPulses: TypeAlias = Literal["integrated", "at_begin", "ideal"]
"""The voltages of cells in a pulse: of their states at any moment, at its beginning, or no loss."""


class WireSettings(Settings):
    """Resistances of the lines of each tile, ohms; see :class:`hwloop_sim.circuit.Wires`.

    ``pulses``: ``integrated``: the voltages follow the cells while these change; ``at_begin``: they
    are those of the state in which the pulses of a map begin; ``ideal``: wires act on reads and
    multiplications alone. Models that know no time within a pulse take ``integrated`` as
    ``at_begin``; those that know the effect of single pulses alone take a pulse of which the wires
    leave less as whole, which is told, and with ``at_begin`` refuse it.
    """

    row_ohm: Resistance = 0.0
    col_ohm: Resistance = 0.0
    driver_ohm: Resistance = 0.0
    sense_ohm: Resistance = 0.0
    selector_ohm: Resistance = 0.0
    row_ends: RowEnds = "left"
    col_ends: ColEnds = "bottom"
    pulses: WiredPulses = "integrated"

    def wires(self) -> Wires:
        """Return the resistances for the circuit solver."""
        return Wires(**self.model_dump(exclude={"pulses"}))
