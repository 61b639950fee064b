"""A backend as it is registered, and the request that it is opened with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import numpy as np

from hwloop.array.settings import ArraySettings
from hwloop.backend.base import CrossbarBackend
from hwloop.backend.origin import Origin
from hwloop.errors import ConfigError
from hwloop.settings.model import Settings

S = TypeVar("S", bound=Settings)
LifeKind = Literal["physical", "virtual"]


@dataclass(frozen=True)
class OpenRequest:
    """Everything that a backend may need to be opened for a run.

    ``population``: None for one array, N for N emulated ones. ``rng``: the backend's part of
    the run's randomness. ``seed``: the seed of the run. ``procedure``: the whole procedure as
    plain data, for a backend that has others emulate the array. ``record``: the file that the run
    will be recorded in, for files that belong beside it.
    """

    array: ArraySettings
    population: int | None
    rng: np.random.Generator
    seed: int = 0
    procedure: Mapping[str, Any] | None = None
    record: Path | None = None


@dataclass(frozen=True)
class BackendKind(Generic[S]):
    """A backend as it is registered in the entry point group ``hwloop.backends``.

    ``open``: make the backend. ``touches_hardware``: whether ``open`` reaches for instruments,
    which a preview must not. ``dry_run``: make a backend that answers
    :meth:`~hwloop.backend.base.CrossbarBackend.check`, ``duration_s`` and ``groups`` without
    reaching for any. ``check_connectivity``: test the hardware without a pulse, and yield the
    findings, a line each.

    ``twins``: whether it emulates any number of arrays, each from a seed of its own; such a
    backend stands for the array where none is named. ``with_calibration``: return the section of
    this backend, plain data, with a calibration, by name or path, in place of its device; raises
    :class:`ConfigError`. ``life``: return whose life the pulses count in, see :meth:`life_of`.
    ``origin``: return where the numbers come from, see :meth:`origin_of`.
    """

    name: str
    summary: str
    settings: type[S]
    open: Callable[[S, OpenRequest], CrossbarBackend]
    touches_hardware: bool = False
    dry_run: Callable[[S, OpenRequest], CrossbarBackend] | None = None
    check_connectivity: Callable[[S, OpenRequest], Iterator[str]] | None = None
    twins: bool = False
    with_calibration: Callable[[Mapping[str, Any], str], dict[str, Any]] | None = None
    life: Callable[[S], LifeKind | None] | None = None
    origin: Callable[[S], Origin] | None = None

    def takes(self, setting: str) -> bool:
        """Return whether ``setting`` is one of its settings, such as ``"station"``."""
        return setting in self.settings.model_fields

    def life_of(self, settings: S) -> LifeKind | None:
        """Return whose life the pulses count in.

        That of a physical array, of the one behind a virtual bench, or None: an emulated twin and
        a recording do not wear. By default physical where the backend touches hardware.
        """
        if self.life is not None:
            return self.life(settings)
        return "physical" if self.touches_hardware else None

    def origin_of(self, settings: S) -> Origin:
        """Return where the numbers of a run come from.

        By default measured where they wear a physical array, else emulated.
        """
        if self.origin is not None:
            return self.origin(settings)
        return "measured" if self.life_of(settings) == "physical" else "emulated"

    @property
    def has_dry_run(self) -> bool:
        """Return whether it can answer questions about operations without touching hardware."""
        return self.dry_run is not None or not self.touches_hardware

    def open_dry(self, settings: S, request: OpenRequest) -> CrossbarBackend:
        """Open the backend for questions only, without reaching for an instrument.

        Raises :class:`ConfigError` where there is no such way.
        """
        if not self.has_dry_run:
            raise ConfigError(
                f"backend {self.name!r} cannot be previewed without touching hardware"
            )
        return (self.dry_run or self.open)(settings, request)
