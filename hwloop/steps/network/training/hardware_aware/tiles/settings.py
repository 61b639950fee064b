"""Settings of the tiles that the last epochs of a training see; nothing here needs PyTorch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, NonNegativeInt, model_validator

from hwloop.array.converter_range import Bits, CalibratedRange
from hwloop.settings.model import Settings
from hwloop.settings.units import Count, Ohm
from hwloop.steps.network.mapping.mapping import OwnOrArrayRange

LineOhm = Annotated[Ohm, Field(ge=0)]


class TileAdc(Settings):
    """Converters of the columns, with keys and rule of the emulator's.

    ``range``: fitted to the partial sums of each block in each batch.
    """

    bits: Bits
    range: CalibratedRange = CalibratedRange(kind="calibrated")


class TileWires(Settings):
    """Resistances of the lines, with the keys of the emulator's; rows driven left, read below.

    The share of each cell's conductance that reaches its column is computed anew every
    ``batches``, and kept in between.
    """

    row_ohm: LineOhm = 0.0
    col_ohm: LineOhm = 0.0
    driver_ohm: LineOhm = 0.0
    sense_ohm: LineOhm = 0.0
    batches: Count = 100

    @model_validator(mode="after")
    def _some(self) -> TileWires:
        if not (self.row_ohm or self.col_ohm or self.driver_ohm or self.sense_ohm):
            raise ValueError("every resistance is 0: leave wires out")
        return self


class TilesInTraining(Settings):
    """Retraining for ``epochs`` on sums as tiles with converters and wires answer them.

    Batch normalisations are folded into the weights first. ``mapping``: as of ``map_network``, by
    default the array's ``range``.
    """

    epochs: NonNegativeInt = 1
    mapping: OwnOrArrayRange = OwnOrArrayRange()
    adc: TileAdc | None = None
    wires: TileWires | None = None

    @model_validator(mode="after")
    def _something_to_see(self) -> TilesInTraining:
        if self.adc is None and self.wires is None:
            raise ValueError("give adc or wires")
        if self.mapping.arrangement == "direct":
            raise ValueError("mapping.arrangement: direct is for weights that are conductances")
        return self
