"""The history of a virtual bench: what floated, moved or stayed on, change by change."""

from __future__ import annotations

import itertools
import math
from typing import Any

ZERO_V = 1e-9


def floated(
    changes: list[dict[str, Any]], *, above_v: float = -math.inf, up_to_v: float = math.inf
) -> list[str]:
    """Lines that floated at any time after an output was first switched on.

    Only while the largest voltage of an output was above ``above_v`` and no more than ``up_to_v``;
    it is 0 where all were at 0 V or off.
    """
    on = (n for n, c in enumerate(changes) if any(v is not None for v in c["outputs_v"].values()))
    return sorted(
        {
            line
            for change in changes[next(on, 0) :]
            for line in change["floating"]
            if above_v < max(abs(v or 0.0) for v in change["outputs_v"].values()) <= up_to_v
        }
    )


def hot_moves(changes: list[dict[str, Any]]) -> int:
    """Relay movements while an output was not at 0 V."""
    return sum(
        before["closed"] != after["closed"]
        and any(abs(v or 0.0) > ZERO_V for v in before["outputs_v"].values())
        for before, after in itertools.pairwise(changes)
    )


def off_after_s(changes: list[dict[str, Any]], began_s: float) -> float | None:
    """When the last output went off: seconds after the incident, or after what it followed."""
    off = [
        after["host_s"]
        for before, after in itertools.pairwise(changes)
        if any(
            v is None and before["outputs_v"][name] is not None
            for name, v in after["outputs_v"].items()
        )
    ]
    return off[-1] - began_s if off and began_s else None
