"""Options of the user on a table: separator, decimal mark, sheet, columns and units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hwloop.datasets.tables.roles import DIMENSIONS
from hwloop.datasets.tables.units import unit_of
from hwloop.errors import ConfigError
from hwloop.messages import nearest

SEPARATORS = {
    ",": ",", ";": ";", "\t": "\t", " ": " ",
    "comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "blank": " ", "blanks": " ",
    "space": " ",
}  # fmt: skip
"""Words for the separators of fields, and the separator that each means."""


@dataclass(frozen=True, kw_only=True)
class TableOptions:
    """Decisions of the user, each of which overrides what would be recognised.

    ``separator``, ``decimal``, ``thousands``: "" if they are to be recognised; thousands are never
    guessed. ``skip``: lines left out at the begin. ``sheet``, ``table``: name or number, counted
    from 1. ``columns``: pairs of a role and the column that has it, by name or by number counted
    from 1. ``units``: role → unit. Raises :class:`ConfigError` with the option and what is allowed.
    """

    separator: str = ""
    decimal: str = ""
    thousands: str = ""
    skip: int = 0
    sheet: str = ""
    table: str = ""
    columns: tuple[tuple[str, str], ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.separator and self.separator not in SEPARATORS:
            raise ConfigError(
                f"{self.separator!r}: expected one of , ; tab blanks", key="--separator"
            )
        for key, mark in (("--decimal", self.decimal), ("--thousands", self.thousands)):
            if mark and mark not in (".", ",", *(("'", " ") if key == "--thousands" else ())):
                raise ConfigError(f"{mark!r}: expected . or ,", key=key)
        if self.thousands and self.thousands == (self.decimal or "."):
            raise ConfigError(
                f"{self.thousands!r} is the decimal mark as well; give --decimal", key="--thousands"
            )
        if self.skip < 0:
            raise ConfigError(f"{self.skip}: expected 0 or more", key="--skip")
        for role, _ in self.columns:
            _check_role(role, "--column")
        for role, unit in self.units.items():
            _check_role(role, "--unit")
            found = unit_of(unit)
            if found is None or found.dimension != DIMENSIONS[role]:
                raise ConfigError(
                    f"{unit!r} is no unit of {role}; expected one of {DIMENSIONS[role]}, with a"
                    " prefix or without",
                    key="--unit",
                )


def _check_role(role: str, key: str) -> None:
    if role not in DIMENSIONS:
        raise ConfigError(f"{role!r} is no quantity{nearest(role, DIMENSIONS)}", key=key)


def pairs(
    texts: Iterable[str], key: str, *, form: str = "QUANTITY=VALUE"
) -> tuple[tuple[str, str], ...]:
    """Return the parts of texts such as ``voltage_v=AV``; ConfigError for one without "="."""
    found = []
    for text in texts:
        role, sign, value = text.partition("=")
        if not sign or not role.strip():
            raise ConfigError(f"{text!r}: expected {form}", key=key)
        found.append((role.strip(), value))
    return tuple(found)
