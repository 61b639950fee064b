"""Rests between trials, and maps over cells as columns, for the steps of plasticity."""

from __future__ import annotations

from collections.abc import Callable

from hwloop.array.operations import Wait
from hwloop.array.settings import ArraySettings
from hwloop.backend.base import CrossbarBackend
from hwloop.steps.common.cells import Cells, chosen
from hwloop.steps.contract import PlannedOperation
from hwloop.types import FloatArray


def planned_rests(
    array: ArraySettings, cells: Cells | None, rest_s: float, each: int
) -> PlannedOperation:
    """Return the planned rests, ``each`` for a group of cells: at most one group a cell."""
    groups = int(chosen(cells, array.geometry.shape).sum())
    return PlannedOperation(Wait(rest_s), each * groups)


def says_groups(what: str, cells: Cells | None) -> Callable[[CrossbarBackend], str]:
    """Return a remark for a preview: ``what`` passes for each group of cells of the backend."""

    def remark(backend: CrossbarBackend) -> str:
        mask = chosen(cells, backend.description.geometry.shape)
        if sum(bool((group & mask).any()) for group in backend.groups()) == 1:
            return f"{what} pass once for all cells here, and are counted for each"
        return f"{what} pass once for each cell, one after the other"

    return remark


def flat(values: FloatArray) -> FloatArray:
    """Return maps (n, ..., rows, cols) as (n, cells)."""
    return values.reshape(len(values), -1)
