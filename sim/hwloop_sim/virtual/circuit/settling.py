"""The part of a reading that still stems from the last change of an output.

A current settles exponentially in the time of its range: the difference to the current before the
step decays to 0.1 % within it. The cable behind the output charges in the circuit: :mod:`.cables`.
"""

from __future__ import annotations

import math

from hwloop_sim.virtual.circuit.circuit import Circuit, Sensed
from hwloop_sim.virtual.circuit.clock import BenchClock

SETTLED = 1e-3  # of the step, after the settling time of the range
NEGLIGIBLE = 1e-12


class LastStep:
    """The last change of an output: what was there before, and when it was."""

    def __init__(self, output: str, circuit: Circuit, clock: BenchClock) -> None:
        self._output, self._circuit, self._clock = output, circuit, clock
        self._before = Sensed(0.0, 0.0, limited=False)
        self._changed_s = -math.inf

    def sensed(self) -> Sensed:
        """Return the state of the output now, settled."""
        return self._circuit.sense(self._output)

    def note(self) -> None:
        """Note the present state: the output is about to be driven otherwise."""
        self._before, self._changed_s = self.sensed(), self._clock.now_s

    def unsettled_a(self, amperes: float, settle_s: float) -> float:
        """Return what a reading of ``amperes``, settled, contains besides, amperes."""
        elapsed_s = self._clock.now_s - self._changed_s
        return (self._before.amperes - amperes) * decay(elapsed_s, settle_s)


def decay(elapsed_s: float, settle_s: float) -> float:
    """Return the fraction of a step that is left; 0.1 % after the settling time."""
    if settle_s <= 0:
        return 0.0
    left = SETTLED ** min(elapsed_s / settle_s, 1e3)
    return left if left > NEGLIGIBLE else 0.0
