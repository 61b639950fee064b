"""Step response: a smooth mean step that depends on the state, with scatter, memory and spread.

x is the state, 0 at ``low_conductance_s`` and 1 at ``high_conductance_s``, linear in G or in ln G.
A pulse does x ← x + f m(x) + s(x) e, where m and s are given at a few knots and are straight
between them, and hold beyond the outermost; e is normal of variance 1 with correlation ρ from one
pulse of a cell to its next; f is lognormal of median 1, one draw for a cell, times one for each
train, which begins where a cell's direction changes. With age it is times g(n) after n trains of
its direction: ln g is straight against ln(1 + n) between the knots, and held beyond the last, with
an event. A train counts as the part of the measured range that it moved the cell through, at most
1. A train that begins near ``begin`` keeps its distance from the mean train: m and s are those at
x − δ, where δ = x_0 − begin, at most ``begin_spread`` either way. Skewness γ turns e into a shifted
gamma deviate of the same variance.
Source: the mean and the scatter against G of lookup tables, S. Agarwal et al., IJCNN 2016,
doi:10.1109/IJCNN.2016.7727298, in a form of few parameters; correlation and spread of trains are
what such tables leave out. Valid for the two pulses that it is given for and between the two ends,
where cells are held, with an event; beyond the outermost knots of a direction the step is a guess.
No current-voltage relation.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator
from typing_extensions import override

from hwloop.array.operations import PulseMap
from hwloop.backend.base import Event
from hwloop.messages import cell_names
from hwloop.settings.model import Settings
from hwloop.settings.units import Fraction, Number, PositiveSiemens
from hwloop.types import BoolArray, FloatArray
from hwloop_sim.cells.device import Device, DeviceKind
from hwloop_sim.cells.known_pulses import SAME, KnownPulse, refuse_unknown
from hwloop_sim.cells.variability import InitialState, draw_initial

_Speed = Annotated[Number, Field(gt=0, le=1e3)]
_State = Annotated[Number, Field(ge=-0.5, le=1.5)]


class StepCurve(KnownPulse):
    """The steps of one direction, at the knots ``at``: states x, rising.

    ``step``, ``scatter``: of x, at each knot. ``correlation``: ρ of successive deviations.
    ``skewness``: of a deviation. ``begin``: mean state where the measured trains began;
    ``begin_spread``: the largest δ. ``cell_spread``, ``train_spread``: deviation of ln f from cell
    to cell, from train to train. ``age_trains``, ``age_speed``: n and g at the knots.
    ``trains_before``: n of a cell that is made.
    """

    at: Annotated[tuple[_State, ...], Field(min_length=1, max_length=100)]
    step: tuple[Number, ...]
    scatter: tuple[Fraction, ...] = ()
    correlation: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    skewness: Annotated[Number, Field(ge=-4, le=4)] = 0.0
    cell_spread: Annotated[Number, Field(ge=0, le=2)] = 0.0
    train_spread: Annotated[Number, Field(ge=0, le=2)] = 0.0
    begin: _State = 0.0
    begin_spread: Fraction = 0.0
    age_trains: Annotated[tuple[Number, ...], Field(max_length=100)] = ()
    age_speed: tuple[_Speed, ...] = ()
    trains_before: Annotated[Number, Field(ge=0)] = 0.0

    @model_validator(mode="after")
    def _ages(self) -> StepCurve:
        ages = self.age_trains
        if any(b <= a for a, b in zip((-1.0, *ages), ages, strict=False)) or 0 < len(ages) < 2:
            raise ValueError(f"age_trains {list(ages)} must rise from 0 or more, two or more")
        if len(self.age_speed) != len(ages):
            raise ValueError(f"age_speed has {len(self.age_speed)} values: expected {len(ages)}")
        return self

    @model_validator(mode="after")
    def _knots(self) -> StepCurve:
        if any(b <= a for a, b in zip(self.at, self.at[1:], strict=False)):
            raise ValueError(f"at {list(self.at)} must rise")
        for name in ("step", "scatter"):
            values = getattr(self, name)
            if len(values) != len(self.at) and (name == "step" or values):
                raise ValueError(f"{name} has {len(values)} values: expected {len(self.at)}")
        return self

    def aged(self, trains: FloatArray) -> FloatArray:
        """Return g, the factor of the speed after so many trains."""
        if not self.age_trains:
            return np.ones(trains.shape)
        knots = np.log1p(self.age_trains)
        return np.asarray(np.exp(np.interp(np.log1p(trains), knots, np.log(self.age_speed))))

    def share_of_train(self, moved: FloatArray) -> FloatArray:
        """Return the part of a measured train that has moved a cell by so much of its state."""
        reach = self.at[-1] - self.at[0]
        return np.clip(np.abs(moved) / reach, 0.0, 1.0) if reach > 0 else np.ones(moved.shape)


class StepResponseSettings(Settings):
    """Settings of the step response.

    ``up``, ``down``: the two directions; one of them may be left out. ``scale``: x is linear in G,
    or in its logarithm. ``initial``: left out, cells begin at ``low_conductance_s``, or at
    ``high_conductance_s`` where there is no ``up``.
    """

    low_conductance_s: PositiveSiemens
    high_conductance_s: PositiveSiemens
    scale: Literal["linear", "logarithmic"] = "linear"
    up: StepCurve | None = None
    down: StepCurve | None = None
    initial: InitialState | None = None

    @model_validator(mode="after")
    def _consistent(self) -> StepResponseSettings:
        if self.low_conductance_s >= self.high_conductance_s:
            raise ValueError(
                f"low_conductance_s {self.low_conductance_s:g} must be below high_conductance_s"
                f" {self.high_conductance_s:g}"
            )
        if not self.curves:
            raise ValueError("give up, down, or both")
        if self.up and self.down:
            up_v, down_v = self.up.amplitude_v, self.down.amplitude_v
            if np.isclose(up_v, down_v, rtol=SAME, atol=0):
                raise ValueError(f"up and down have the same amplitude_v, {up_v:g}")
        return self

    @property
    def curves(self) -> list[StepCurve]:
        """Return the curves that were given, up before down."""
        return [curve for curve in (self.up, self.down) if curve is not None]

    def state(self, conductance_s: FloatArray) -> FloatArray:
        """Return the state x of a conductance, siemens."""
        if self.scale == "linear":
            return np.asarray(
                (conductance_s - self.low_conductance_s)
                / (self.high_conductance_s - self.low_conductance_s)
            )
        return np.asarray(
            np.log(conductance_s / self.low_conductance_s)
            / np.log(self.high_conductance_s / self.low_conductance_s)
        )

    def conductance_s(self, state: FloatArray) -> FloatArray:
        """Return the conductance of a state x, siemens."""
        if self.scale == "linear":
            return np.asarray(
                self.low_conductance_s + (self.high_conductance_s - self.low_conductance_s) * state
            )
        return np.asarray(
            self.low_conductance_s
            * np.exp(np.log(self.high_conductance_s / self.low_conductance_s) * state)
        )


class StepResponse(Device):
    """Cells that step by a mean and a scatter that depend on their state."""

    def __init__(
        self, settings: StepResponseSettings, shape: tuple[int, ...], rng: np.random.Generator
    ) -> None:
        self._settings = settings
        self._curves = settings.curves
        self._rng = rng
        initial = settings.initial
        if initial is None:
            initial = settings.low_conductance_s if settings.up else settings.high_conductance_s
        begin_conductance_s = draw_initial(
            initial,
            shape,
            rng,
            low_conductance_s=settings.low_conductance_s,
            high_conductance_s=settings.high_conductance_s,
        )
        self._state = np.clip(settings.state(begin_conductance_s), 0.0, 1.0)
        self._cell = [_factors(curve.cell_spread, rng.normal(size=shape)) for curve in self._curves]
        self._train = np.ones(shape)
        self._had = [np.full(shape, curve.trains_before) for curve in self._curves]
        self._begun = self._state.copy()
        self._told_age = False
        self._offset = np.zeros(shape)
        self._direction = np.full(shape, -1)
        self._deviation = np.zeros(shape)
        self._at_end = np.zeros(shape, dtype=np.bool_)
        self._events: list[Event] = []

    @property
    @override
    def conductance_s(self) -> FloatArray:
        return self._settings.conductance_s(self._state)

    @override
    def set_conductance(self, conductance_s: FloatArray) -> None:
        low_conductance_s, high_conductance_s = (
            self._settings.low_conductance_s,
            self._settings.high_conductance_s,
        )
        self._state = self._settings.state(
            np.clip(conductance_s, low_conductance_s, high_conductance_s)
        )

    @override
    def check(self, pulse: PulseMap) -> None:
        refuse_unknown(pulse, self._curves, source="step_response: the response was given")

    @override
    def pulse(self, pulse: PulseMap) -> None:
        self.check(pulse)
        amplitude_v = np.broadcast_to(pulse.amplitude_v, self._state.shape)
        held = np.zeros(self._state.shape, dtype=np.bool_)
        state = self._state.copy()
        for index, curve in enumerate(self._curves):
            mask = np.isclose(amplitude_v, curve.amplitude_v, rtol=SAME, atol=0)
            if mask.any():
                self._begin_trains(index, mask)
                state[mask], held[mask] = self._walk(index, mask, pulse.count)
        self._state = state
        self._note(held)

    def have_had(self, trains: FloatArray) -> None:
        """Set how many trains of every direction each cell has had, broadcastable to the cells."""
        self._had = [np.array(np.broadcast_to(trains, had.shape), float) for had in self._had]

    @override
    def take_events(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def _begin_trains(self, index: int, mask: BoolArray) -> None:
        """Draw a factor for each cell whose direction differs from that of its last pulse."""
        new = mask & (self._direction != index)
        count = int(new.sum())
        if count:
            curve = self._curves[index]
            self._count_trains(new)
            self._note_age(index, new)
            drawn = _factors(curve.train_spread, self._rng.normal(size=count))
            self._train[new] = drawn * curve.aged(self._had[index][new])
            begun = self._state[new] - curve.begin
            self._offset[new] = np.clip(begun, -curve.begin_spread, curve.begin_spread)
            self._deviation[new] = self._rng.normal(size=count)
            self._direction[new] = index

    def _count_trains(self, ended: BoolArray) -> None:
        """Count the trains that have ended, of cells whose direction changes."""
        moved = self._state - self._begun
        for number, curve in enumerate(self._curves):
            mine = ended & (self._direction == number)
            self._had[number][mine] += curve.share_of_train(moved[mine])
        self._begun[ended] = self._state[ended]

    def _note_age(self, index: int, begun: BoolArray) -> None:
        curve = self._curves[index]
        if self._told_age or not curve.age_trains:
            return
        if (older := int((self._had[index][begun] > curve.age_trains[-1] + 0.5).sum())) > 0:
            self._told_age = True
            cells = "cell has" if older == 1 else "cells have"
            self._events.append(
                Event(
                    "warning",
                    f"{older} {cells} had more than the {curve.age_trains[-1]:.6g} trains of"
                    f" {curve.amplitude_v:g} V for which ageing is known: their speed is held",
                )
            )

    def _walk(self, index: int, mask: BoolArray, count: int) -> tuple[FloatArray, BoolArray]:
        curve = self._curves[index]
        state = self._state[mask]
        factor = self._cell[index][mask] * self._train[mask]
        deviation, offset = self._deviation[mask], self._offset[mask]
        fresh = np.sqrt(1 - curve.correlation**2)
        held = np.zeros(state.shape, dtype=np.bool_)
        for _ in range(count):
            step = factor * np.interp(state - offset, curve.at, curve.step)
            if curve.scatter:
                new = _standard(curve.skewness, state.size, self._rng)
                deviation = curve.correlation * deviation + fresh * new
                step = step + np.interp(state - offset, curve.at, curve.scatter) * deviation
            moved = state + step
            state = np.clip(moved, 0.0, 1.0)
            held |= moved != state
        self._deviation[mask] = deviation
        return state, held

    def _note(self, held: BoolArray) -> None:
        new = held & ~self._at_end
        self._at_end |= held
        if not (count := int(new.sum())):
            return
        some = ", ".join(cell_names(new)) + (", …" if count > 3 else "")
        low_conductance_s, high_conductance_s = (
            self._settings.low_conductance_s,
            self._settings.high_conductance_s,
        )
        cells = "cell" if count == 1 else "cells"
        self._events.append(
            Event(
                "warning",
                f"held at {low_conductance_s:.4g} or {high_conductance_s:.4g} S: {count} {cells}:"
                f" {some}",
            )
        )


def _factors(spread: float, normal: FloatArray) -> FloatArray:
    return np.asarray(np.exp(spread * normal))


def _standard(skewness: float, size: int, rng: np.random.Generator) -> FloatArray:
    """Draw deviates of mean 0 and variance 1: normal, or a shifted gamma of this skewness."""
    if abs(skewness) < 1e-3:
        return rng.normal(size=size)
    shape = 4 / skewness**2
    return np.asarray(np.sign(skewness) * (rng.gamma(shape, size=size) - shape) / np.sqrt(shape))


STEP_RESPONSE = DeviceKind(
    name="step_response",
    summary="A smooth mean step of the state, with scatter, memory and spread",
    settings=StepResponseSettings,
    make=StepResponse,
)
