"""Read disturb: every read changes the conductance of a cell a little.

Each read at the voltage V multiplies G by exp(r · sgn(V) · (|V|/V₀)^p): a positive ``rate`` moves
up under positive voltage and down under negative, as SET and RESET do, so that reads of both
polarities cancel; with ``polar: false`` every read moves the same way. Source: the steep dependence
on voltage is that of field-driven switching, e.g. R. Waser et al., Adv. Mater. 21, 2632 (2009); the
numbers are to be measured. Valid while the change of one operation is small.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field
from typing_extensions import override

from hwloop.settings.model import Settings
from hwloop.settings.units import Number, PositiveVolt
from hwloop.types import FloatArray
from hwloop_sim.cells.effect import Effect, EffectKind


class ReadDisturbSettings(Settings):
    """Settings of read disturb.

    ``rate``: change of ln G in one read at ``reference_v``; ``exponent``: of the voltage.
    """

    rate: Annotated[Number, Field(ge=-0.1, le=0.1)]
    reference_v: PositiveVolt
    exponent: Annotated[Number, Field(ge=0, le=40)] = 1.0
    polar: Annotated[bool, Field(strict=True)] = True


class ReadDisturb(Effect):
    """The disturbance of reads, kept in the state of the cells alone."""

    def __init__(
        self,
        settings: ReadDisturbSettings,
        shape: tuple[int, ...],  # noqa: ARG002 - nothing is kept for a cell
        rng: np.random.Generator,  # noqa: ARG002 - nothing is drawn
    ) -> None:
        self._settings = settings

    @override
    def read(self, conductance_s: FloatArray, voltage_v: FloatArray) -> FloatArray:
        settings = self._settings
        strength = (np.abs(voltage_v) / settings.reference_v) ** settings.exponent
        # A cell that is not driven is not read; 0 to the power of 0 would count it.
        strength *= np.sign(voltage_v) if settings.polar else voltage_v != 0
        disturbed: FloatArray = conductance_s * np.exp(settings.rate * strength.sum(axis=0))
        return disturbed


READ_DISTURB = EffectKind(
    name="read_disturb",
    summary="Every read moves a cell a little",
    settings=ReadDisturbSettings,
    make=ReadDisturb,
    order=50,
    arrays=lambda _: 0,
)
