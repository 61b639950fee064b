"""Origin of a run's numbers: a physical array, or a model of one."""

from __future__ import annotations

from typing import Literal, get_args

Origin = Literal["measured", "emulated", "replayed, measured", "replayed, emulated", "not recorded"]
"""Measured on a physical array, or computed by a model, as behind every virtual station; or
answered from the record of a run whose numbers were one or the other. Records of older versions
say neither."""

_REPLAYED: dict[str, Origin] = {
    "measured": "replayed, measured",
    "emulated": "replayed, emulated",
    "replayed, measured": "replayed, measured",
    "replayed, emulated": "replayed, emulated",
}


def replayed(origin: Origin) -> Origin:
    """Return the origin of a replay of a record of ``origin``."""
    return _REPLAYED.get(origin, "not recorded")


def recorded_origin(value: object) -> Origin:
    """Return the origin that a record holds; "not recorded" for what is none."""
    known: dict[object, Origin] = {one: one for one in get_args(Origin)}
    return known.get(value, "not recorded")
