"""Device models that are a state equation: one state a cell, moved by voltage and time.

A model is data: its equations as functions, and its settings. This module holds the parts common to
all of them: parameters and their spread over the cells, initial states, pulses, reads. The state x
of a cell is in [0, 1]; its meaning depends on the model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from types import SimpleNamespace
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator
from typing_extensions import override

from hwloop.array.operations import PulseMap
from hwloop.errors import ConfigError, Unsupported
from hwloop.messages import cell_name, first_place, nearest
from hwloop.settings.model import Settings
from hwloop.settings.units import format_quantity
from hwloop.types import FloatArray
from hwloop_sim.cells.device import ContinuousDevice, DeviceKind, Divider
from hwloop_sim.cells.variability import InitialState, ParameterSpread, draw_initial


class StateSettings(Settings):
    """Settings of every model that is a state equation.

    ``initial``: initial conductances; left out, the state that the model's page names. ``flipped``:
    the device's own positive terminal is at the column: v = −(row − column). ``spread``: of
    parameters from device to device, by their names.
    """

    spreadable: ClassVar[tuple[str, ...]] = ()
    ordered: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Pairs of parameters of which the first must be below the second."""
    truncated: ClassVar[Mapping[str, tuple[float, float]]] = {}
    """Parameters with the bounds of their spread: a draw outside is drawn again."""

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
    ``rate(x, v, p)`` and ``next_break_point(x, v, p)``: plain functions of one cell, see
    :mod:`hwloop_sim.devices.common.integrate`, as is ``after(x, duration_s, v, p)``, the solution
    in closed form where there is one. ``conductance_s(x, p)``, its inverse
    ``state(conductance_s, p)`` and ``current_a(x, v, p)``: of all cells at once. ``begin``: the
    state of cells without ``initial``, as a part of the way between their bounds. ``rising``:
    whether conductance rises with x. ``bounds(p)``: lowest and highest state of each cell; left
    out, 0 and 1. ``highest_v``: magnitude above which a voltage is refused.
    """

    name: str
    parameters: Callable[[S], dict[str, float]]
    rate: Callable[..., Any]
    next_break_point: Callable[..., Any]
    conductance_s: Callable[[FloatArray, Any], FloatArray]
    state: Callable[[FloatArray, Any], FloatArray]
    begin: float
    rising: bool = True
    current_a: Callable[[FloatArray, FloatArray, Any], FloatArray] | None = None
    bounds: Callable[[Any], tuple[FloatArray | float, FloatArray | float]] = lambda _: (0.0, 1.0)
    highest_v: float = math.inf
    after: Callable[..., Any] | None = None

    def refuse_beyond(self, voltage_v: FloatArray) -> None:
        """Raise :class:`Unsupported` for a voltage that the model does not cover."""
        if self.highest_v == math.inf:
            return
        highest_v = float(np.abs(voltage_v).max(initial=0.0))
        if not highest_v <= self.highest_v:
            raise Unsupported(
                f"{self.name}: {format_quantity(highest_v, 'V')} was asked for, but this device"
                f" model covers up to {format_quantity(self.highest_v, 'V')} of either sign"
            )

    @cached_property
    def compiled(self) -> Any:
        """Return the loop over the cells with ``rate`` and ``next_break_point``, compiled once."""
        from hwloop_sim.devices.common import integrate

        return integrate.advancing(self.rate, self.next_break_point, self.after)

    @cached_property
    def compiled_speeds(self) -> Any:
        """Return the loop that gives the rate of every cell, compiled once."""
        from hwloop_sim.devices.common import integrate

        return integrate.moving(self.rate, self.next_break_point)

    @cached_property
    def compiled_behind(self) -> Any:
        """Return the loop over cells behind resistances, compiled once."""
        from hwloop_sim.devices.common import behind

        return behind.advancing_behind(self.rate, self.next_break_point)

    @cached_property
    def compiled_sequence(self) -> Any:
        """Return the loop over the pulses of each cell, compiled once."""
        from hwloop_sim.devices.common import integrate

        return integrate.following(self.rate, self.next_break_point, self.after)


class StateDevice(ContinuousDevice):
    """Cells of a population that obey one state equation, (..., rows, cols).

    Covers any amplitude and width, for half-selected cells too, but no gate: the model has two
    terminals.
    """

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
        low, high = (np.broadcast_to(end, shape) for end in model.bounds(self._p))
        if settings.initial is None:
            self._state: FloatArray = low + model.begin * (high - low)
        else:
            ends = [model.conductance_s(end, self._p) for end in (low, high)]
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
    @override
    def state(self) -> FloatArray:
        """Return the state x of every cell, (..., rows, cols), in [0, 1]."""
        return self._state

    @property
    @override
    def conductance_s(self) -> FloatArray:
        return self._model.conductance_s(self._state, self._p)

    @property
    @override
    def linear(self) -> bool:
        return self._model.current_a is None

    @property
    @override
    def half_select(self) -> bool:
        return True

    @override
    def current_a(self, voltage_v: FloatArray) -> FloatArray:
        self._model.refuse_beyond(voltage_v)
        if self._model.current_a is None:
            return super().current_a(voltage_v)
        return self._sign * self._model.current_a(self._state, self._sign * voltage_v, self._p)

    @override
    def set_conductance(self, conductance_s: FloatArray) -> None:
        self._state = np.clip(
            self._model.state(conductance_s, self._p), *self._model.bounds(self._p)
        )

    @override
    def check(self, pulse: PulseMap) -> None:
        refuse_gate(self._model.name, pulse)
        self._model.refuse_beyond(pulse.amplitude_v)

    @override
    def pulse(self, pulse: PulseMap) -> None:
        self.check(pulse)
        self.begin_pulse(pulse)
        self._state = self.after(self._state, pulse.amplitude_v, pulse.count * pulse.width_s)

    @override
    def take_state(self, state: FloatArray) -> None:
        self._state = state

    @override
    def within(self, state: FloatArray) -> FloatArray:
        return np.clip(state, *self._model.bounds(self._p))

    @override
    def after(
        self, state: FloatArray, voltage_v: FloatArray, duration_s: float | FloatArray
    ) -> FloatArray:
        from hwloop_sim.devices.common import integrate

        self._model.refuse_beyond(voltage_v)
        return integrate.advance(
            self._model.compiled,
            state,
            np.broadcast_to(self._sign * voltage_v, state.shape),
            duration_s,
            self._parameters,
        )

    @override
    def speed_per_s(self, state: FloatArray, voltage_v: FloatArray) -> FloatArray:
        from hwloop_sim.devices.common import integrate

        self._model.refuse_beyond(voltage_v)
        own_v = np.broadcast_to(self._sign * voltage_v, state.shape)
        return integrate.speeds_per_s(self._model.compiled_speeds, state, own_v, self._parameters)

    @override
    def after_behind(
        self, state: FloatArray, divider: Divider, duration_s: FloatArray
    ) -> FloatArray:
        self._model.refuse_beyond(divider.voltage_v)
        own = divider.cells
        moved: FloatArray = self._model.compiled_behind(
            state.flat[own],
            self._sign * divider.voltage_v,
            divider.at_state,
            divider.rise,
            divider.fall,
            duration_s,
            self._parameters[own if self._parameters.size > 1 else np.zeros_like(own)],
        )
        return moved


def state_kind(
    model: StateModel[Any],
    settings: type[S],
    summary: str,
    device: type[StateDevice] = StateDevice,
) -> DeviceKind[S]:
    """Return the entry of a state equation for the group ``hwloop.devices``.

    ``device``: of cells that do more in a pulse than to follow the equation.
    """
    return DeviceKind(model.name, summary, settings, partial(device, model))


def refuse_gate(name: str, pulse: PulseMap) -> None:
    """Raise :class:`Unsupported` where a pulse has a gate voltage and the device has no gate."""
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
    """Draw the record p: one for all cells, or one a cell where parameters are spread.

    Raises :class:`ConfigError` with the cell where the spread reverses the order of a pair in
    ``settings.ordered``.
    """
    factors = {
        name: spread.factors(shape, rng, within=within(settings, name, nominal[name]))
        for name, spread in settings.spread.items()
    }
    size = int(np.prod(shape)) if factors else 1
    drawn = np.empty(size, dtype=[(name, np.float64) for name in nominal])
    for name, value in nominal.items():
        drawn[name] = value * factors[name].ravel() if name in factors else value
    for low, high in settings.ordered:
        if not {low, high} & set(factors):
            continue
        wrong = (drawn[low] >= drawn[high]).reshape(shape)
        if wrong.any():
            place = first_place(wrong)
            raise ConfigError(
                f"{cell_name(place)}: the spread makes {low}"
                f" {drawn[low].reshape(shape)[place]:.4g}, which must be below {high}"
                f" {drawn[high].reshape(shape)[place]:.4g}",
                key="spread",
            )
    return drawn


def within(settings: StateSettings, name: str, value: FloatArray | float) -> tuple[Any, Any]:
    """Return the bounds of the spread of a parameter as parts of its value."""
    if name not in settings.truncated:
        return 0.0, math.inf
    low, high = settings.truncated[name]
    return low / value, high / value


def per_cell(parameters: NDArray[np.void], shape: tuple[int, ...]) -> Any:
    """Return the fields for array arithmetic: each has the shape of the cells, or size 1."""
    shaped = parameters.reshape(shape if parameters.size > 1 else (1,) * len(shape))
    # As plain attributes: a recarray takes microseconds to find a field, as long as a small pulse.
    return SimpleNamespace(**{name: shaped[name] for name in parameters.dtype.names or ()})


def state_model(kind: DeviceKind[Any]) -> StateModel[Any] | None:
    """Return the state equation of a device model; None for a model of another kind."""
    make = kind.make
    if isinstance(make, partial) and make.func in {StateDevice, *StateDevice.__subclasses__()}:
        model: StateModel[Any] = make.args[0]
        return model
    return None
