"""Try each pulse in a calibrated twin first, send the best one, read, and begin again.

Our reading of the weight update of NeuroPack, J. Huang et al., Front. Nanotechnol. 4, 851856
(2022), doi:10.3389/fnano.2022.851856: from a list of pulses, the one that a model of the device
says will leave the cell nearest to what is wanted. A cell that answers otherwise than its twin
would get the same pulse for ever; so what it has shown beyond the prediction is added to the next
one, as in offset-free model-predictive control (G. Pannocchia and J. B. Rawlings, AIChE J. 49, 426
(2003), doi:10.1002/aic.690490213).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator
from typing_extensions import override

from hwloop.array.settings import ArraySettings
from hwloop.errors import ConfigError
from hwloop.settings.model import Settings
from hwloop.settings.units import Count, EitherVolt, Number, PositiveSecond, PositiveVolt
from hwloop.steps.array import Array
from hwloop.steps.program.controllers.base import IntArray, Move, PulseTrain, Side, State
from hwloop.steps.program.controllers.twin import PulseCandidate, TwinChoice
from hwloop.types import BoolArray, FloatArray

MOST_CANDIDATES = 1000
ENOUGH = 0.5
"""Of the way to the target: a pulse that is expected to bring a cell less is sent only where all
are. Where each pulse back goes too far, the nearest to the target would be one that does nothing.
"""


class PulseGrid(Settings):
    """Pulses that may be sent: each amplitude with each width and, for 1T1R cells, each gate."""

    amplitudes_v: tuple[EitherVolt, ...] = Field(min_length=1)
    widths_s: tuple[PositiveSecond, ...] = Field(min_length=1)
    gates_v: tuple[PositiveVolt, ...] | None = Field(default=None, min_length=1)

    def candidates(self) -> list[PulseCandidate]:
        """Return every pulse of the grid."""
        gates_v = self.gates_v or (None,)
        return [PulseCandidate(*one) for one in product(self.amplitudes_v, self.widths_s, gates_v)]

    def strongest(self) -> list[PulseTrain]:
        """Return the strongest pulse of each polarity."""
        gate_v = None if self.gates_v is None else max(self.gates_v)
        ends_v = (max(self.amplitudes_v), min(self.amplitudes_v))
        return [
            PulseTrain(amplitude=volts, width_s=max(self.widths_s), gate=gate_v)
            for volts, sign in zip(ends_v, (1, -1), strict=True)
            if volts * sign > 0
        ]


class ModelPredictive(Settings):
    """Settings: the ``candidates``, one grid of pulses or several.

    ``twin``: a calibration by name or path, or an emulator's settings. ``draws``: devices of the
    twin's distribution in which each candidate is tried; the pulse with the least mean square of
    what is left to the target is sent. ``feedback``: share of the latest error of the prediction
    that is added to those that follow in the same direction; 0: none.
    """

    name: Literal["model_predictive"]
    twin: TwinChoice
    candidates: tuple[PulseGrid, ...] = Field(min_length=1)
    draws: Annotated[Count, Field(le=10_000)] = 8
    feedback: Annotated[Number, Field(ge=0, le=1)] = 0.5

    @model_validator(mode="after")
    def _alike(self) -> ModelPredictive:
        if len(self.every) > MOST_CANDIDATES:
            raise ValueError(f"{len(self.every)} candidates; at most {MOST_CANDIDATES}")
        if len({one.gates_v is None for one in self.candidates}) > 1:
            raise ValueError("candidates: all grids need gates_v, or none")
        return self

    @cached_property
    def every(self) -> list[PulseCandidate]:
        """Return every pulse that may be sent."""
        return [one for grid in self.candidates for one in grid.candidates()]

    @property
    def trains(self) -> tuple[PulseTrain | None, PulseTrain | None]:
        """No trains: every pulse has its own amplitude and width."""
        return None, None

    def strongest(self) -> list[PulseTrain]:
        """Return the strongest pulse of each grid and polarity."""
        return [train for grid in self.candidates for train in grid.strongest()]

    def refuse_unknown(self, array: ArraySettings) -> None:
        """Raise :class:`ConfigError` for a candidate that the twin's device does not cover."""
        try:
            self.twin.refuse_unknown(self.every, array)
        except ConfigError as exc:
            raise exc.below("algorithm.twin") from None

    def on(self, array: Array) -> Predictor:
        """Return the controller for an array, with draws from the run's randomness."""
        (rng,) = array.rng.spawn(1)
        return Predictor(self, array, rng)


@dataclass(frozen=True)
class PredictedState(State):
    """State of cells, with their targets and how their twins were wrong.

    ``expected_conductance_s``: after the latest pulse, by the twin alone; NaN before any.
    ``bias_conductance_s``: (2, cells), of pulses that raise and that lower.
    """

    target_conductance_s: FloatArray = field(kw_only=True)
    expected_conductance_s: FloatArray = field(kw_only=True)
    bias_conductance_s: FloatArray = field(kw_only=True)

    @override
    def kept(self, which: BoolArray | IntArray) -> PredictedState:
        own = State.kept(self, which)
        return PredictedState(
            own.side,
            own.number,
            own.turns,
            own.erases,
            own.begin_v,
            target_conductance_s=self.target_conductance_s[which],
            expected_conductance_s=self.expected_conductance_s[which],
            bias_conductance_s=self.bias_conductance_s[:, which],
        )


@dataclass(frozen=True)
class Predictor:
    """Controller that asks the twin for every pulse."""

    settings: ModelPredictive
    array: Array
    rng: np.random.Generator

    @property
    def trains(self) -> tuple[PulseTrain | None, PulseTrain | None]:
        """No trains: every pulse has its own amplitude and width."""
        return None, None

    def begin(self, target_conductance_s: FloatArray) -> State:
        """Return the state of cells without a pulse, with their targets."""
        state = State.new(target_conductance_s.shape)
        return PredictedState(
            state.side,
            state.number,
            state.turns,
            state.erases,
            target_conductance_s=target_conductance_s,
            expected_conductance_s=np.full(target_conductance_s.shape, np.nan),
            bias_conductance_s=np.zeros((2, *target_conductance_s.shape)),
        )

    def move(
        self, state: State, *, seen_conductance_s: FloatArray, need: Side
    ) -> tuple[State, Move]:
        """Return the candidate that leaves the least in the twin; a cell without any is given up.

        Candidates whose read would be limited in a draw are left out.
        """
        if not isinstance(state, PredictedState):
            raise TypeError("the state must be that of begin")
        bias_conductance_s = self._bias_conductance_s(state, seen_conductance_s)
        wanted = np.flatnonzero(need)
        best = np.zeros(need.shape, np.int64)
        given_up = np.zeros(need.shape, np.bool_)
        expected_conductance_s = np.full(need.shape, np.nan)
        if wanted.size:
            best[wanted], expected_conductance_s[wanted] = self._best(
                seen_conductance_s[wanted],
                state.target_conductance_s[wanted],
                bias_conductance_s[:, wanted],
            )
            given_up = (need != 0) & np.isnan(expected_conductance_s)
        side = np.where(given_up, np.int8(0), need)
        move = self._move(best, side, given_up)
        after = replace(
            state,
            side=np.where(side != 0, side, state.side),
            expected_conductance_s=expected_conductance_s,
            bias_conductance_s=bias_conductance_s,
        )
        return after, move

    def _bias_conductance_s(
        self, state: PredictedState, seen_conductance_s: FloatArray
    ) -> FloatArray:
        """Return the bias of each way after the latest read, (2, cells), siemens."""
        wrong_conductance_s = seen_conductance_s - state.expected_conductance_s
        known = np.isfinite(wrong_conductance_s)
        ways = np.stack([state.side > 0, state.side < 0]) & known
        nearer_conductance_s = self.settings.feedback * (
            np.where(known, wrong_conductance_s, 0.0) - state.bias_conductance_s
        )
        return np.asarray(state.bias_conductance_s + ways * nearer_conductance_s)

    def _best(
        self,
        seen_conductance_s: FloatArray,
        target_conductance_s: FloatArray,
        bias_conductance_s: FloatArray,
    ) -> tuple[IntArray, FloatArray]:
        """Return for each cell the number of the best candidate, and the twin's mean after it.

        NaN: there is none.
        """
        tried_conductance_s = self.settings.twin.tried_conductance_s(
            self.settings.every,
            seen_conductance_s,
            array=self.array.settings,
            draws=self.settings.draws,
            rng=self.rng,
        )
        mean_conductance_s = tried_conductance_s.mean(axis=0)
        up, down = bias_conductance_s
        bias = np.where(mean_conductance_s > seen_conductance_s, up, down)
        left = np.square(tried_conductance_s + bias - target_conductance_s).mean(axis=0)
        away_conductance_s = target_conductance_s - seen_conductance_s
        moved = (mean_conductance_s + bias - seen_conductance_s) / away_conductance_s
        enough = moved >= ENOUGH
        left = np.where(enough | ~enough.any(axis=0), left, np.inf)
        best = np.where(np.isnan(left), np.inf, left).argmin(axis=0)
        expected_conductance_s = np.take_along_axis(mean_conductance_s, best[None], 0)[0]
        return best, expected_conductance_s

    def _move(self, best: IntArray, side: Side, given_up: BoolArray) -> Move:
        sent = side != 0
        every = self.settings.every
        amplitude_v = np.array([one.amplitude_v for one in every])[best] * sent
        width_s = np.array([one.width_s for one in every])[best] * sent
        gates_v = [one.gate_v for one in every if one.gate_v is not None]
        gate_v = np.array(gates_v)[best] * sent if gates_v else None
        # The twin's choice is the best there is: none that is stronger comes later.
        at_end = np.ones(side.shape, np.bool_)
        return Move(side, amplitude_v, gate_v, at_end, given_up, width_s)
