"""Apply one pulse, chosen by the target from a measured curve; no correction.

What a programming curve promises without verify: the "one-shot" of the ex-situ mapping literature,
against which iterative algorithms are compared. The read after it only says how far it came.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from hwloop.settings.model import Settings
from hwloop.settings.units import PositiveSecond, PositiveSiemens, PositiveVolt, Volt
from hwloop.steps.program.controllers.base import Move, PulseTrain, Side, State, Steps
from hwloop.types import FloatArray


class OneShot(Settings):
    """Settings: ``curve``, (conductance, volts) points with straight lines between them.

    ``vary``: whether these volts are of the electrode, and ``gate_v`` stays, or of the gate, and
    ``amplitude_v`` stays. ``raises``: whether the pulse raises the conductance. A target
    outside of the curve is given up without a pulse.
    """

    name: Literal["one_shot"]
    curve: tuple[tuple[PositiveSiemens, Volt], ...] = Field(min_length=2)
    width_s: PositiveSecond
    vary: Literal["amplitude", "gate"] = "amplitude"
    amplitude_v: Volt | None = None
    gate_v: PositiveVolt | None = None
    raises: bool = True

    @model_validator(mode="after")
    def _fits(self) -> OneShot:
        volts = [v for _, v in self.curve]
        if min(volts) * max(volts) <= 0:
            raise ValueError("the volts of curve must be of one sign and none of them 0")
        if self.vary == "gate" and (self.amplitude_v is None or min(volts) < 0):
            raise ValueError("vary: gate needs amplitude_v, and gate voltages above 0 V")
        if self.vary == "gate" and self.gate_v is not None:
            raise ValueError("vary: gate takes the gate from curve; leave gate_v out")
        if self.vary == "amplitude" and self.amplitude_v is not None:
            raise ValueError("vary: amplitude takes it from curve; leave amplitude_v out")
        return self

    @property
    def trains(self) -> tuple[PulseTrain | None, PulseTrain | None]:
        """The pulse as a train, from the weakest to the strongest of the curve."""
        volts = sorted((v for _, v in self.curve), key=abs)
        span = Steps(
            start_v=volts[0], stop_v=volts[-1], step_v=max(abs(volts[-1] - volts[0]), 1e-9)
        )
        if self.vary == "gate":
            train = PulseTrain(amplitude=self.amplitude_v or 0.0, gate=span, width_s=self.width_s)
        else:
            train = PulseTrain(amplitude=span, gate=self.gate_v, width_s=self.width_s)
        return (train, None) if self.raises else (None, train)

    def begin(self, target_conductance_s: FloatArray) -> State:
        """Return the first state of cells, with the voltage of each target; NaN off the curve."""
        points = sorted(self.curve)
        value = np.interp(
            target_conductance_s,
            [g for g, _ in points],
            [v for _, v in points],
            left=np.nan,
            right=np.nan,
        )
        return State.new(target_conductance_s.shape, value)

    def move(
        self,
        state: State,
        *,
        seen_conductance_s: FloatArray,  # noqa: ARG002 - other controllers look at it
        need: Side,
    ) -> tuple[State, Move]:
        """Return the pulse once, whatever the cell reads, then no more."""
        value = state.begin_v if state.begin_v is not None else np.full(need.shape, np.nan)
        given_up = (need != 0) & ((state.side != 0) | np.isnan(value))
        fire = (need != 0) & ~given_up
        side = np.where(fire, np.int8(1 if self.raises else -1), np.int8(0))
        value = np.where(fire, value, 0.0)
        gate_v: FloatArray | None = None
        if self.vary == "gate":
            amplitude_v, gate_v = np.where(fire, self.amplitude_v or 0.0, 0.0), value
        else:
            amplitude_v = value
            if self.gate_v is not None:
                gate_v = np.where(fire, self.gate_v, 0.0)
        after = replace(state, side=np.where(fire, side, state.side))
        none = np.zeros(need.shape, np.bool_)
        return after, Move(side, amplitude_v, gate_v, none, given_up)
