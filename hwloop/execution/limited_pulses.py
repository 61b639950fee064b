"""Count of the pulses that compliance kept from their cells, for the outcome of each step.

Such a pulse counts in the life of its cell, and the step goes on: a cell that is turned on against
a compliance is switched as intended. But the amplitude of the step is not what the cell has seen,
so that the step's outcome has to say how often that was.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from typing_extensions import override

from hwloop.array.operations import (
    Answer,
    Flag,
    Operation,
    PulseMap,
    PulsePair,
    Ramp,
    Reading,
    any_limited,
    limited,
)
from hwloop.backend.base import CrossbarBackend
from hwloop.backend.wrapper import Wrapper
from hwloop.steps.rows import Outcome


class LimitedPulses(Wrapper):
    """A backend whose pulses are counted, and those of them that a source at its limit cut."""

    def __init__(self, inner: CrossbarBackend) -> None:
        super().__init__(inner)
        self._pulses = self._limited = 0

    @override
    def perform(self, operation: Operation) -> Answer:
        answer = self._inner.perform(operation)
        if isinstance(operation, PulseMap | PulsePair) and isinstance(answer, np.ndarray):
            given = answer & np.uint8(Flag.NOT_ADDRESSED) == 0
            each = operation.count if isinstance(operation, PulseMap) else 2
            self._pulses += each * int(np.count_nonzero(given))
            if any_limited(answer):
                self._limited += each * int(np.count_nonzero(limited(answer)))
        if isinstance(operation, Ramp) and isinstance(answer, Reading):
            given = answer.flags & np.uint8(Flag.NOT_ADDRESSED) == 0
            self._pulses += int(np.count_nonzero(given))
            self._limited += int(np.count_nonzero(answer.flags & np.uint8(Flag.AFTER_LIMITED)))
        return answer

    def begin(self) -> None:
        """Count anew, for the next step."""
        self._pulses = self._limited = 0

    def told(self, outcome: Outcome) -> Outcome:
        """Return the outcome of a step with a word about its limited pulses, if it had any."""
        if not self._limited:
            return outcome
        words = (
            f"{self._limited} of {self._pulses} pulses were kept from their cells by compliance"
            " (limits.current_a)"
        )
        return replace(outcome, message=f"{outcome.message}; {words}")
