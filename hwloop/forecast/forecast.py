"""Forecast the result of a procedure on an array from runs on many twins of the array."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from hwloop.array.operations import Answer, Operation
from hwloop.backend.base import CrossbarBackend
from hwloop.backend.guard import Guard
from hwloop.backend.kind import BackendKind
from hwloop.backend.registered import backend_kind, emulator
from hwloop.backend.wrapper import Wrapper
from hwloop.errors import ConfigError, HwloopError
from hwloop.execution.execute import Follower, execute, request_for
from hwloop.execution.preview import refuse_beyond_limits, refuse_unsupported
from hwloop.procedure.procedure import Procedure
from hwloop.statistics import wilson_interval
from hwloop.steps.array import Array
from hwloop.steps.rows import Outcome, Yield
from hwloop.types import BoolArray, FloatArray

IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Twin:
    """Result of one run on one twin.

    ``reason``: the message of the steps that missed their aims, or of the error that ended the
    run; "" if every aim was reached. ``pulses``: pulses of this run, (rows, cols), or (tiles,
    rows, cols). ``duration_s``: time on the station, or on the emulator's clock without one.
    ``failed``: cells that a step reports as failed, of the shape of ``pulses``. ``warnings``:
    warnings of the twin, such as that it left the range that was measured.
    """

    seed: int
    reason: str
    pulses: IntArray
    duration_s: float
    failed: BoolArray
    warnings: tuple[str, ...]

    @property
    def reached(self) -> bool:
        """Return whether every step reached its aim."""
        return not self.reason


@dataclass(frozen=True)
class Forecast:
    """Results of all twins, and the procedure that they ran."""

    procedure: Procedure
    station: str
    twins: tuple[Twin, ...]

    @property
    def successes(self) -> int:
        """Number of twins on which every step reached its aim."""
        return sum(twin.reached for twin in self.twins)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval of the fraction of success."""
        return wilson_interval(self.successes, len(self.twins))

    @property
    def pulses(self) -> IntArray:
        """Pulses of each twin, (twins, ...) with the axes of :attr:`Twin.pulses` last."""
        return np.array([twin.pulses for twin in self.twins])

    @property
    def duration_s(self) -> FloatArray:
        """Duration of each twin's run, (twins,), seconds."""
        return np.array([twin.duration_s for twin in self.twins])

    @property
    def failed_fraction(self) -> FloatArray:
        """Fraction of the twins in which each cell failed; the shape of :attr:`Twin.pulses`."""
        failed = np.array([twin.failed for twin in self.twins])
        fraction: FloatArray = failed.sum(axis=0) / len(self.twins)
        return fraction

    def reasons(self) -> list[tuple[int, str]]:
        """Return how often each kind of failure occurred, and an example, most frequent first."""
        return _grouped([twin.reason for twin in self.twins if twin.reason])

    def warnings(self) -> list[tuple[int, str]]:
        """Return in how many twins each kind of warning occurred, and an example."""
        by_twin = ({_kind(text): text for text in twin.warnings} for twin in self.twins)
        return _grouped([text for texts in by_twin for text in texts.values()])


def _grouped(texts: list[str]) -> list[tuple[int, str]]:
    examples = {_kind(text): text for text in reversed(texts)}
    counts = Counter(map(_kind, texts))
    return [(count, examples[kind]) for kind, count in counts.most_common()]


def _kind(text: str) -> str:
    """Strip a text of its figures, so that messages of one kind are counted together."""
    return "".join(c for c in text if c.isalpha() or c == " ")[:60]


class _OnStation(Wrapper):
    """Emulated array in the groups of a station, whose time is counted."""

    def __init__(self, inner: CrossbarBackend, station: CrossbarBackend | None) -> None:
        super().__init__(inner)
        self._station = station or inner
        self.taken_s = 0.0

    @override
    def perform(self, operation: Operation) -> Answer:
        self.taken_s += self._station.duration_s(operation)
        return self._inner.perform(operation)

    @override
    def check(self, operation: Operation) -> None:
        self._inner.check(operation)
        self._station.check(operation)

    @override
    def groups(self) -> Iterator[BoolArray]:
        return self._station.groups()


class _Tally(Follower):
    """Failed cells, (..., rows, cols), and missed aims of the steps."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.failed = np.zeros(shape, dtype=np.bool_)
        self.missed: list[str] = []

    @override
    def take(self, label: str, item: Yield) -> None:
        if isinstance(item, Outcome):
            self.missed += [] if item.reached else [f"{label}: {item.message}"]
        elif (cells := item.failed_cells()) is not None:
            self.failed |= cells


def forecast(
    procedure: Procedure,
    *,
    twins: int,
    seed: int | None = None,
    timed_on: str | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Forecast:
    """Run the procedure on ``twins`` emulated arrays, seeds from ``seed`` on.

    Each is the run that ``hwloop run --seed`` gives on the emulator, without a record.
    ``timed_on``: the backend whose time is counted and whose groups are finished one by one, by
    its section of the procedure; None for the emulator's own. ``progress``: called after each twin
    with the number done. Raises :class:`ConfigError` and :class:`LimitError` where no run could
    begin.
    """
    kind = emulator()
    refuse_beyond_limits(procedure)
    first = procedure.seed if seed is None else seed
    station = None if timed_on is None else _dry_run(procedure, backend_kind(timed_on))
    done = []
    for number in range(twins):
        done.append(_twin(procedure, kind, station, first + number))
        progress(number + 1)
    name = "" if station is None else str(station.description.identity.get("station", timed_on))
    return Forecast(procedure, name, tuple(done))


def _dry_run(procedure: Procedure, kind: BackendKind[Any]) -> CrossbarBackend:
    if kind.dry_run is None:
        raise ConfigError(f"backend {kind.name!r} cannot say how long an operation takes")
    request, _ = request_for(procedure, seed=procedure.seed)
    return kind.dry_run(procedure.backend_settings(kind), request)


def _twin(
    procedure: Procedure, kind: BackendKind[Any], station: CrossbarBackend | None, seed: int
) -> Twin:
    request, step_rng = request_for(procedure, seed=seed)
    with kind.open(procedure.backend_settings(kind), request) as inner:
        timed = _OnStation(inner, station)
        refuse_unsupported(procedure, timed)
        guard = Guard(timed, procedure.array)
        tally = _Tally(inner.description.shape)
        try:
            execute(procedure, Array(guard, procedure.array, step_rng), tally)
            reason = "; ".join(tally.missed)
        except ConfigError:
            raise
        except HwloopError as exc:
            reason = str(exc)
        warnings = [event.message for event in inner.take_events() if event.level == "warning"]
        pulses = guard.pulses - procedure.array.pulses_before
    return Twin(seed, reason, pulses, timed.taken_s, tally.failed, tuple(warnings))
