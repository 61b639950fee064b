"""The relays of a virtual switch: its channels, the closed ones, and their settling time."""

from __future__ import annotations

from collections.abc import Iterable

from hwloop_sim.virtual.circuit.circuit import Circuit
from hwloop_sim.virtual.circuit.clock import BenchClock


class Relays:
    """The relays of one switch in the circuit; every change lasts ``settle_s``.

    ``order``: every channel, in the order in which the instrument lists them.
    """

    def __init__(
        self, name: str, circuit: Circuit, clock: BenchClock, order: list[str], *, settle_s: float
    ) -> None:
        self.order = order
        self.settle_s = settle_s
        self.closed: frozenset[str] = frozenset()
        self._place = {channel: n for n, channel in enumerate(order)}
        self._name, self._circuit, self._clock = name, circuit, clock
        self._forced: frozenset[str] = frozenset()

    def __contains__(self, channel: str) -> bool:
        return channel in self._place

    def in_order(self, channels: Iterable[str]) -> list[str]:
        """Return these channels in the order of the instrument."""
        return sorted(channels, key=self._place.__getitem__)

    def between(self, first: str, last: str) -> list[str]:
        """Return the channels of a range, both ends included; KeyError for an unknown one."""
        return self.order[self._place[first] : self._place[last] + 1]

    def become(self, closed: frozenset[str], *, forced: frozenset[str] = frozenset()) -> None:
        """Close these channels and the ``forced`` ones of the instrument; open all others."""
        if closed == self.closed and forced == self._forced:
            return
        self.closed, self._forced = closed, forced
        self._circuit.set_closed(self._name, closed | forced)
        self._clock.advance(self.settle_s)
