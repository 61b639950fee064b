"""The contract of a step: a generator over an array, its settings, rows and plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Generic, TypeVar

from hwloop.array.blocks import BlockBatch
from hwloop.array.operations import Operation
from hwloop.array.settings import ArraySettings
from hwloop.backend.base import CrossbarBackend, Description
from hwloop.errors import StepError
from hwloop.settings.model import Settings
from hwloop.steps.array import Array
from hwloop.steps.rows import Row, Yield

S = TypeVar("S", bound=Settings)


@dataclass(frozen=True)
class PlannedOperation:
    """Operation at its worst case, and its highest count."""

    operation: Operation
    at_most: int


@dataclass(frozen=True)
class PlannedBatch:
    """Multiplication by blocks just as it will be made ``count`` times.

    ``batch``: the same of one sample of one array, of which a record keeps what ``batch.keep``
    says; its layout has at least the length of theirs. ``samples``: vectors or images of each.
    ``outer``: axes of the voltages in front of these.
    """

    batch: BlockBatch
    samples: int
    count: int
    outer: tuple[int, ...] = ()


@dataclass(frozen=True)
class Foreseen:
    """Batches that a step is going to make, and a row of each table with how many come at most."""

    batches: Sequence[PlannedBatch]
    tables: Sequence[tuple[Row, int]]


@dataclass(frozen=True)
class Plan:
    """Upper bounds of a step: its operations and the rows of its main table.

    ``by_group``: the rows are for each group of cells that the backend addresses at once.
    ``pulses_per_cell``: that a cell gets at most, where that is less than all pulses together.
    ``any_cell``: the cells of the maps are examples, and others may get the pulses as well.
    ``leaves``: what the step will leave for later steps, by its class, as far as it is known before
    the run; None: something that is not known yet. ``remark``: what a preview on a backend says
    besides. ``foreseen``: of a backend, what the record makes room for at its begin besides
    ``operations``: a table or a batch that was not foreseen costs a copy of what stands in the
    record by then.
    """

    operations: Sequence[PlannedOperation]
    rows: int
    by_group: bool = False
    pulses_per_cell: int | None = None
    any_cell: bool = False
    leaves: Mapping[type, object] = field(default_factory=dict)
    remark: Callable[[CrossbarBackend], str] | None = None
    foreseen: Callable[[Description], Foreseen] | None = None


@dataclass(frozen=True)
class Step(Generic[S]):
    """A step as it stands in the entry point group ``hwloop.steps``.

    ``plan`` raises :class:`hwloop.errors.ConfigError` where settings and array do not fit.
    ``plan_after``: takes in addition what the plans of the steps before leave, and a
    procedure asks it in place of ``plan``.
    ``figures``: ``package.module:function`` that draws the step's results from a record.
    ``measured``: ``package.module:function`` that yields, of a record and the label of the step,
    kinds and columns as :class:`hwloop.datasets.measurement.Measurement` has them, by which the
    results are compared with an import.
    ``tables``: for settings and an array of a shape (..., rows, cols), a row of each table that the
    step fills, of any values; the record makes these tables at its begin, where they cost no copy
    of what was measured by then.
    ``libraries``: modules that it imports while it runs; a run loads them before it touches an
    instrument, so that none fails to load while a level stands.

    For example, a step that only waits, registered as ``pause = "lab_steps.pause:PAUSE"``::

        def run(settings: PauseSettings, array: Array) -> Iterator[Yield]:
            array.clock.sleep(settings.wait_s)
            yield PauseRow(time_s=array.clock.now_s())
            yield Outcome(True, "waited")


        def plan(settings: PauseSettings, array: ArraySettings) -> Plan:
            return Plan([PlannedOperation(Wait(settings.wait_s), 1)], rows=1)


        PAUSE = Step("pause", "Let time pass", PauseSettings, run, plan)
    """

    name: str
    summary: str
    settings: type[S]
    run: Callable[[S, Array], Iterator[Yield]]
    plan: Callable[[S, ArraySettings], Plan]
    figures: str = ""
    measured: str = ""
    tables: Callable[[S, tuple[int, ...]], Sequence[Row]] | None = None
    libraries: tuple[str, ...] = ()
    plan_after: Callable[[S, ArraySettings, Mapping[type, object]], Plan] | None = None

    def load_libraries(self) -> None:
        """Import what the step needs; raise :class:`hwloop.errors.StepError` where that fails."""
        for library in self.libraries:
            try:
                import_module(library)
            except (ImportError, MemoryError, OSError) as exc:
                raise StepError(f"{self.name}: cannot load {library} ({exc})") from exc

    def __call__(self, settings: S, array: Array) -> Iterator[Yield]:
        """Run the step: hardware is called, results are yielded."""
        return self.run(settings, array)
