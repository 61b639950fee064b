"""What a fit comes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Fit:
    """Settings of a model that were found, each with its uncertainty.

    ``settings``: as a procedure has them below ``device``. ``uncertainty``: one standard deviation
    of those that were fitted, by name, in the unit of the name. ``read_noise_conductance_s``: of a
    read in the trains, which the model does not hold; None where it was not estimated.
    ``read_noise``: the same as a fraction of the conductance. ``goodness``: figures by name.
    ``words``: what a person should know of the fit.
    """

    settings: Mapping[str, Any]
    uncertainty: Mapping[str, float]
    read_noise_conductance_s: float | None
    goodness: Mapping[str, float]
    words: Sequence[str]
    read_noise: float | None = None
