"""Names, units and metadata in the lines above a table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from hwloop.datasets.tables.cells import CellKind
from hwloop.datasets.tables.roles import COUNTERS, fits, role_of, unit_in_name
from hwloop.datasets.tables.text_layout import TextLayout, is_comment, split_fields
from hwloop.datasets.tables.units import unit_of
from hwloop.errors import ConfigError

_BLANKS = re.compile(r"\s{2,}|\t")
_MARKS = "#%!;/ \t"
_LOOK_BACK = 5  # comment lines between names and data, such as the shape of the data
_MOST_METADATA = 2000

Lines = Sequence[tuple[int, str]]


@dataclass(frozen=True)
class TableHeader:
    """Names and units of the columns, and the lines that hold neither.

    ``names``: empty where there are none. ``lines``: numbers of the lines they stand in. ``odd``:
    what looks like names but does not fit, for the user.
    """

    names: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    lines: tuple[int, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    odd: str = ""


def header_of(head: Lines, layout: TextLayout) -> TableHeader:
    """Return the header in the lines between the begin, or the table before, and the first row."""
    filled = [(number, text) for number, text in head if text.strip()]
    plain = [one for one in filled if not is_comment(one[1], layout.separator)]
    if filled and plain and filled[-1] == plain[-1]:
        _refuse_half_names(*plain[-1], layout)
    found = _from_lines(plain, layout, commented=False)
    odd = ""
    if found is None:
        odd = _oddity(plain, layout)
        comments = [one for one in filled if is_comment(one[1], layout.separator)]
        found = _from_comments(comments, layout)
    names, units, lines = found or ((), (), ())
    rest = [one for one in filled if one[0] not in lines]
    return TableHeader(names, units, lines, metadata_of(rest, layout.separator), odd)


def _refuse_half_names(number: int, text: str, layout: TextLayout) -> None:
    """Refuse a line right above the rows that may be a row with text in it, or names."""
    fields = layout.split(text)
    cells = [layout.style.parse(field) for field in fields]
    plain = any(cell.kind is CellKind.NUMBER and not cell.unit for cell in cells)
    if len(fields) != layout.fields or not plain:  # "1ms" is a name
        return
    odd = next((f for f, c in zip(fields, cells, strict=True) if c.kind is CellKind.TEXT), None)
    if odd is not None:
        raise ConfigError(
            f"{odd!r} stands among numbers: if the line is none of the table, leave it out with"
            f" --skip {number}",
            key=f"line {number}",
        )


_Found = tuple[tuple[str, ...], tuple[str, ...], tuple[int, ...]]


def _from_comments(comments: Lines, layout: TextLayout) -> _Found | None:
    for back in range(min(_LOOK_BACK, len(comments))):
        found = _from_lines(comments[: len(comments) - back], layout, commented=True)
        if found is not None:
            return found
    return None


def _from_lines(lines: Lines, layout: TextLayout, *, commented: bool) -> _Found | None:
    """Return names and units in the last one, two or three of ``lines``; None if they are none."""
    if not lines:
        return None
    last = _names_in(lines[-1][1], layout, commented=commented)
    if last is None:
        return None
    above = None if len(lines) < 2 else _names_in(lines[-2][1], layout, commented=commented)
    if above is not None and (_are_units(last) or _are_units_of(last, above)):
        names, units, numbers = above, last, [lines[-2][0], lines[-1][0]]
    elif _are_units(last):
        return ("",) * len(last), last, (lines[-1][0],)
    else:
        names, numbers, units = last, [lines[-1][0]], ("",) * len(last)
    groups = _groups(lines, numbers[0], layout, names) if not commented else None
    if groups is not None:
        names = tuple(f"{a} {b}".strip() for a, b in zip(groups, names, strict=True))
        above_number = [n for n, _ in lines if n < numbers[0]][-1]
        numbers = [above_number, *numbers]
    return names, units, tuple(numbers)


def _names_in(text: str, layout: TextLayout, *, commented: bool) -> tuple[str, ...] | None:
    """Return a name for each field of a row; None if the line does not hold so many."""
    spellings = [text]
    if commented:
        marks = _MARKS if layout.separator != "\t" else "#%!;/ "
        spellings = [text.lstrip(marks), text.lstrip()[1:]]
        if text.lstrip().startswith("#") and layout.separator != " ":
            spellings.append(text)  # "#,Time,V": the mark is the name of a counter
    for spelling in spellings:
        names = _fitting(split_fields(spelling, layout.separator), layout)
        if names is not None and not (commented and _is_remark(names, spelling)):
            return names
    apart = _BLANKS.split(spellings[0].strip())  # names with a unit after a blank
    names = _fitting(apart, layout) if layout.separator == " " else None
    if names is not None and layout.fields > 1 and any(role_of(*unit_in_name(n)) for n in names):
        return names
    for separator in ("\t", ";", ",", " "):  # names between blanks above rows between tabs
        names = _fitting(split_fields(spellings[0], separator), layout)
        if names is not None and layout.fields > 1 and _all_known(names):
            return names
    return _doubled(split_fields(spellings[0], layout.separator), layout)


def _doubled(fields: list[str], layout: TextLayout) -> tuple[str, ...] | None:
    """Return as many names as there are values, between separators that are doubled."""
    if layout.separator == " " or layout.fields < 2 or any(fields[1::2]):
        return None
    names = [field for field in fields[::2] if field]
    found = _fitting(names, layout) if len(names) == layout.fields else None
    return found if found is not None and _two_known(found) else None


def _all_known(names: Sequence[str]) -> bool:
    """Return whether every name is that of a quantity, and two of them are measured."""
    return all(role_of(*unit_in_name(name)) for name in names) and _two_known(names)


def _two_known(names: Sequence[str]) -> bool:
    """Return whether two of the names are those of measured quantities."""
    return sum(role_of(*unit_in_name(name)) not in ("", *COUNTERS) for name in names) >= 2


def _fitting(fields: list[str], layout: TextLayout) -> tuple[str, ...] | None:
    count = layout.fields
    last_is_spare = layout.trailing or fields[-1].casefold() in ("", "comment")
    if len(fields) == count + 1 and last_is_spare:
        fields = fields[:-1]
    if len(fields) != count:
        return None
    kinds = [layout.style.parse(field).kind for field in fields]
    if not any(kind is CellKind.TEXT for kind in kinds):
        return None
    if sum(bool(field) for field in fields) * 2 < count:
        return None  # a title in the first field of a line that a spreadsheet has padded
    return tuple(fields)


def _is_remark(names: Sequence[str], text: str) -> bool:
    """Return whether a comment is a setting or a sentence, not names of columns."""
    if any("=" in name or ": " in name or name.endswith(":") for name in names):
        return True
    if len(names) > 1:
        return False
    return not role_of(*unit_in_name(names[0])) or len(text.split()) > 4


def _are_units(fields: Sequence[str]) -> bool:
    """Return whether every filled field is a unit, and one has a dimension."""
    units = [unit_of(field) for field in fields if field]
    known = [unit for unit in units if unit is not None]
    return len(known) == len(units) and any(unit.dimension != "1" for unit in known)


def _are_units_of(fields: Sequence[str], names: Sequence[str]) -> bool:
    """Return whether fields below names are units, though some are not known.

    One is a unit of the quantity that is named above it, and none names a quantity itself.
    """
    fitting = False
    for text, name in zip(fields, names, strict=True):
        unit = unit_of(text) if text else None
        if unit is None and text and role_of(*unit_in_name(text)):
            return False
        if unit is not None and unit.dimension not in ("1", "?"):
            role = role_of(name, None)
            fitting |= bool(role) and fits(role, unit)
    return fitting


def _groups(
    lines: Lines, before: int, layout: TextLayout, names: Sequence[str]
) -> list[str] | None:
    """Return what stands above names that repeat, each over the columns that it spans."""
    above = [text for number, text in lines if number < before]
    if len(set(names)) == len(names) or not above:
        return None
    fields = split_fields(above[-1], layout.separator)
    if len(fields) < len(names) - 1 or sum(bool(field) for field in fields) < 2:
        return None
    fields = [*fields, "", ""][: len(names)]
    filled: list[str] = []
    for group in fields:
        filled.append(group or (filled[-1] if filled else ""))
    return filled


def _oddity(plain: Lines, layout: TextLayout) -> str:
    if not plain or layout.fields == 1:
        return ""
    number, text = plain[-1]
    count = len(split_fields(text, layout.separator))
    if count < 2 or count == layout.fields:
        return ""
    return f"line {number} has {count} names, but the rows below have {layout.fields} values"


def metadata_of(lines: Lines, separator: str) -> dict[str, str]:
    """Return lines by key: "key: value", "key=value", or two fields; others by their number."""
    found: dict[str, str] = {}
    for number, text in lines[:_MOST_METADATA]:
        stripped = text.strip().lstrip(_MARKS).strip()
        if not stripped:
            continue
        key, value = _pair(stripped, separator)
        key = key if key and key not in found else f"line {number}"
        found[key] = value or stripped
    return found


def _pair(text: str, separator: str) -> tuple[str, str]:
    for sign in (": ", "=", ":", "\t", separator if separator != " " else ": "):
        key, found, value = text.partition(sign)
        if found and 0 < len(key.strip()) <= 60:
            return key.strip().strip('"'), value.strip().strip('"')
    return "", ""
