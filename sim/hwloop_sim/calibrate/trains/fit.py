"""What a fit of a device model is, whichever model it is."""

from __future__ import annotations

from collections.abc import Callable

from hwloop_sim.calibrate.result import Fit
from hwloop_sim.calibrate.trains.data import TrainData

Fitter = Callable[[TrainData], Fit]
