"""Registration of a backend, and the request by which it is opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from hwloop.array.settings import ArraySettings
from hwloop.backend.base import CrossbarBackend
from hwloop.settings.model import Settings

S = TypeVar("S", bound=Settings)


@dataclass(frozen=True)
class OpenRequest:
    """Request to open a backend for one run.

    ``population``: None for one array, N for N emulated ones. ``rng``: the backend's part of
    the run's randomness. ``seed``: of the run. ``procedure``: the whole procedure as plain data,
    for a virtual bench, which emulates the array of the procedure. ``record``: where the run will
    be recorded; reports go beside it.
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

    ``touches_hardware``: whether opening it reaches for instruments, which a preview must not;
    ``dry_run`` makes one that answers :meth:`~hwloop.backend.base.CrossbarBackend.check`,
    ``duration_s`` and ``groups`` without reaching for any.
    ``check_connectivity``: test the hardware without a pulse, and yield the findings, a line each.
    """

    name: str
    summary: str
    settings: type[S]
    open: Callable[[S, OpenRequest], CrossbarBackend]
    touches_hardware: bool = False
    dry_run: Callable[[S, OpenRequest], CrossbarBackend] | None = None
    check_connectivity: Callable[[S, OpenRequest], Iterator[str]] | None = None
