"""What a step is: a generator over an array, its settings, its rows and its plan."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeAlias, TypeVar

from hwloop.array.operations import BoolArray, Operation
from hwloop.array.settings import Array, ArraySettings
from hwloop.settings.model import Settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from hwloop.record.reader import Record

S = TypeVar("S", bound=Settings)


def column(unit: str, meaning: str) -> Any:
    """A field of a :class:`Row`, with its SI unit ("1" for a plain number) and its meaning."""
    return dataclasses.field(metadata={"unit": unit, "meaning": meaning})


@dataclass(frozen=True, eq=False)
class Row:
    """A result that a step yields: a frozen dataclass whose fields are :func:`column`.

    ``table``: where its columns stand below ``/results/<step>``; "" for the step's main table.
    """

    table: ClassVar[str] = ""

    def columns(self) -> dict[str, Any]:
        """Name → value, in order."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @classmethod
    def describe(cls) -> dict[str, Mapping[str, str]]:
        """Name → {unit, meaning}, in order."""
        return {
            field.name: {str(k): str(v) for k, v in field.metadata.items()}
            for field in dataclasses.fields(cls)
        }

    @classmethod
    def place(cls, label: str) -> str:
        """Where the table of the step ``label`` stands in a record."""
        return "/".join(part for part in ("results", label, cls.table) if part)

    def headline(self) -> dict[str, str | float | int]:
        """The few figures that a progress line shows."""
        return {}

    def failed_cells(self) -> BoolArray | None:
        """Cells that did not reach what the step wanted of them, (..., rows, cols).

        None where the row does not judge cells.
        """
        return None


@dataclass(frozen=True)
class Outcome:
    """How a step ended, as its last yield: whether it reached its aim, and in words."""

    reached: bool
    words: str


Yield: TypeAlias = Row | Outcome


@dataclass(frozen=True)
class PlannedOperation:
    """An operation at its worst case, and how often it is done at most."""

    operation: Operation
    at_most: int


@dataclass(frozen=True)
class Plan:
    """What a step may do at most: its operations and the rows of its main table.

    ``by_group``: the rows are for each group of cells that the backend addresses at once.
    ``pulses_per_cell``: that a cell gets at most, where that is less than all pulses together.
    """

    operations: Sequence[PlannedOperation]
    rows: int
    by_group: bool = False
    pulses_per_cell: int | None = None


@dataclass(frozen=True)
class NamedFigure:
    """A figure of a report: file name without suffix, title, and what it shows."""

    name: str
    title: str
    caption: str
    figure: Figure


@dataclass(frozen=True)
class Step(Generic[S]):
    """A step as it stands in the entry point group ``hwloop.steps``.

    ``plan`` raises :class:`hwloop.errors.ConfigError` where settings and array do not fit.
    ``figures`` draws the step's results from a record, for the report. ``tables``: for an array of
    a shape (..., rows, cols), a row of each table that the step fills, of any values; the record
    makes these tables at its begin, where they cost no copy of what was measured by then.
    """

    name: str
    summary: str
    settings: type[S]
    run: Callable[[S, Array], Iterator[Yield]]
    plan: Callable[[S, ArraySettings], Plan]
    figures: Callable[[Record, str], Iterator[NamedFigure]] | None = None
    tables: Callable[[tuple[int, ...]], Sequence[Row]] | None = None

    def __call__(self, settings: S, array: Array) -> Iterator[Yield]:
        """Run the step: hardware is called, results are yielded."""
        return self.run(settings, array)
