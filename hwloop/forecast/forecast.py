"""What a procedure will probably come to on an array, from runs on many twins of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwloop import plugins
from hwloop.array.operations import Operation, Reading
from hwloop.backend.base import CrossbarBackend
from hwloop.backend.guard import Guard
from hwloop.backend.kind import BackendKind, OpenRequest
from hwloop.backend.wrapper import Wrapper
from hwloop.errors import ConfigError, HwloopError
from hwloop.procedure.procedure import Procedure
from hwloop.run.preview import refuse_beyond_limits, refuse_unsupported
from hwloop.statistics import wilson_interval
from hwloop.steps.array import Array
from hwloop.steps.rows import Outcome
from hwloop.types import BoolArray, FloatArray

IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Twin:
    """How one run on one twin ended.

    ``words``: of the step that missed its aim, or of the error that ended it; "" if all was
    reached. ``pulses``: this run's, (rows, cols), or (tiles, rows,
    cols). ``duration_s``: on the station, or on the
    emulator where there is none. ``failed``: cells that a step says did not reach what it wanted.
    ``warnings``: what the twin said, such as that it left the range that was measured.
    """

    seed: int
    words: str
    pulses: IntArray
    duration_s: float
    failed: BoolArray
    warnings: tuple[str, ...]

    @property
    def reached(self) -> bool:
        """Whether every step reached its aim."""
        return not self.words


@dataclass(frozen=True)
class Forecast:
    """All twins, and the array that they stand for."""

    procedure: Procedure
    station: str
    twins: tuple[Twin, ...]

    @property
    def successes(self) -> int:
        """Twins on which every step reached its aim."""
        return sum(twin.reached for twin in self.twins)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval of the fraction of success."""
        return wilson_interval(self.successes, len(self.twins))

    @property
    def pulses(self) -> IntArray:
        """(twins, ...), as those of a twin."""
        return np.array([twin.pulses for twin in self.twins])

    @property
    def duration_s(self) -> FloatArray:
        """(twins,)."""
        return np.array([twin.duration_s for twin in self.twins])

    @property
    def failed_fraction(self) -> FloatArray:
        """Of the twins, in which a cell did not reach what a step wanted; as the pulses."""
        failed = np.array([twin.failed for twin in self.twins])
        fraction: FloatArray = failed.sum(axis=0) / len(self.twins)
        return fraction

    def reasons(self) -> list[tuple[int, str]]:
        """What kept twins from success, the most frequent first: how often, and an example."""
        missed = [twin.words for twin in self.twins if twin.words]
        return _grouped(missed)

    def warnings(self) -> list[tuple[int, str]]:
        """In how many twins something was warned of, and an example."""
        said = [
            words for twin in self.twins for words in {_kind(w): w for w in twin.warnings}.values()
        ]
        return _grouped(said)


def _grouped(texts: list[str]) -> list[tuple[int, str]]:
    examples = {_kind(text): text for text in reversed(texts)}
    counts = Counter(map(_kind, texts))
    return [(count, examples[kind]) for kind, count in counts.most_common()]


def _kind(text: str) -> str:
    """A text without its figures, so that those of one kind are counted together."""
    return "".join(c for c in text if c.isalpha() or c == " ")[:60]


class _OnStation(Wrapper):
    """The emulated array as the station would address it, and the time that it would take."""

    def __init__(self, inner: CrossbarBackend, station: CrossbarBackend | None) -> None:
        super().__init__(inner)
        self._station = station or inner
        self.taken_s = 0.0

    def perform(self, operation: Operation) -> Reading | None:
        """On the twin, while the station's time is counted."""
        self.taken_s += self._station.duration_s(operation)
        return self._inner.perform(operation)

    def check(self, operation: Operation) -> None:
        """Whether both can do this."""
        self._inner.check(operation)
        self._station.check(operation)

    def groups(self) -> Iterator[BoolArray]:
        """Those of the station."""
        return self._station.groups()


def forecast(
    procedure: Procedure,
    *,
    twins: int,
    seed: int | None = None,
    bench: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> Forecast:
    """Run the procedure on ``twins`` emulated arrays, seeds from ``seed`` on.

    Each is the run that ``hwloop run --backend sim --seed`` gives, without a record. ``bench``:
    the time is that of the station of ``backends.bench``, and its groups are finished one by one.
    ``progress``: told after each twin how many are done. Raises :class:`ConfigError` and
    :class:`LimitError` where no run could begin.
    """
    kind: BackendKind[Any] = plugins.load(plugins.BACKENDS, "sim")
    refuse_beyond_limits(procedure)
    first = procedure.seed if seed is None else seed
    station = _dry_run(procedure) if bench else None
    done = []
    for number in range(twins):
        done.append(_twin(procedure, kind, station, first + number))
        progress(number + 1)
    name = "" if station is None else str(station.description.identity.get("station", "bench"))
    return Forecast(procedure, name, tuple(done))


def _dry_run(procedure: Procedure) -> CrossbarBackend:
    kind: BackendKind[Any] = plugins.load(plugins.BACKENDS, "bench")
    if kind.dry_run is None:
        raise ConfigError("backend 'bench' cannot say how long an operation takes")
    request = OpenRequest(procedure.array, None, np.random.default_rng(procedure.seed))
    return kind.dry_run(procedure.backend_settings(kind), request)


def _twin(
    procedure: Procedure,
    kind: BackendKind[Any],
    station: CrossbarBackend | None,
    seed: int,
) -> Twin:
    backend_rng, step_rng = np.random.default_rng(seed).spawn(2)  # as a run draws them
    request = OpenRequest(
        procedure.array, None, backend_rng, seed=seed, procedure=procedure.resolved
    )
    with kind.open(procedure.backend_settings(kind), request) as inner:
        timed = _OnStation(inner, station)
        refuse_unsupported(procedure, timed)
        guard = Guard(timed, procedure.array)
        array = Array(guard, procedure.array, step_rng)
        failed = np.zeros(inner.description.shape, dtype=np.bool_)
        try:
            words = _run(procedure, array, failed)
        except ConfigError:
            raise
        except HwloopError as exc:
            words = str(exc)
        warnings = [event.message for event in inner.take_events() if event.level == "warning"]
        pulses = guard.pulses - procedure.array.pulses_before
    return Twin(seed, words, pulses, timed.taken_s, failed, tuple(warnings))


def _run(procedure: Procedure, array: Array, failed: BoolArray) -> str:
    """Every step, between the two reads of all cells that a run begins and ends with."""
    missed = []
    array.read_all()
    for prepared in procedure.steps:
        for item in prepared.step(prepared.settings, array):
            if isinstance(item, Outcome):
                missed += [] if item.reached else [f"{prepared.label}: {item.words}"]
                continue
            array.remember(prepared.label, item)
            if (cells := item.failed_cells()) is not None:
                failed |= cells
    array.read_all()
    return "; ".join(missed)
