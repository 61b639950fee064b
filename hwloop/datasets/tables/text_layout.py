"""Layout of a table in text: what separates fields, the decimal mark, and which columns are text.

Every combination is tried on the begin of the file; the one that explains most cells as numbers is
taken. What would change numbers and cannot be told is refused with the option that decides it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hwloop.datasets.tables.cells import CellKind, NumberStyle
from hwloop.datasets.tables.options import SEPARATORS, TableOptions
from hwloop.errors import ConfigError

_ORDER = ("\t", ";", ",", " ")
_WORDS = {"\t": "tabs", ";": "semicolons", ",": "commas", " ": "blanks"}
_COMMENTS = ("#", "%", "!", "//")
_NO_COMMENTS = re.compile(r"#(REF|N/A|VALUE|DIV|NUM|NAME)", re.IGNORECASE)
_THREE_DIGITS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}$")
_DIGITS = re.compile(r"[+-]?\d+$")
_FRACTION = re.compile(r"\d+([eEdD][+-]?\d+|[+-]\d{3})?$")
_TWO_NUMBERS = re.compile(r"\d\s*[;\t]\s*[+-]?\d")
_WINDOWS = (100, 1000, 20000)
_MOST_CHARACTERS = 2**20


@dataclass(frozen=True)
class TextLayout:
    """Layout of the rows of a table: ``fields`` in a row, of which some are text.

    ``trailing``: a separator stands at the end of every row.
    """

    separator: str
    style: NumberStyle
    fields: int
    text_columns: frozenset[int]
    trailing: bool = False

    def split(self, line: str) -> list[str]:
        """Return the fields of a line without the blanks around them."""
        fields = split_fields(line, self.separator)
        if self.trailing and len(fields) == self.fields + 1 and not fields[-1]:
            fields.pop()
        return fields

    def is_comment(self, line: str) -> bool:
        """Return whether a line is a comment."""
        return is_comment(line, self.separator)

    def described(self) -> str:
        """Return the layout in words."""
        decimal = ", decimal comma" if self.style.decimal == "," else ""
        many = "" if self.fields == 1 else f"fields between {_WORDS[self.separator]}"
        return (many or "one number a line") + decimal


def split_fields(line: str, separator: str) -> list[str]:
    """Return the fields of a line without the blanks and quotation marks around them."""
    if separator == " " and '"' not in line:
        return line.split()
    if '"' in line:
        try:
            fields = next(csv.reader([line.strip(" ")], delimiter=separator, skipinitialspace=True))
        except (csv.Error, StopIteration):
            fields = line.split(separator)
        return [field.strip() for field in fields]
    return [field.strip() for field in line.split(separator)]


def is_comment(line: str, separator: str) -> bool:
    """Return whether a line begins with a mark of comments; a semicolon unless it separates."""
    start = line.lstrip(" ")
    if start.startswith(";") and separator != ";":
        return True
    return start.startswith(_COMMENTS) and _NO_COMMENTS.match(start) is None


def layout_of(lines: Sequence[str], options: TableOptions, path: Path) -> TextLayout | None:
    """Return the layout of the table in the first lines of a file; None if there is no number.

    Raises :class:`ConfigError` where a comma may be a decimal mark, or one of thousands, or a
    separator.
    """
    for window in _WINDOWS:
        seen = _bounded(lines[:window])
        scored = list(_scored(seen, options))
        found = max(scored, key=lambda one: (one[0], one[1].fields), default=None)
        if found is not None and found[1].separator == " ":
            found = next((one for one in scored if _divides_all(one[1], seen)), found)
        enough = found is not None and found[2] >= 3
        if found is not None and (enough or window >= len(lines) or window == _WINDOWS[-1]):
            _refuse_ambiguous(seen, found[1], options, path)
            return found[1]
        if window >= len(lines):
            return None
    return None


def _divides_all(layout: TextLayout, lines: Sequence[str]) -> bool:
    """Return whether a mark divides every row, and the names above, into as many fields.

    Blanks within names and cells, as in "Time (s),G (uS)" and "0,5 +/- 1", are then no separators.
    """
    if layout.separator == " " or layout.fields < 2:
        return False
    rows = [line for line in lines if line.strip() and not is_comment(line, layout.separator)]
    texts = [line for line in rows if not any(one.isdecimal() for one in line)]
    counts = {len(_trimmed(split_fields(line, layout.separator))) for line in rows}
    return bool(texts) and counts == {layout.fields}


def _trimmed(fields: list[str]) -> list[str]:
    """Return the fields without the empty ones at the end."""
    last = max((i for i, one in enumerate(fields) if one), default=-1)
    return fields[: last + 1]


def _bounded(lines: Sequence[str]) -> list[str]:
    kept: list[str] = []
    count = 0
    for line in lines:
        count += len(line)
        if kept and count > _MOST_CHARACTERS:
            break
        kept.append(line)
    return kept


def _scored(lines: Sequence[str], options: TableOptions) -> Iterator[tuple[float, TextLayout, int]]:
    """Yield score, layout and rows of the best group of lines of each combination."""
    separators = (SEPARATORS[options.separator],) if options.separator else _ORDER
    for place, separator in enumerate(separators):
        # Split at semicolons, a file without any is one number a line.
        if not options.separator and separator != ";" and not any(separator in x for x in lines):
            continue
        for decimal in (options.decimal,) if options.decimal else (".", ","):
            # Between commas a decimal comma stands in quotation marks.
            if decimal == separator and not any('"' in line for line in lines):
                continue
            style = NumberStyle(decimal, options.thousands)
            best = _best_group(lines, separator, style)
            if best is not None:
                score, layout, rows = best
                yield score - 1e-6 * (place + 0.5 * (decimal == ",")), layout, rows


def _best_group(
    lines: Sequence[str], separator: str, style: NumberStyle
) -> tuple[float, TextLayout, int] | None:
    groups: dict[tuple[int, frozenset[int]], list[int]] = {}
    filled_last: set[tuple[int, frozenset[int]]] = set()
    joined: dict[tuple[int, frozenset[int]], int] = {}
    dashed: dict[tuple[int, frozenset[int]], set[int]] = {}
    for fields, kinds in _rows_of_numbers(lines, separator, style):
        numbers = sum(kind in (CellKind.NUMBER, CellKind.OVER) for kind in kinds)
        texts = frozenset(i for i, kind in enumerate(kinds) if kind is CellKind.TEXT)
        groups.setdefault((len(kinds), texts), []).append(numbers)
        dashes = {i for i, field in enumerate(fields) if field == "-"}
        dashed[len(kinds), texts] = dashed.get((len(kinds), texts), dashes) & dashes
        if fields[-1]:
            filled_last.add((len(kinds), texts))
        if any(_TWO_NUMBERS.search(fields[place]) for place in texts):
            joined[len(kinds), texts] = joined.get((len(kinds), texts), 0) + 1
    if not groups:
        return None
    _join_words_and_dashes(groups, dashed)

    def score(key: tuple[int, frozenset[int]]) -> float:
        # A cell with two numbers in it was split at the wrong place: "5;1" of 1.234,5;1,2.
        wrong = sum(groups[key]) * joined.get(key, 0) / len(groups[key])
        return sum(groups[key]) - 0.75 * len(key[1]) * len(groups[key]) - wrong

    best = max(groups, key=score)
    trailing = best not in filled_last and best[0] > 1
    layout = TextLayout(separator, style, best[0] - trailing, best[1], trailing)
    return score(best), layout, len(groups[best])


def _rows_of_numbers(
    lines: Sequence[str], separator: str, style: NumberStyle
) -> list[tuple[list[str], list[CellKind]]]:
    """Return fields and their kinds of the lines that hold a number.

    Empty fields at the end are left out where rows are filled up to unlike lengths.
    """
    rows = []
    for line in lines:
        if line.strip() and not is_comment(line, separator):
            fields = split_fields(line, separator)
            kinds = [style.parse(field).kind for field in fields]
            if CellKind.NUMBER in kinds or CellKind.OVER in kinds:
                rows.append((fields, kinds))
    short = [_trimmed(fields) for fields, _ in rows]
    if len(set(map(len, short))) >= len({len(fields) for fields, _ in rows}):
        return rows
    return [(one, kinds[: len(one)]) for one, (_, kinds) in zip(short, rows, strict=True)]


def _join_words_and_dashes(
    groups: dict[tuple[int, frozenset[int]], list[int]],
    dashed: Mapping[tuple[int, frozenset[int]], set[int]],
) -> None:
    """Join rows with a dash to those with a word in the same columns.

    So that a column of polarities, ``+`` and ``-``, is one of words in all rows.
    """
    for fewer in sorted(groups, key=lambda one: len(one[1])):
        for more in sorted(groups, key=lambda one: (len(one[1]), sorted(one[1]))):
            further = more[1] - fewer[1]
            if more[0] == fewer[0] and fewer[1] < more[1] and further <= dashed[fewer]:
                groups[more] += groups.pop(fewer)
                break


def _refuse_ambiguous(
    lines: Sequence[str], layout: TextLayout, options: TableOptions, path: Path
) -> None:
    rows = [
        (number, line)
        for number, line in enumerate(lines, start=options.skip + 1)
        if line.strip() and not is_comment(line, layout.separator)
    ]
    if layout.style.decimal == "," and not options.decimal:
        _refuse_thousands(rows, layout, path)
    if layout.separator == "," and not options.separator and not options.decimal:
        _refuse_unclear_separator(rows, layout, path)


def _refuse_thousands(rows: Sequence[tuple[int, str]], layout: TextLayout, path: Path) -> None:
    """Refuse numbers that all may be thousands: "1,234" between semicolons."""
    first = None
    for number, line in rows:
        fields = layout.split(line)
        if len(fields) != layout.fields:
            continue
        for field in fields:
            if "," not in field or layout.style.parse(field).kind is CellKind.TEXT:
                continue
            if _THREE_DIGITS.match(field) is None:
                return
            first = first or (number, field)
    if first is not None:
        raise ConfigError(
            f"{first[1]!r} may be a decimal number or thousands; give --decimal , or --thousands ,",
            key=f"line {first[0]}",
            file=str(path),
        )


def _refuse_unclear_separator(
    rows: Sequence[tuple[int, str]], layout: TextLayout, path: Path
) -> None:
    """Refuse rows such as "1,25", which are two whole numbers or one with a decimal comma."""
    header, first = 0, None
    for number, line in rows:
        fields = layout.split(line)
        kinds = [layout.style.parse(field).kind for field in fields]
        if CellKind.TEXT in kinds:
            setting = "=" in line or ":" in line or CellKind.NUMBER in kinds
            header = header if first is not None else 0 if setting else len(fields)
            continue
        if len(fields) != layout.fields or layout.fields % 2:
            continue
        wholes, fractions = fields[::2], fields[1::2]
        pairs = all(map(_DIGITS.match, wholes)) and all(map(_FRACTION.match, fractions))
        if not pairs:
            return
        first = first or (number, line)
    if first is not None and header != layout.fields:
        raise ConfigError(
            f"{first[1].strip()[:40]!r} may be {layout.fields} whole numbers, or"
            f" {layout.fields // 2} with a decimal comma; give --separator , or --decimal ,",
            key=f"line {first[0]}",
            file=str(path),
        )
