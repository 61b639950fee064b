"""A matrix of switches between outputs, ground and lines."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

from typing_extensions import override

from hwloop_drivers.roles.instrument import Instrument
from hwloop_drivers.roles.pulse_generator import PulseGenerator
from hwloop_drivers.roles.source_meter import SourceMeter


class SwitchMatrix(Instrument):
    """Crosspoints that connect outputs and ground to lines.

    A channel is named as the instrument names it: ``1!1!1``, ``1A01``, ``10101``, ``r1c2``.
    Closing and opening verify: the closed channels are read back and compared, a difference is an
    :class:`hwloop.errors.InstrumentFault` that names the channels. Its safe state has every channel
    open; a caller who knows the wiring grounds the lines first.
    """

    @property
    @abstractmethod
    def closed(self) -> frozenset[str]:
        """Get the channels that the instrument reports as closed now.

        Example: ``frozenset({"1A01", "1C02"})``.
        """

    @abstractmethod
    def refuse_channel(self, channel: str) -> None:
        """Raise :class:`hwloop.errors.Unsupported` if this is no channel's name; no traffic.

        Example: a 707B raises for ``"1!1!1"``, whose channels are named as ``"1A01"``.
        """

    @abstractmethod
    def close_channels(self, channels: Sequence[str]) -> None:
        """Close channels beside those that are closed; verified; return when they have settled.

        Example: ``matrix.close_channels(["1A01"])`` adds it to ``matrix.closed``.
        """

    @abstractmethod
    def open_channels(self, channels: Sequence[str]) -> None:
        """Open channels; verified; return when they have settled.

        Example: ``matrix.open_channels(["1A01"])`` takes it out of ``matrix.closed``.
        """

    @abstractmethod
    def open_all(self) -> None:
        """Open every channel; verified; return when they have settled.

        Example: ``matrix.open_all(); matrix.closed`` gives ``frozenset()``.
        """

    def change(self, *, close: Sequence[str], open_: Sequence[str]) -> None:
        """Close channels, then open others, so that no line floats in between; at 0 V only."""
        if close:
            self.close_channels(close)
        if open_:
            self.open_channels(open_)

    @override
    def outputs(self) -> Mapping[str, SourceMeter | PulseGenerator]:
        return {}

    @override
    def safe_state(self) -> None:
        self.open_all()
