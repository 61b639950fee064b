"""The interface of an effect: one non-ideality of the cells, composed with any device model.

An effect works on the conductance of all cells of a population at once, (..., rows, cols), siemens,
at up to six moments; it overrides the methods of those that concern it:

- :meth:`Effect.begin`: the cells are made;
- :meth:`Effect.pulsed`: pulses have been applied;
- :meth:`Effect.held`: cells have been set to conductances without a pulse;
- :meth:`Effect.elapsed`: time has passed;
- :meth:`Effect.read`: cells have been read;
- :meth:`Effect.seen`: the state is observed from outside.

All but the last return the new state, which is written into the device model: a cell that has
drifted is pulsed from its drifted state. The last leaves the state alone. At each moment the
effects act in the order of :attr:`EffectKind.order`, whatever their order in a procedure, so that
the same set of effects always gives the same array; of equal orders, the first in the procedure
acts first. An effect keeps its own state in arrays of the population's shape.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, InstanceOf, PlainSerializer, ValidationInfo

from hwloop import plugins
from hwloop.array.operations import PulseMap
from hwloop.errors import ConfigError
from hwloop.settings.field_units import units_of
from hwloop.settings.model import Settings, folder_of
from hwloop.types import BoolArray, FloatArray

if TYPE_CHECKING:
    from hwloop_sim.compiled.counter_based_random import StepScatter

S = TypeVar("S", bound=Settings)


class Effect:
    """One effect on the cells of a population; a method that is not overridden does nothing.

    ``time_varying``: the observed conductance changes from one vector of a multiplication to the
    next. ``limiting``: it only limits what others have changed, so that time and reads do nothing
    where there are no others.
    """

    time_varying = False
    limiting = False

    def begin(self, conductance_s: FloatArray) -> FloatArray:
        """Return the initial state, from that of the device model, both (..., rows, cols), siemens.

        Example, every cell made 10 % less conductive than the model says::

          def begin(self, conductance_s: FloatArray) -> FloatArray:
              return 0.9 * conductance_s
        """
        return conductance_s

    def pulsed(
        self,
        before_conductance_s: FloatArray,  # noqa: ARG002 - a hook
        after_conductance_s: FloatArray,
        pulse: PulseMap,  # noqa: ARG002
    ) -> FloatArray:
        """Return the conductance after pulses, siemens.

        The device model takes it from ``before_conductance_s`` to ``after_conductance_s``.

        Example, every step 5 % smaller than the model says::

          def pulsed(self, before_conductance_s, after_conductance_s, pulse):
              return before_conductance_s + 0.95 * (after_conductance_s - before_conductance_s)
        """
        return after_conductance_s

    def held(self, conductance_s: FloatArray, addressed: BoolArray) -> FloatArray:  # noqa: ARG002
        """Return the state after cells have been set to conductances without a pulse, siemens.

        ``addressed``: which of them, (..., rows, cols). Example, cells that take no more than
        100 µS::

          def held(self, conductance_s: FloatArray, addressed: BoolArray) -> FloatArray:
              return np.minimum(conductance_s, 100e-6)
        """
        return conductance_s

    def step_scatter(self, pulse: PulseMap) -> StepScatter | None:  # noqa: ARG002
        """Return the scatter of :meth:`pulsed`, if it is a normal factor on every step.

        Returns None where :meth:`pulsed` does anything else.
        """
        return None

    def elapsed(self, conductance_s: FloatArray, duration_s: float) -> FloatArray:  # noqa: ARG002
        """Return the state after ``duration_s`` seconds, siemens.

        The result must not depend on how the time is divided. Example, decay with a time constant
        of an hour::

          def elapsed(self, conductance_s: FloatArray, duration_s: float) -> FloatArray:
              return conductance_s * np.exp(-duration_s / 3600)
        """
        return conductance_s

    def read(self, conductance_s: FloatArray, voltage_v: FloatArray) -> FloatArray:  # noqa: ARG002
        """Return the state after reads, siemens.

        ``voltage_v``: volts at every cell, (reads, ..., rows, cols) or broadcastable to it.
        Example, each read at a positive voltage raises the conductance by 1e-6 of it::

          def read(self, conductance_s: FloatArray, voltage_v: FloatArray) -> FloatArray:
              return conductance_s * (1 + 1e-6) ** (voltage_v > 0).sum(axis=0)
        """
        return conductance_s

    def seen(self, conductance_s: FloatArray) -> FloatArray:
        """Return the conductance observed now, siemens; the state itself does not change.

        Example, cells that are observed in steps of 1 µS::

          def seen(self, conductance_s: FloatArray) -> FloatArray:
              return np.rint(conductance_s / 1e-6) * 1e-6
        """
        return conductance_s

    def does(self, hook: str) -> bool:
        """Return whether this effect overrides the method of a moment."""
        return getattr(type(self), hook) is not getattr(Effect, hook)


class ReadNoise(Effect):
    """An effect that is drawn anew in each read, and so is added to the currents."""

    def conductance_variance_s2(self, conductance_s: FloatArray) -> FloatArray:
        """Return the variance of each cell's conductance in one read, siemens², (..., rows, cols).

        Example, a standard deviation of 1 % of the conductance::

          def conductance_variance_s2(self, conductance_s: FloatArray) -> FloatArray:
              return np.square(0.01 * conductance_s)
        """
        raise NotImplementedError

    def fixed_variance_a2(self) -> float | None:
        """Return the variance of a current besides that of the cells, amperes²; None by default.

        An effect whose noise is normal, new in every read, and all in this and
        :meth:`conductance_variance_s2` returns it: then a multiplication may draw the noise itself
        instead of calling :meth:`add`. Example, an amplifier of 1 nA::

          def fixed_variance_a2(self) -> float | None:
              return 1e-18
        """
        return None

    def add(
        self,
        current_a: FloatArray,
        variance: NDArray[np.floating],
        *,
        unit_a2: float,
        reads: int,
    ) -> None:
        """Add one draw to ``current_a``, amperes, in place.

        ``variance``: of each current, from the cells, in units of ``unit_a2``, amperes². ``reads``:
        how many reads were averaged for each current. Example::

          def add(self, current_a, variance, *, unit_a2, reads):
              sigma_a = np.sqrt(variance * (unit_a2 / reads))
              current_a += self._rng.normal(size=current_a.shape) * sigma_a
        """
        raise NotImplementedError


@dataclass(frozen=True)
class EffectKind(Generic[S]):
    """An effect as registered in the entry point group ``hwloop.effects``.

    ``make(settings, shape, rng)``: the effect for cells of ``shape`` (..., rows, cols). ``order``:
    place among other effects, smallest first. ``arrays``: memory it takes, float64 values a cell.
    """

    name: str
    summary: str
    settings: type[S]
    make: Callable[[S, tuple[int, ...], np.random.Generator], Effect]
    order: int
    arrays: Callable[[S], float]


@dataclass(frozen=True)
class ChosenEffect:
    """An effect with its validated settings."""

    kind: EffectKind[Any]
    settings: Settings

    def dump(self) -> dict[str, Any]:
        """Return the settings as a procedure writes them."""
        return {"effect": self.kind.name, **self.settings.model_dump(mode="json")}

    def units(self) -> dict[str, str]:
        """Return the unit of each setting by its path."""
        return units_of(self.settings)

    @property
    def arrays(self) -> float:
        """Return the memory that the effect takes, in float64 values a cell."""
        return self.kind.arrays(self.settings)


def _choose(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, dict) or not isinstance(value.get("effect"), str):
        raise ValueError("expected a mapping whose key 'effect' names an effect")
    settings = {key: item for key, item in value.items() if key != "effect"}
    name = value["effect"]
    folder = folder_of(info)
    try:
        kind: EffectKind[Any] = plugins.load(plugins.EFFECTS, name)
        return ChosenEffect(kind, kind.settings.parse(settings, folder=folder))
    except ConfigError as exc:
        # A ValueError, to which pydantic adds the place in the list.
        raise ValueError(f"{name}: {exc}") from None


EffectChoice = Annotated[
    InstanceOf[ChosenEffect], BeforeValidator(_choose), PlainSerializer(ChosenEffect.dump)
]
"""An effect in a procedure: ``{effect: NAME, …}``."""


def make_effects(
    chosen: tuple[ChosenEffect, ...], shape: tuple[int, ...], rng: np.random.Generator
) -> list[Effect]:
    """Make the effects, in the order in which they act.

    Each draws from a generator of its own, derived from the seed sequence of ``rng``, the effect's
    name, and the number of effects of that name before it: one more effect changes no draw of
    another.
    """
    seeds = rng.bit_generator.seed_seq
    if not isinstance(seeds, np.random.SeedSequence):
        raise TypeError("effects need a generator that was made from a SeedSequence")
    made: list[tuple[int, Effect]] = []
    for index, choice in enumerate(chosen):
        name = choice.kind.name
        before = sum(other.kind.name == name for other in chosen[:index])
        place = (*seeds.spawn_key, zlib.crc32(name.encode()), before)
        own = np.random.default_rng(np.random.SeedSequence(seeds.entropy, spawn_key=place))
        try:
            made.append((choice.kind.order, choice.kind.make(choice.settings, shape, own)))
        except ConfigError as exc:
            raise exc.below(f"backends.sim.effects.{index}") from None
    return [effect for _, effect in sorted(made, key=lambda item: item[0])]
