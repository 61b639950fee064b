"""Steps of a simulator's export become one table, with the number of the step in each row.

LTspice writes the runs of ``.step`` below each other, each after a line of its parameters, such as
``Step Information: R=10K  (Run: 1/3)`` (LTspice help, "Export waveform data").
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hwloop.datasets.tables.table import CellFault, DataTable, TableColumn

STEP_LINE = "Step Information:"
STEPS = "steps"
"""Key of the parameters of all steps in the metadata of a joined table."""

_NAME = "Step"


def parameters_of(line: str) -> str:
    """Return the parameters in a line of a step, such as "R=10K"."""
    return " ".join(line.removeprefix(STEP_LINE).partition("(Run:")[0].split())


def joined_steps(tables: Sequence[DataTable], parameters: Sequence[str]) -> DataTable | None:
    """Return one table of all steps, numbered from 0; None where their columns differ.

    ``parameters``: of each step; they are kept in the metadata under :data:`STEPS`.
    """
    first = tables[0]
    shapes = {tuple((one.label, one.unit, one.role) for one in table.columns) for table in tables}
    if len(tables) != len(parameters) or len(shapes) > 1:
        return None
    begins = np.concatenate([[0], np.cumsum([table.rows for table in tables])]).tolist()
    columns = [
        _joined([table.columns[place] for table in tables], begins)
        for place in range(len(first.columns))
    ]
    steps = np.repeat(np.arange(float(len(tables))), [table.rows for table in tables])
    columns.append(TableColumn(name=_NAME, label=_NAME, values=steps, role="train"))

    def place_of(row: int) -> str:
        step = bisect.bisect_right(begins, row, hi=len(tables)) - 1
        return tables[step].place_of(row - begins[step])

    told = "; ".join(f"{number}: {text}" for number, text in enumerate(parameters))
    return replace(
        first,
        columns=tuple(columns),
        metadata={**first.metadata, STEPS: told},
        recognised=f"{first.recognised}, and {len(tables) - 1} further steps below",
        notes=tuple(dict.fromkeys(note for table in tables for note in table.notes)),
        place_of=place_of,
    )


def _joined(parts: Sequence[TableColumn], begins: Sequence[int]) -> TableColumn:
    """Return the rows of one column in all steps; ``begins``: first row of each step."""
    faults = [
        CellFault(fault.row + begin, fault.text, fault.expected, fault.is_over_range)
        for part, begin in zip(parts, begins, strict=False)
        for fault in part.faults
    ]
    texts = [text for part in parts for text in part.texts or ()]
    return replace(
        parts[0],
        values=np.concatenate([part.values for part in parts]),
        texts=texts if parts[0].is_text else None,
        missing=sum(part.missing for part in parts),
        faults=tuple(faults[:5]),
        fault_count=sum(part.fault_count for part in parts),
        over_count=sum(part.over_count for part in parts),
    )
