"""Emulated twins of the cells being programmed, in which pulses are tried before they are sent.

The emulator is found among the registered backends, as a forecast finds it; each trial is a
population of single cells, set to what the cells read, pulsed and read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import BeforeValidator, InstanceOf, PlainSerializer, ValidationInfo

from hwloop.array.operations import Hold, PulseMap, ReadMap
from hwloop.array.settings import ArraySettings
from hwloop.backend.base import CrossbarBackend
from hwloop.backend.kind import BackendKind, OpenRequest
from hwloop.backend.registered import emulator
from hwloop.errors import ConfigError, Unsupported
from hwloop.settings.model import Settings, folder_of
from hwloop.settings.units import format_quantity
from hwloop.types import FloatArray

MOST_CELLS = 1_000_000
"""Most emulated cells of one trial: larger ones are divided into parts of the cells."""


class PulseCandidate(NamedTuple):
    """A pulse that may be sent; ``gate_v`` is None for cells without a gate."""

    amplitude_v: float
    width_s: float
    gate_v: float | None = None

    def __str__(self) -> str:
        gate = "" if self.gate_v is None else f", gate {format_quantity(self.gate_v, 'V')}"
        return (
            f"{format_quantity(self.amplitude_v, 'V')}, {format_quantity(self.width_s, 's')}{gate}"
        )


@dataclass(frozen=True)
class ChosenTwin:
    """An emulator and the settings of a twin, as a procedure has them below its name."""

    kind: BackendKind[Any]
    settings: Settings
    given: Mapping[str, Any]

    def dump(self) -> dict[str, Any]:
        """Return the settings as a procedure writes them."""
        return dict(self.given)

    def cells(self, array: ArraySettings, count: int, rng: np.random.Generator) -> CrossbarBackend:
        """Open ``count`` twins of a cell, each an array of its own, with draws of ``rng``."""
        one = {"name": None, "rows": 1, "cols": 1, "tiles": 1}
        settings = ArraySettings.parse({**array.model_dump(mode="json"), **one})
        opened: CrossbarBackend = self.kind.open(self.settings, OpenRequest(settings, count, rng))
        return opened

    def refuse_unknown(self, candidates: Sequence[PulseCandidate], array: ArraySettings) -> None:
        """Raise :class:`ConfigError` for a candidate that the twin's device does not cover."""
        with self.cells(array, 1, np.random.default_rng(0)) as cell:
            for one in candidates:
                pulse = PulseMap(np.full((1, 1), one.amplitude_v), one.width_s, gate_v=one.gate_v)
                try:
                    cell.check(pulse)
                except Unsupported as exc:
                    raise ConfigError(f"the twin cannot try {one}: {exc}") from None

    def tried_conductance_s(
        self,
        candidates: Sequence[PulseCandidate],
        seen_conductance_s: FloatArray,
        *,
        array: ArraySettings,
        draws: int,
        rng: np.random.Generator,
    ) -> FloatArray:
        """Return what cells read after each candidate, (draws, candidates, cells), siemens.

        ``seen_conductance_s``: (cells,), from which each twin starts. NaN: a read that would be
        limited. Each draw is another device of the twin's distribution.
        """
        cells = seen_conductance_s.size
        each = draws * len(candidates)
        size = max(1, MOST_CELLS // each)
        parts = [
            self._tried(candidates, seen_conductance_s[begin : begin + size], array, draws, rng)
            for begin in range(0, cells, size)
        ]
        return np.concatenate(parts, axis=-1)

    def _tried(
        self,
        candidates: Sequence[PulseCandidate],
        seen_conductance_s: FloatArray,
        array: ArraySettings,
        draws: int,
        rng: np.random.Generator,
    ) -> FloatArray:
        shape = (draws, len(candidates), seen_conductance_s.size)
        count = int(np.prod(shape))
        # A read about 0 S may be below it by its noise; no cell is.
        start_conductance_s = np.maximum(np.broadcast_to(seen_conductance_s, shape), 0.0)
        every = np.ones((count, 1, 1), np.bool_)
        number = np.broadcast_to(np.arange(len(candidates))[:, None], shape).reshape(every.shape)
        (own,) = rng.spawn(1)
        with self.cells(array, count, own) as twins:
            twins.hold(Hold(start_conductance_s.reshape(every.shape), every))
            for width_s in dict.fromkeys(one.width_s for one in candidates):
                twins.pulse(_pulses(candidates, number, width_s))
            read = array.read
            reading = twins.read(
                ReadMap.every_cell((1, 1), read_v=read.read_v, both_polarities=read.both_polarities)
            )
        found: FloatArray = (reading.current_a / read.read_v).reshape(shape)
        return found


def _pulses(candidates: Sequence[PulseCandidate], number: np.ndarray, width_s: float) -> PulseMap:
    """Return the pulses of the candidates of one width; ``number``: which each twin tries."""
    amplitude_v = np.array([one.amplitude_v if one.width_s == width_s else 0 for one in candidates])
    gate_v = [one.gate_v for one in candidates if one.gate_v is not None]
    return PulseMap(
        amplitude_v[number], width_s, gate_v=np.array(gate_v)[number] if gate_v else None
    )


def _choose(value: object, info: ValidationInfo) -> object:
    given = {"calibration": value} if isinstance(value, str) else value
    if not isinstance(given, Mapping):
        raise ValueError("expected a calibration, by name or path, or the settings of an emulator")
    try:
        kind = emulator()
        return ChosenTwin(kind, kind.settings.parse(given, folder=folder_of(info)), dict(given))
    except ConfigError as exc:
        raise ValueError(str(exc)) from None


TwinChoice = Annotated[
    InstanceOf[ChosenTwin], BeforeValidator(_choose), PlainSerializer(ChosenTwin.dump)
]
"""A twin in a procedure: a calibration, by name or path, or settings as below ``backends.sim``."""
