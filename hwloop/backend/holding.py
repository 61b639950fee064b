"""Refuse to set cells without a pulse on an array that cannot."""

from __future__ import annotations

from hwloop.array.operations import Hold, Operation
from hwloop.errors import Unsupported

CANNOT_HOLD = (
    "cells are set to conductances only in emulation; on an array program them by program_verify"
)
"""The refusal of a :class:`~hwloop.array.operations.Hold`."""


def refuse_hold(operation: Operation, *, holds: bool) -> None:
    """Raise :class:`Unsupported` for a hold where the cells cannot be set without a pulse."""
    if isinstance(operation, Hold) and not holds:
        raise Unsupported(CANNOT_HOLD)
