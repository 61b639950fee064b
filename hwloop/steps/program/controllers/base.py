"""Base of the controllers: trains that step from pulse to pulse, and the next pulse.

A controller is settings (plain data) with two pure functions over arrays: ``begin`` makes the
state of cells, ``move`` takes the latest read and gives the next state and the next pulse. Arrays
are of one shape, whatever it is: the step hands over only the cells that are still being
programmed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from hwloop.settings.model import Settings
from hwloop.settings.units import PositiveSecond, PositiveVolt, Volt
from hwloop.types import BoolArray, FloatArray

IntArray = NDArray[np.int64]
Side = NDArray[np.int8]
"""1: a pulse that raises the conductance, -1: one that lowers it, 0: none."""


class Steps(Settings):
    """A voltage that goes from ``start_v`` by ``step_v`` a pulse up to ``stop_v``, and stays there.

    ``step_v`` is a magnitude; with 0, or without ``stop_v``, every pulse is alike.
    """

    start_v: Volt
    stop_v: Volt | None = None
    step_v: PositiveVolt | None = None

    @model_validator(mode="after")
    def _outwards(self) -> Steps:
        if self.start_v == 0:
            raise ValueError("start_v is 0 V: that is no pulse")
        if (self.stop_v is None) != (self.step_v is None):
            raise ValueError("stop_v and step_v go together; leave both out for equal pulses")
        if self.stop_v is not None and self.start_v * self.stop_v <= 0:
            raise ValueError("start_v and stop_v must be of one sign and not 0 V")
        if abs(self.end_v) < abs(self.start_v):
            raise ValueError(f"stop_v {self.stop_v:g} is smaller than start_v {self.start_v:g}")
        return self

    @property
    def end_v(self) -> float:
        """Last level of the steps, volts."""
        return self.start_v if self.stop_v is None else self.stop_v

    @property
    def pulses(self) -> int:
        """Number of pulses until the last level is reached."""
        if not self.step_v:
            return 1
        return int(np.ceil((abs(self.end_v) - abs(self.start_v)) / self.step_v - 1e-9)) + 1

    def at(self, number: IntArray, start_v: FloatArray | None = None) -> FloatArray:
        """Return the level of pulse ``number``, from 0; ``start_v``: first level of each cell."""
        if start_v is None and not self.step_v:
            return np.broadcast_to(self.start_v, number.shape)
        magnitude_v = abs(self.start_v) if start_v is None else np.abs(start_v)
        step_v = self.step_v or 0.0
        level_v: FloatArray = np.minimum(magnitude_v + number * step_v, abs(self.end_v))
        return level_v if self.start_v > 0 else -level_v

    def first_v(
        self, target_conductance_s: FloatArray, table: Sequence[tuple[float, float]]
    ) -> FloatArray:
        """Interpolate the first level of cells with these targets in ``table``, constant outside.

        Never beyond the end of the steps, nor short of their start.
        """
        points = sorted(table)
        low, high = sorted((abs(self.start_v), abs(self.end_v)))
        found_v = np.interp(
            target_conductance_s, [x for x, _ in points], [abs(y) for _, y in points]
        )
        return np.clip(found_v, low, high)


class PulseTrain(Settings):
    """Pulses of one polarity: what steps from one to the next, and their width.

    ``amplitude``, ``gate``: either may step; a number is a level that does not.
    """

    amplitude: Steps | Volt
    width_s: PositiveSecond
    gate: Steps | PositiveVolt | None = None

    @model_validator(mode="after")
    def _levels(self) -> PulseTrain:
        if self.amplitude == 0:
            raise ValueError("amplitude is 0 V: that is no pulse")
        if isinstance(self.gate, Steps) and self.gate.start_v < 0:
            raise ValueError(f"gate.start_v {self.gate.start_v:g} is below 0 V")
        return self

    @property
    def amplitude_steps(self) -> Steps:
        """Amplitude as steps; a single level steps by 0."""
        return _steps(self.amplitude)

    @property
    def gate_steps(self) -> Steps | None:
        """Gate voltage as steps; None without a gate."""
        return None if self.gate is None else _steps(self.gate)

    @property
    def pulses(self) -> int:
        """Number of pulses until nothing steps any more."""
        gates = self.gate_steps
        return max(self.amplitude_steps.pulses, 1 if gates is None else gates.pulses)

    @property
    def sign(self) -> float:
        """Sign of the amplitude, 1 or -1."""
        return float(np.sign(self.amplitude_steps.start_v))


def _steps(level: Steps | float) -> Steps:
    return level if isinstance(level, Steps) else _alike(level)


@cache  # asked for with each pulse; validating it anew takes longer than the rest of a small move
def _alike(level_v: float) -> Steps:
    return Steps(start_v=level_v)


@dataclass(frozen=True)
class State:
    """State of a controller for each cell; arrays of one shape.

    ``side``: of the latest pulse. ``number``: of that pulse within its train, from 0. ``turns``:
    how often the train was turned round. ``erases``: pulses of the way back, of algorithms
    that erase. ``begin_v``: the voltage that the target says, where the algorithm has one.
    """

    side: Side
    number: IntArray
    turns: IntArray
    erases: IntArray
    begin_v: FloatArray | None = None

    @classmethod
    def new(cls, shape: tuple[int, ...], begin_v: FloatArray | None = None) -> State:
        """Return the state of cells without a pulse."""
        side, number = np.zeros(shape, np.int8), np.zeros(shape, np.int64)
        return cls(side, number, number.copy(), number.copy(), begin_v)

    def kept(self, which: BoolArray | IntArray) -> State:
        """Return the part of the cells in ``which``, a mask or their places."""
        begin_v = None if self.begin_v is None else self.begin_v[which]
        places = np.flatnonzero(which) if which.dtype == np.bool_ else which
        return State(
            self.side.take(places),
            self.number.take(places),
            self.turns.take(places),
            self.erases.take(places),
            begin_v,
        )


@dataclass(frozen=True)
class Move:
    """The next pulse of each cell.

    ``side``, 0: none. ``amplitude_v``: signed. ``gate_v``: None where no train has a gate.
    ``at_end``: no later pulse of the train is stronger. ``given_up``: the algorithm has no
    pulse that could help. ``width_s``: of each pulse; None: that of its train.
    """

    side: Side
    amplitude_v: FloatArray
    gate_v: FloatArray | None
    at_end: BoolArray
    given_up: BoolArray
    width_s: FloatArray | None = None

    def kept(self, which: BoolArray) -> Move:
        """Return the part of the cells in ``which``, a mask."""
        return replace(
            self,
            side=self.side[which],
            amplitude_v=self.amplitude_v[which],
            gate_v=None if self.gate_v is None else self.gate_v[which],
            at_end=self.at_end[which],
            given_up=self.given_up[which],
            width_s=None if self.width_s is None else self.width_s[which],
        )


class Controller(Protocol):
    """Interface of an algorithm that programs cells."""

    @property
    def trains(self) -> tuple[PulseTrain | None, PulseTrain | None]:
        """Trains that raise and that lower the conductance; None: the algorithm has none."""

    def begin(self, target_conductance_s: FloatArray) -> State:
        """Return the state of cells before their first pulse."""

    def move(
        self, state: State, *, seen_conductance_s: FloatArray, need: Side
    ) -> tuple[State, Move]:
        """Return the next pulse; ``need`` is 1 below the window, -1 above it, 0 within."""


def next_pulse(
    state: State,
    side: Side,
    trains: tuple[PulseTrain | None, PulseTrain | None],
    *,
    given_up: BoolArray | None = None,
) -> tuple[State, Move]:
    """Continue a train, or begin it where the side has changed; no pulse where ``side`` is 0."""
    if given_up is None:
        given_up = np.zeros(side.shape, np.bool_)
    else:
        side = side * ~given_up
    moved = side != 0
    every = bool(moved.all())
    turned = side != state.side
    if not every:
        turned &= moved
    number = state.number + moved
    number[turned] = 0
    after = replace(
        state,
        side=side if every else np.where(moved, side, state.side),
        number=number,
        turns=state.turns + (turned & (state.side != 0)),
    )
    amplitude_v = np.zeros(side.shape)
    gate_v = (
        np.zeros(side.shape) if any(t is not None and t.gate is not None for t in trains) else None
    )
    at_end = np.zeros(side.shape, np.bool_)
    for train, sign in zip(trains, (1, -1), strict=True):
        which = side == sign
        if train is None or not which.any():
            continue
        steps, gates = train.amplitude_steps, train.gate_steps
        if gates is None and not steps.step_v:
            amplitude_v[which] = steps.start_v
            at_end |= which
            continue
        np.copyto(amplitude_v, steps.at(number), where=which)
        ended = amplitude_v == steps.end_v
        if gates is not None and gate_v is not None:
            from_v = state.begin_v if sign > 0 else None
            np.copyto(gate_v, gates.at(number, from_v), where=which)
            ended &= gate_v == gates.end_v
        at_end |= which & ended
    return after, Move(side, amplitude_v, gate_v, at_end, given_up)


def different(up: PulseTrain, down: PulseTrain) -> None:
    """Raise :class:`ValueError` where both are the same pulses.

    Unipolar cells are raised and lowered by pulses of one sign.
    """
    if up == down:
        raise ValueError("the trains that raise and lower the conductance are the same pulses")
