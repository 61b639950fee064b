"""What a virtual instrument is: text in, text out, terminals in the circuit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from hwloop_sim.virtual.circuit.circuit import Circuit
from hwloop_sim.virtual.circuit.clock import BenchClock


class VirtualInstrument(ABC):
    """One box of the virtual bench, wired under its own name; ``noise`` None is noiseless.

    ``serial_lines``: on a serial port it is reached by the port's path, not as a VISA resource.
    """

    serial_lines: ClassVar[bool] = False

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

    def poll(self) -> None:  # noqa: B027 - most do nothing unasked
        """What happens without being asked; called many times a second of the host's time."""

    def trip(self) -> None:
        """Its outputs go off by themselves, as by an interlock or heat; a matrix has none."""
        if self.output_states():
            raise NotImplementedError(f"{type(self).__name__} does not say how it trips")

    @abstractmethod
    def output_states(self) -> dict[str, bool]:
        """Which outputs are on, by channel; {} for a box without any."""
