"""Items that a step yields: rows of its tables, and its outcome."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias, TypeVar, get_type_hints

from hwloop.types import BoolArray


def column(unit: str, meaning: str) -> Any:
    """Return a field of a :class:`Row`, with its SI unit ("1": a plain number) and meaning."""
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
        """Return the path of the step's table in a record."""
        return "/".join(part for part in ("results", label, cls.table) if part)

    def headline(self) -> dict[str, str | float | int]:
        """Return the few figures that a progress line shows."""
        return {}

    def failed_cells(self) -> BoolArray | None:
        """Return the cells that failed by the step's own criterion, (..., rows, cols).

        None where the row does not judge cells.
        """
        return None

    def formed_cells(self) -> BoolArray | None:
        """Return the cells that a pulse of this row has formed, (..., rows, cols); None: none."""
        return None


R = TypeVar("R", bound=Row)


def blank_row(kind: type[R], **arrays: Any) -> R:
    """Return a row of these ``arrays``, and 0, false or no text in every other column."""
    kinds = get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]
    return kind(**{name: arrays[name] if name in arrays else kinds[name]() for name in names})


@dataclass(frozen=True)
class Outcome:
    """Result of a step, its last yield: whether it reached its aim, and a message that says why."""

    reached: bool
    message: str


Yield: TypeAlias = Row | Outcome
