"""The 2400's data store: the TRACe and CALCulate3 subsystems, user's manual 2400S-900-01."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from hwloop_sim.virtual.languages.scpi import Arguments, ScpiError, scientific

if TYPE_CHECKING:
    from hwloop_sim.virtual.languages.scpi import VirtualScpiInstrument

DEFAULT_POINTS, MOST_POINTS = 100, 2500
STATISTICS: dict[str, Callable[..., Any]] = {
    "MEAN": np.mean,
    "MAX": np.max,
    "MIN": np.min,
    "SDEV": np.std,
    "PKPK": np.ptp,
}
STATISTIC_FORMS = ("MEAN", "MAXimum", "MINimum", "SDEViation", "PKPK")


class Trace:
    """Readings that are kept while the feed is on, until the store is full."""

    def __init__(self, box: VirtualScpiInstrument) -> None:
        self._box = box
        self.reset()

    def reset(self) -> None:
        """Empty the store and switch the feed off."""
        self._readings: list[str] = []
        self._points, self._feeding, self._statistic = DEFAULT_POINTS, False, "MEAN"

    def stop(self) -> None:
        """Switch the feed off; what is stored stays."""
        self._feeding = False

    @property
    def full(self) -> bool:
        """Return whether every point has a reading."""
        return len(self._readings) >= self._points

    def store(self, reading: str) -> None:
        """Keep a reading if the feed is on and there is room."""
        if self._feeding and not self.full:
            self._readings.append(reading)
            self._feeding = not self.full

    def add_commands(self) -> None:
        """Register the commands of the data store at the instrument."""
        on = self._box.on
        on(":TRACe:CLEar", set=lambda _: self._readings.clear())
        on(":TRACe:POINts", set=self._set_points, get=lambda _: str(self._points))
        on(":TRACe:POINts:ACTual", get=lambda _: str(len(self._readings)))
        self._box.keep(":TRACe:FEED", "SENS", "SENSe")
        on(":TRACe:FEED:CONTrol", set=self._set_feed, get=self._get_feed)
        on(":TRACe:DATA", get=lambda _: ",".join(self._readings))
        on(":CALCulate3:FORMat", set=self._set_statistic, get=lambda _: self._statistic)
        on(":CALCulate3:DATA", get=self._get_statistic)

    def _set_points(self, arguments: Arguments) -> None:
        self._points = int(arguments.number(lowest=1, highest=MOST_POINTS, default=DEFAULT_POINTS))

    def _set_feed(self, arguments: Arguments) -> None:
        self._feeding = arguments.choice("NEXT", "NEVer") == "NEXT"
        if self._feeding:
            self._readings.clear()

    def _get_feed(self, _: Arguments) -> str:
        return "NEXT" if self._feeding else "NEV"

    def _set_statistic(self, arguments: Arguments) -> None:
        self._statistic = arguments.choice(*STATISTIC_FORMS)

    def _get_statistic(self, _: Arguments) -> str:
        """Return the statistic of every column of the store."""
        if not self._readings:
            raise ScpiError(-230, "Data corrupt or stale")
        rows = np.array([[float(v) for v in reading.split(",")] for reading in self._readings])
        return ",".join(scientific(float(v)) for v in STATISTICS[self._statistic](rows, axis=0))
