"""Records and imports of folders, chosen by conditions and sorted, with facts about each."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hwloop.catalogue.conditions import LISTS, Condition
from hwloop.catalogue.facts import ATTRIBUTES, Value
from hwloop.catalogue.files import FoundFile, files_in
from hwloop.catalogue.index import Index, index_path
from hwloop.catalogue.reading import read_facts
from hwloop.errors import ConfigError
from hwloop.file_lock import is_held, lock_file
from hwloop.messages import nearest

ALWAYS = (*ATTRIBUTES.values(), "operations", "duration_s", "outcome", "reached", *LISTS)
"""Names that may be asked for where no record has them."""

_KEPT_AT_ONCE = 1000
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}

T = TypeVar("T")


@dataclass(frozen=True)
class CatalogueQuery:
    """CatalogueQuery to the catalogue.

    ``columns``: names of the facts that are wanted. ``sort``: the name by which the answer is
    sorted, descending with "-" in front. ``limit``: the most files of the answer. ``rebuild``:
    whether every file is read again.
    """

    columns: Sequence[str]
    conditions: Sequence[Condition] = ()
    sort: str = "-started"
    limit: int | None = None
    rebuild: bool = False


@dataclass(frozen=True)
class Listed:
    """A file of the answer: its path as it is shown, and the facts that were wanted."""

    path: str
    facts: Mapping[str, Value]


@dataclass(frozen=True)
class CatalogueAnswer:
    """CatalogueAnswer of the catalogue: the files that meet all conditions, and how many there are.

    ``remark``: why the index was not used; "" where it was.
    """

    listed: Sequence[Listed]
    matching: int
    files: int
    remark: str = ""


def ask(places: Iterable[Path], question: CatalogueQuery) -> CatalogueAnswer:
    """Return the records and imports in folders that answer a question.

    Where the index is damaged it is made anew; where it cannot be used, every file is read. Raises
    :class:`RecordError` where a folder is missing, :class:`ConfigError` where a name is one that
    nothing here has.
    """
    files = files_in(places)
    path = index_path()
    try:
        return _with_index(path, lambda index: _answer(index, files, question))
    except (sqlite3.Error, OSError) as exc:
        remark = f"the index cannot be used, so every file was read: {path}: {exc}"
    index = Index(None)
    try:
        return _answer(index, files, question, remark)
    finally:
        index.close()


def _with_index(path: Path, use: Callable[[Index], T]) -> T:
    """Use the index; where it is damaged, delete it and use an empty one."""
    try:
        return _once(path, use)
    except sqlite3.DatabaseError as exc:
        if (exc.sqlite_errorcode & 0xFF) not in _DAMAGE:
            raise
    with lock_file(path.with_suffix(".lock"), "another process mends the index"):
        path.unlink(missing_ok=True)
        path.with_name(f"{path.name}-journal").unlink(missing_ok=True)
    return _once(path, use)


def _once(path: Path, use: Callable[[Index], T]) -> T:
    index = Index(path)
    try:
        return use(index)
    finally:
        index.close()


def _answer(
    index: Index, files: Sequence[FoundFile], question: CatalogueQuery, remark: str = ""
) -> CatalogueAnswer:
    if question.rebuild:
        index.forget({one.folder for one in files})
    entries = index.known(files)
    changed = [one for one in files if (one.folder, one.name) not in entries]
    for first in range(0, len(changed), _KEPT_AT_ONCE):
        entries |= index.keep(read_facts(changed[first : first + _KEPT_AT_ONCE]))
    numbers = [entries[one.folder, one.name] for one in files]
    asked = [*question.columns, *(one.name for one in question.conditions)]
    by_name = {name: index.facts(name) for name in {*asked, _key(question), "status"}}
    _refuse_unknown(by_name, set(numbers), index)
    found = []
    for one, number in zip(files, numbers, strict=True):
        facts = {name: of[number] for name, of in by_name.items() if number in of}
        if facts.get("status") == "running":
            facts["status"] = "running" if _is_running(one) else "interrupted"
        if all(condition.holds(facts) for condition in question.conditions):
            found.append(Listed(one.path, facts))
    ordered = _sorted(found, question)
    kept = ordered if question.limit is None else ordered[: question.limit]
    return CatalogueAnswer(kept, len(found), len(files), remark)


def _is_running(one: FoundFile) -> bool:
    try:
        return is_held(Path(one.folder, one.name))
    except OSError:  # gone meanwhile
        return False


def _key(question: CatalogueQuery) -> str:
    return question.sort.removeprefix("-")


def _refuse_unknown(
    by_name: Mapping[str, Mapping[int, Value]], numbers: set[int], index: Index
) -> None:
    for name, of in by_name.items():
        if numbers and name not in ALWAYS and not any(number in of for number in numbers):
            close = nearest(name, [*ALWAYS, *index.names()])
            hint = close if close.startswith("; did") else f"; each may have {', '.join(ALWAYS)}"
            raise ConfigError(f"{name}: no record here has a value of that name{hint}")


def _sorted(found: list[Listed], question: CatalogueQuery) -> list[Listed]:
    """Sort by a fact, numbers before texts; files without it come last, in order of their paths."""
    name = _key(question)
    found.sort(key=lambda one: one.path)
    having = [one for one in found if name in one.facts]
    having.sort(key=lambda one: _order(one.facts[name]), reverse=question.sort.startswith("-"))
    return [*having, *(one for one in found if name not in one.facts)]


def _order(value: Value) -> tuple[int, float, str]:
    return (1, 0.0, value) if isinstance(value, str) else (0, value, "")
