"""Device models that are a state equation: one state a cell, moved by voltage and time.

A model is data: its equations as functions, and its settings. What all of them share is here:
parameters and their spread over the cells, initial states, pulses, reads. The state x of a cell
is in [0, 1]; what it means is the model's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from hwloop.array.operations import PulseMap
from hwloop.errors import ConfigError, Unsupported
from hwloop.messages import cell_name, nearest
from hwloop.settings.model import Settings
from hwloop.settings.units import format_quantity
from hwloop.types import FloatArray
from hwloop_sim.cells.device import Device, DeviceKind
from hwloop_sim.cells.variability import InitialState, ParameterSpread, draw_initial


class StateSettings(Settings):
    """What every model that is a state equation can be told.

    ``initial``: conductances to begin with; left out, the state that the model's page names.
    ``flipped``: the device's own positive terminal is at the column: v = −(row − column).
    ``spread``: of parameters from device to device, by their names.
    """

    spreadable: ClassVar[tuple[str, ...]] = ()
    ordered: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Pairs of parameters of which the first is below the second."""

    initial: InitialState | None = None
    flipped: bool = False
    spread: Mapping[str, ParameterSpread] = {}

    @model_validator(mode="after")
    def _known_and_ordered(self) -> StateSettings:
        for name in self.spread:
            if name not in self.spreadable:
                raise ValueError(
                    f"spread: {name!r} is no parameter that can be"
                    f" spread{nearest(name, self.spreadable)}"
                )
        for low, high in self.ordered:
            if getattr(self, low) >= getattr(self, high):
                raise ValueError(
                    f"{low} {getattr(self, low):g} must be below {high} {getattr(self, high):g}"
                )
        return self


S = TypeVar("S", bound=StateSettings)


@dataclass(frozen=True)
class StateModel(Generic[S]):
    """A state equation.

    ``parameters(settings)``: the fields of the record p that the functions are given, numbers.
    ``rate(x, v, p)`` and ``waypoint(x, v, p)``: see :mod:`hwloop_sim.devices.common.integrate`;
    plain functions of one cell. ``conductance_s(x, p)``, its inverse ``state(conductance_s, p)``
    and
    ``current_a(x, v, p)``: of all cells at once. ``begin``: the state of cells without ``initial``.
    ``rising``: whether conductance rises with x.
    """

    name: str
    parameters: Callable[[S], dict[str, float]]
    rate: Callable[..., Any]
    waypoint: Callable[..., Any]
    conductance_s: Callable[[FloatArray, Any], FloatArray]
    state: Callable[[FloatArray, Any], FloatArray]
    begin: float
    rising: bool = True
    current_a: Callable[[FloatArray, FloatArray, Any], FloatArray] | None = None

    @cached_property
    def compiled(self) -> tuple[Any, Any]:
        """Rate and waypoint, compiled once."""
        from hwloop_sim.devices.common import integrate as travel

        return travel.compiled(self.rate), travel.compiled(self.waypoint)


class StateDevice(Device):
    """Cells of a population that obey one state equation, (..., rows, cols)."""

    def __init__(
        self,
        model: StateModel[Any],
        settings: StateSettings,
        shape: tuple[int, ...],
        rng: np.random.Generator,
    ) -> None:
        self._model = model
        self._sign = -1.0 if settings.flipped else 1.0
        self._parameters = drawn_parameters(model.parameters(settings), settings, shape, rng)
        self._p = per_cell(self._parameters, shape)
        if settings.initial is None:
            self._state = np.full(shape, model.begin)
        else:
            ends = [model.conductance_s(np.full(shape, end), self._p) for end in (0.0, 1.0)]
            low_conductance_s, high_conductance_s = ends if model.rising else ends[::-1]
            self.set_conductance(
                draw_initial(
                    settings.initial,
                    shape,
                    rng,
                    low_conductance_s=low_conductance_s,
                    high_conductance_s=high_conductance_s,
                )
            )

    @property
    def state(self) -> FloatArray:
        """x of every cell, (..., rows, cols), in [0, 1]."""
        return self._state

    @property
    def conductance_s(self) -> FloatArray:
        """Conductance at a small voltage."""
        return self._model.conductance_s(self._state, self._p)

    @property
    def linear(self) -> bool:
        """Whether the model's current is its conductance times the voltage."""
        return self._model.current_a is None

    @property
    def half_select(self) -> bool:
        """The state equation holds at any voltage."""
        return True

    def current_a(self, voltage_v: FloatArray) -> FloatArray:
        """Current by the model's own current-voltage relation, amperes."""
        if self._model.current_a is None:
            return super().current_a(voltage_v)
        return self._sign * self._model.current_a(self._state, self._sign * voltage_v, self._p)

    def set_conductance(self, conductance_s: FloatArray) -> None:
        """Put every cell at the state with this conductance, or at the nearest bound."""
        self._state = np.clip(self._model.state(conductance_s, self._p), 0.0, 1.0)

    def check(self, pulse: PulseMap) -> None:
        """Any amplitude and width, and no gate: the model has two terminals."""
        refuse_gate(self._model.name, pulse)

    def pulse(self, pulse: PulseMap) -> None:
        """Integrate the state equation over the pulses."""
        from hwloop_sim.devices.common import integrate as travel

        self.check(pulse)
        voltage_v = np.broadcast_to(self._sign * pulse.amplitude_v, self._state.shape)
        self._state = travel.advance(
            *self._model.compiled,
            self._state,
            voltage_v,
            pulse.count * pulse.width_s,
            self._parameters,
        )


def state_kind(model: StateModel[Any], settings: type[S], summary: str) -> DeviceKind[S]:
    """What stands in the entry point group for a state equation."""
    return DeviceKind(model.name, summary, settings, partial(StateDevice, model))


def refuse_gate(name: str, pulse: PulseMap) -> None:
    """Raise :class:`Unsupported` where a pulse wants a gate of a device that has none."""
    if pulse.highest_gate_v is not None:
        raise Unsupported(
            f"{name}: a gate at {format_quantity(pulse.highest_gate_v, 'V')} was asked for, but"
            " this device model has no gate; one_transistor has"
        )


def drawn_parameters(
    nominal: Mapping[str, float],
    settings: StateSettings,
    shape: tuple[int, ...],
    rng: np.random.Generator,
) -> NDArray[np.void]:
    """The record p, once for all cells, or once a cell where parameters are spread."""
    factors = {name: spread.factors(shape, rng) for name, spread in settings.spread.items()}
    size = int(np.prod(shape)) if factors else 1
    drawn = np.empty(size, dtype=[(name, np.float64) for name in nominal])
    for name, value in nominal.items():
        drawn[name] = value * factors[name].ravel() if name in factors else value
    for low, high in settings.ordered:
        if not {low, high} & set(factors):
            continue
        wrong = (drawn[low] >= drawn[high]).reshape(shape)
        if wrong.any():
            place = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise ConfigError(
                f"{cell_name(place)}: the spread makes {low}"
                f" {drawn[low].reshape(shape)[place]:.4g}, which must be below {high}"
                f" {drawn[high].reshape(shape)[place]:.4g}",
                key="spread",
            )
    return drawn


def per_cell(parameters: NDArray[np.void], shape: tuple[int, ...]) -> Any:
    """The same record for array arithmetic: each field has the shape of the cells, or is one."""
    shaped = parameters.reshape(shape if parameters.size > 1 else (1,) * len(shape))
    return shaped.view(np.recarray)


def state_model(kind: DeviceKind[Any]) -> StateModel[Any] | None:
    """The state equation of a device model; None of a model that is none."""
    make = kind.make
    if isinstance(make, partial) and make.func is StateDevice:
        model: StateModel[Any] = make.args[0]
        return model
    return None
