"""The contract of a step: a generator that calls the array and yields rows.

A step of your own is one function and a :class:`Step` under the entry point group ``hwloop.steps``.
The folders beside this file hold the steps that ship, one a file.
"""

from hwloop.steps.array import Array
from hwloop.steps.clock import Clock
from hwloop.steps.contract import Plan, PlannedOperation, Step
from hwloop.steps.rows import Outcome, Row, Yield, column

__all__ = [
    "Array",
    "Clock",
    "Outcome",
    "Plan",
    "PlannedOperation",
    "Row",
    "Step",
    "Yield",
    "column",
]
