"""Base of the drivers of switch matrices: closing and opening, verified."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Sequence

from typing_extensions import override

from hwloop.errors import InstrumentFault
from hwloop_drivers.roles import SwitchMatrix


class VerifiedMatrix(SwitchMatrix):
    """A matrix that checks channels before anything is sent, and the closed ones afterwards.

    A driver implements closing and opening; both return when the relays have settled, with the
    channels that the instrument reports as closed then.
    """

    @abstractmethod
    def _close(self, channels: Sequence[str]) -> frozenset[str]:
        """Close channels; return all that the instrument then reports as closed."""

    @abstractmethod
    def _open(self, channels: Sequence[str]) -> frozenset[str]:
        """Open channels; return those that the instrument then reports as closed."""

    @abstractmethod
    def _open_everything(self) -> frozenset[str]:
        """Open every channel; return those that the instrument still reports as closed."""

    @override
    def close_channels(self, channels: Sequence[str]) -> None:
        self._refuse(channels)
        if channels:
            self._fault("did not close", set(channels) - self._close(channels))

    @override
    def open_channels(self, channels: Sequence[str]) -> None:
        self._refuse(channels)
        if channels:
            self._fault("did not open", set(channels) & self._open(channels))

    @override
    def open_all(self) -> None:
        self._fault("did not open", self._open_everything())

    def _refuse(self, channels: Sequence[str]) -> None:
        for channel in channels:
            self.refuse_channel(channel)

    def _fault(self, what: str, channels: Collection[str]) -> None:
        if channels:
            named = ", ".join(sorted(channels))
            raise InstrumentFault(f"{self.link.address}: {named} {what}; a relay is stuck")
