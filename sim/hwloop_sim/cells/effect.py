"""What an effect is: one non-ideality of the cells, composed with any device model.

An effect works on the conductance of all cells of a population at once, (..., rows, cols), and is
asked at five moments, of which it takes what concerns it:

- :meth:`Effect.begin`: the cells are made;
- :meth:`Effect.pulsed`: pulses have been applied;
- :meth:`Effect.elapsed`: time has passed;
- :meth:`Effect.read`: cells have been read;
- :meth:`Effect.seen`: what the state looks like from outside, now.

The first four return the new state, which is put back into the device model: a cell that has
drifted is pulsed from where it has drifted to. The fifth leaves the state alone. At each moment
the effects act in the order of :attr:`EffectKind.order`, whatever their order in a procedure, so
that the same set of effects is always the same array; of equals, the one that stands first is
first. An effect keeps what it must remember in arrays of the population's shape.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, InstanceOf, PlainSerializer, ValidationInfo

from hwloop import plugins
from hwloop.array.operations import PulseMap
from hwloop.errors import ConfigError
from hwloop.settings.field_units import units_of
from hwloop.settings.model import Settings
from hwloop.types import FloatArray

if TYPE_CHECKING:
    from hwloop_sim.compiled.counted_random import StepScatter

S = TypeVar("S", bound=Settings)


class Effect:
    """One effect on the cells of a population; does nothing where a hook is not overridden.

    ``restless``: what is seen changes from one vector of a multiplication to the next.
    """

    restless = False

    def begin(self, conductance_s: FloatArray) -> FloatArray:
        """The initial state, from that of the device model."""
        return conductance_s

    def pulsed(
        self,
        before_conductance_s: FloatArray,  # noqa: ARG002 - a hook
        after_conductance_s: FloatArray,
        pulse: PulseMap,  # noqa: ARG002
    ) -> FloatArray:
        """Return the state after pulses.

        They took the device from ``before_conductance_s`` to ``after_conductance_s``.
        """
        return after_conductance_s

    def step_scatter(self, pulse: PulseMap) -> StepScatter | None:  # noqa: ARG002
        """What :meth:`pulsed` does, where it is a normal factor on every step and nothing else."""
        return None

    def elapsed(self, conductance_s: FloatArray, duration_s: float) -> FloatArray:  # noqa: ARG002
        """The state after ``duration_s``; the same however the time is divided."""
        return conductance_s

    def read(self, conductance_s: FloatArray, voltage_v: FloatArray) -> FloatArray:  # noqa: ARG002
        """The state after reads; ``voltage_v`` has (reads, ..., rows, cols) or broadcasts to it."""
        return conductance_s

    def seen(self, conductance_s: FloatArray) -> FloatArray:
        """The conductance that a state shows now."""
        return conductance_s

    def does(self, hook: str) -> bool:
        """Whether this effect takes part at a moment."""
        return getattr(type(self), hook) is not getattr(Effect, hook)


class ReadNoise(Effect):
    """An effect that scatters each read anew, and so is added to the currents."""

    def conductance_variance_s2(self, conductance_s: FloatArray) -> FloatArray:
        """Variance of each cell's conductance in one read, siemens²."""
        raise NotImplementedError

    def add(
        self,
        current_a: FloatArray,
        variance: NDArray[np.floating],
        *,
        unit_a2: float,
        reads: int,
    ) -> None:
        """Add a draw to currents, in place; ``reads``: how many were averaged for each.

        ``variance``: what the cells have in each current, in units of ``unit_a2``, amperes².
        """
        raise NotImplementedError


@dataclass(frozen=True)
class EffectKind(Generic[S]):
    """An effect as it stands in the entry point group ``hwloop.effects``.

    ``make(settings, shape, rng)``: for cells of ``shape`` (..., rows, cols). ``order``: where it
    acts among others, small ones first. ``arrays``: how many float64 of memory it takes a cell.
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
        """As it stands in a procedure."""
        return {"effect": self.kind.name, **self.settings.model_dump(mode="json")}

    def units(self) -> dict[str, str]:
        """Return the unit of each setting by its path."""
        return units_of(self.settings)

    @property
    def arrays(self) -> float:
        """How many float64 of memory it takes a cell."""
        return self.kind.arrays(self.settings)


def _choose(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, dict) or not isinstance(value.get("effect"), str):
        raise ValueError("expected a mapping whose key 'effect' names an effect")
    settings = {key: item for key, item in value.items() if key != "effect"}
    name = value["effect"]
    folder = Path((info.context or {}).get("folder", "."))
    try:
        kind: EffectKind[Any] = plugins.load(plugins.EFFECTS, name)
        return ChosenEffect(kind, kind.settings.parse(settings, folder=folder))
    except ConfigError as exc:
        # ValueError: pydantic knows at which place of the list this stands.
        raise ValueError(f"{name}: {exc}") from None


EffectChoice = Annotated[
    InstanceOf[ChosenEffect], BeforeValidator(_choose), PlainSerializer(ChosenEffect.dump)
]
"""An effect in a procedure: ``{effect: NAME, …}``."""


def make_effects(
    chosen: tuple[ChosenEffect, ...], shape: tuple[int, ...], rng: np.random.Generator
) -> list[Effect]:
    """The effects in the order in which they act.

    Each draws from a generator of its own, made from ``rng``, its name, and how many of that name
    stand before it: one more effect changes no draw of another.
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
