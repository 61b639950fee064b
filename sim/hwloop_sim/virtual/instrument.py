"""What a virtual instrument is: text in, text out, terminals in the circuit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np

from hwloop_sim.virtual.circuit import Circuit
from hwloop_sim.virtual.clock import BenchClock


class VirtualInstrument(ABC):
    """One box of the virtual bench, wired under its own name; ``noise`` None is noiseless."""

    def __init__(
        self,
        name: str,
        circuit: Circuit,
        clock: BenchClock,
        *,
        noise: np.random.Generator | None,
        settings: Mapping[str, object],  # noqa: ARG002 - of the driver; a box may heed them
    ) -> None:
        self._name = name
        self._circuit = circuit
        self._clock = clock
        self._noise = noise

    @abstractmethod
    def receive(self, message: str) -> str | None:
        """Obey one message; the reply without its terminator, None for none."""

    @abstractmethod
    def device_clear(self) -> None:
        """Abort what is under way; settings stay."""

    @abstractmethod
    def output_states(self) -> dict[str, bool]:
        """Which outputs are on, by channel; {} for a box without any."""
