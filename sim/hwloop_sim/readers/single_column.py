"""One column of conductances or resistances, one value per pulse, under a header with the unit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path

import numpy as np

from hwloop.datasets.importing import Extract, Reader, fault, finite_number, first_lines, text_lines
from hwloop.errors import ConfigError
from hwloop.messages import nearest

_SCALE = {"": 0, "n": -9, "u": -6, "m": -3, "k": 3, "M": 6}
_CONDUCTANCE = {f"{prefix}S": _SCALE[prefix] for prefix in ("", "m", "u", "n")}
_RESISTANCE = {f"{prefix}Ohm": _SCALE[prefix] for prefix in ("", "k", "M")}
_UNITS = (*_CONDUCTANCE, *_RESISTANCE)
_HEADER = re.compile(r"\s*\"?\s*(\w[\w ]*?)\s*[\(\[]\s*([^\)\]]+?)\s*[\)\]]\s*\"?\s*$")


def recognises(path: Path) -> bool:
    """Return whether each line is one number, after at most one header line."""
    lines = first_lines(path, 2)
    return bool(lines) and (_is_number(lines[-1]) or _unit_in(lines[0]) is not None)


def read(path: Path, options: Mapping[str, str]) -> Extract:
    """Return the values in siemens; resistances are inverted, which the messages state.

    Raises :class:`ConfigError` with file, line, value and what was expected.
    """
    lines = [(n, text.strip()) for n, text in enumerate(text_lines(path), start=1)]
    filled = [(n, text) for n, text in lines if text]
    if not filled:
        raise ConfigError("holds no values", file=str(path))
    header = None if _is_number(filled[0][1]) else filled[0]
    unit = _unit(path, header, options.get("unit"))
    values = filled if header is None else filled[1:]
    columns = {"conductance_s": np.array(list(_conductances(path, values, unit)))}
    blank = values[-1][0] - values[0][0] + 1 - len(values) if values else 0
    messages = list(_messages(header, unit, len(values), blank))
    return Extract("trains", columns, {}, messages)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _unit_in(header: str) -> str | None:
    match = _HEADER.match(header)
    return None if match is None else _spelled(match.group(2))


def _spelled(unit: str) -> str | None:
    """Return the unit as this module spells it; None if it is unknown."""
    plain = unit.strip().replace("µ", "u").replace("μ", "u")
    plain = plain.replace("Ω", "Ohm").replace("Ω", "Ohm").replace("ohm", "Ohm")
    return plain if plain in _UNITS else None


def _unit(path: Path, header: tuple[int, str] | None, given: str | None) -> str:
    wanted = None if given is None else _spelled(given)
    if given is not None and wanted is None:
        raise ConfigError(f"{given!r} is no known unit{nearest(given, _UNITS)}", key="unit")
    stated = None if header is None else _unit_in(header[1])
    if wanted and stated and wanted != stated:
        raise ConfigError(f"{given!r}: the file's own header says {stated}", key="unit")
    unit = wanted or stated
    if unit is None and header is None:
        raise ConfigError(
            f"has no header with a unit; give it as unit=S (or {', '.join(_UNITS[1:])})",
            file=str(path),
        )
    if unit is None:
        line, text = header  # type: ignore[misc]  # the case without one is above
        raise fault(
            path, line, f"header {text!r}", "a unit, such as Conductance(S) or Resistance(kOhm)"
        )
    return unit


def _conductances(path: Path, values: list[tuple[int, str]], unit: str) -> Iterator[float]:
    inverted = unit in _RESISTANCE
    power = (_RESISTANCE if inverted else _CONDUCTANCE)[unit]
    what = "resistance" if inverted else "conductance"
    for line, text in values:
        if finite_number(text, path, line, what) <= 0:
            raise fault(path, line, f"{what} {text} {unit}", "a value above 0")
        # In decimal, so that 454.48 nS becomes exactly 454.48e-9.
        value = float(Decimal(text).scaleb(power))
        yield 1.0 / value if inverted else value


def _messages(header: tuple[int, str] | None, unit: str, count: int, blank: int) -> Iterator[str]:
    yield f"{count} values in {unit} {'as given' if header is None else f'under {header[1]!r}'}"
    if unit in _RESISTANCE:
        yield "resistances: each was inverted to a conductance"
    if blank:
        yield f"{blank} blank {'line' if blank == 1 else 'lines'} between the values left out"
    yield "no value was dropped"


SINGLE_COLUMN = Reader(
    name="single_column",
    summary="one column of conductances or resistances, its unit in the header",
    recognises=recognises,
    read=read,
    options={"unit": f"of a file without header: {', '.join(_UNITS)}"},
)
