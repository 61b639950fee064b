"""Converters of an estimate, and published figures for them.

ADC: A. Shafiee et al., "ISAAC", ISCA 2016, doi:10.1145/3007787.3001139, Table I: eight ADCs of 8
bits at 1.2 GS/s take 16 mW, scaled from L. Kull et al., ISSCC 2013,
doi:10.1109/ISSCC.2013.6487818, who measured 3.1 mW for one. DAC: the one of 8 bits within the ADC
of H. Chen et al., VLSI 2018, doi:10.1109/VLSIC.2018.8502370, 0.32 mW at 1.1 GS/s, as taken for a
crossbar in T. Song et al., "BRAHMS", DAC 2021, doi:10.1109/DAC18074.2021.9586247. B. Murmann's
survey of ADCs, https://github.com/bmurmann/ADC-survey, has figures of others.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from hwloop.settings.model import Settings
from hwloop.settings.units import Count, PositiveJoule, PositiveSecond


class Converter(Settings):
    """Converter with energy and time of one conversion of ``bits`` bits, and their ``source``.

    They hold for that resolution alone: for another, give the figures of its converter.
    """

    energy_j: PositiveJoule
    conversion_s: PositiveSecond
    bits: Count
    source: Annotated[str, Field(min_length=1)]


ISAAC_ADC = Converter(
    energy_j=16e-3 / (8 * 1.2e9),
    conversion_s=1 / 1.2e9,
    bits=8,
    source="ISAAC, doi:10.1145/3007787.3001139, Table I: 8 ADCs of 8 bits, 1.2 GS/s, 16 mW",
)
BRAHMS_DAC = Converter(
    energy_j=0.32e-3 / 1.1e9,
    conversion_s=1 / 1.1e9,
    bits=8,
    source="doi:10.1109/VLSIC.2018.8502370: 8 bits, 1.1 GS/s, 0.32 mW",
)
ISAAC_READ_S = 100e-9
"""Cycle of a crossbar read in ISAAC, doi:10.1145/3007787.3001139."""
