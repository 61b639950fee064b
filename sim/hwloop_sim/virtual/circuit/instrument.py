"""The interface of a virtual instrument: text in, text out, terminals in the circuit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from hwloop_sim.virtual.circuit.circuit import Circuit
from hwloop_sim.virtual.circuit.clock import BenchClock


class VirtualInstrument(ABC):
    """One instrument of the virtual bench, wired under its own name; ``noise`` None is noiseless.

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
        """Obey one message; return the reply without its terminator, None for no reply.

        Example::

          def receive(self, message: str) -> str | None:
              return "ACME,1,0,1.0" if message == "*IDN?" else None
        """

    @abstractmethod
    def device_clear(self) -> None:
        """Abort pending actions; settings stay.

        Example, for an instrument that has none: ``pass``.
        """

    def poll(self) -> None:  # noqa: B027 - most do nothing unasked
        """Act without being addressed, as a watchdog does; called often in the host's time."""

    def trip(self) -> None:
        """Switch the outputs off, as by an interlock or overheating; a matrix has no outputs."""
        if self.output_states():
            raise NotImplementedError(f"{type(self).__name__} does not say how it trips")

    @abstractmethod
    def output_states(self) -> dict[str, bool]:
        """Return whether each output is on, by channel; {} for an instrument without outputs.

        Example, for one output: ``return {"": self._on}``.
        """
