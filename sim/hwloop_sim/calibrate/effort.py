"""Time that the search of a calibration may take, and how it is ended."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field


class SearchEnded(Exception):
    """A search has used its time, or someone has asked to stop; the best so far is kept."""


def _never() -> bool:
    return False


def _quietly(_message: str, _left_s: float) -> None:
    pass


@dataclass(frozen=True)
class Effort:
    """Time of a search, by a monotonic clock.

    ``until_s``: when it ends, on the clock ``now_s``; infinite by default. ``stopped``: whether
    someone has asked to stop. ``tell``: called with what is being done and the seconds left.
    """

    until_s: float = math.inf
    stopped: Callable[[], bool] = _never
    tell: Callable[[str, float], None] = _quietly
    now_s: Callable[[], float] = field(default=time.monotonic)

    @property
    def left_s(self) -> float:
        """Return the seconds left, 0 after the end."""
        return max(self.until_s - self.now_s(), 0.0)

    @property
    def ended(self) -> bool:
        """Return whether the time is up, or a stop was asked for."""
        return self.left_s <= 0.0 or self.stopped()

    def check(self, doing: str = "") -> None:
        """Raise :class:`SearchEnded` after the end; else tell what is being done."""
        if self.ended:
            raise SearchEnded
        if doing:
            self.tell(doing, self.left_s)

    def share(self, fraction: float) -> Effort:
        """Return the effort that ends after this fraction of the time left."""
        until_s = self.now_s() + fraction * self.left_s if math.isfinite(self.until_s) else math.inf
        return Effort(until_s, self.stopped, self.tell, self.now_s)


UNLIMITED = Effort()
