"""Result of fitting a device model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hwloop_sim.calibrate.covariance import Covariance


@dataclass(frozen=True)
class Fit:
    """Fitted settings of a device model, each with its uncertainty.

    ``settings``: as a procedure has them below ``device``. ``uncertainty``: one standard deviation
    of each fitted setting, by name, in the unit of the name. ``read_noise_conductance_s``: standard
    deviation of a read, siemens, which the model does not include; None if it was not estimated.
    ``read_noise``: the same as a fraction of the conductance. ``goodness``: figures by name.
    ``messages``: remarks for the user. ``covariance``: of the fitted settings; None if unknown.
    """

    settings: Mapping[str, Any]
    uncertainty: Mapping[str, float]
    read_noise_conductance_s: float | None
    goodness: Mapping[str, float]
    messages: Sequence[str]
    read_noise: float | None = None
    covariance: Covariance | None = None
