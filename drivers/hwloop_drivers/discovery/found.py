"""Findings of a survey of connected instruments."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Found:
    """An instrument that was found, or a place where one may be.

    ``identity``: its answer or its announcement; "" where nothing is known. ``drivers``: the kinds
    that accept this identity. ``near``: where none does, the settings with which one would, a line
    each. ``note``: why there is no identity.
    """

    address: str
    where: str
    name: str = ""
    identity: str = ""
    drivers: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    note: str = ""


@dataclass
class Survey:
    """Findings of a survey: instruments, places that were searched, places that could not be."""

    found: list[Found] = field(default_factory=list)
    looked: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
