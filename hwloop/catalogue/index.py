"""The index: facts about files as they were last read, in SQLite in the user's cache folder.

The files are the truth. An entry is used while size, time of change and inode of its file are the
ones that it was read with; the index may be deleted at any time, and two processes may use it.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from hwloop.catalogue.facts import Value
from hwloop.catalogue.files import FoundFile

_FORM = 1  # part of the name: another form is another file
_PATIENCE_S = 30.0
_RACY_NS = 2 * 10**9
"""A file that changed so shortly before it was read may change again in one tick of its time."""

_TABLES = """
CREATE TABLE IF NOT EXISTS file(
  id INTEGER PRIMARY KEY, folder TEXT NOT NULL, name TEXT NOT NULL, stamp TEXT NOT NULL,
  UNIQUE(folder, name));
CREATE TABLE IF NOT EXISTS name(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS fact(
  name INTEGER NOT NULL, file INTEGER NOT NULL, truth INTEGER NOT NULL, value,
  PRIMARY KEY(name, file)) WITHOUT ROWID;
"""


def index_path() -> Path:
    """Return the file of the index, in the user's cache folder."""
    if sys.platform == "win32":
        cache = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local")
    elif sys.platform == "darwin":
        cache = Path.home() / "Library/Caches"
    else:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "hwloop" / f"runs-{_FORM}.sqlite"


class Index:
    """Index in a file, or in memory where ``path`` is None; a context manager.

    Its methods raise :class:`sqlite3.Error` where the file is damaged or cannot be used.
    """

    def __init__(self, path: Path | None) -> None:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        place = ":memory:" if path is None else str(path)
        self._connection = sqlite3.connect(place, timeout=_PATIENCE_S, isolation_level=None)
        try:
            self._connection.execute("PRAGMA synchronous=OFF")  # it can be made again
            self._connection.executescript(_TABLES)
        except BaseException:
            self._connection.close()
            raise

    def known(self, files: Iterable[FoundFile]) -> dict[tuple[str, str], int]:
        """Return the entries of those files that have not changed since they were read."""
        wanted: dict[str, dict[str, str]] = {}
        for one in files:
            wanted.setdefault(one.folder, {})[one.name] = _stamp_text(one)
        found = {}
        for folder, stamps in wanted.items():
            rows = self._connection.execute(
                "SELECT id, name, stamp FROM file WHERE folder=?", (folder,)
            )
            for number, name, stamp in rows:
                if stamps.get(name) == stamp:
                    found[folder, name] = number
        return found

    def keep(
        self, read: Sequence[tuple[FoundFile, Mapping[str, Value]]]
    ) -> dict[tuple[str, str], int]:
        """Keep facts about files, and return their entries."""
        run, now_ns = self._connection.execute, time.time_ns()
        run("BEGIN IMMEDIATE")
        try:
            found = {}
            for one, facts in read:
                settled = now_ns - max(one.stamp[1], one.stamp[4]) > _RACY_NS
                stamp = _stamp_text(one) if settled else ""
                (number,) = run(
                    "INSERT INTO file(folder, name, stamp) VALUES(?,?,?) ON CONFLICT(folder, name)"
                    " DO UPDATE SET stamp=excluded.stamp RETURNING id",
                    (one.folder, one.name, stamp),
                ).fetchone()
                run("DELETE FROM fact WHERE name IN (SELECT id FROM name) AND file=?", (number,))
                found[one.folder, one.name] = number
                for name in facts:
                    run("INSERT OR IGNORE INTO name(name) VALUES(?)", (name,))
            numbers = dict(run("SELECT name, id FROM name"))
            self._connection.executemany(
                "INSERT INTO fact VALUES(?,?,?,?)",
                (
                    (numbers[name], found[one.folder, one.name], isinstance(value, bool), value)
                    for one, facts in read
                    for name, value in facts.items()
                ),
            )
        except BaseException:
            run("ROLLBACK")
            raise
        run("COMMIT")
        return found

    def forget(self, folders: Iterable[str]) -> None:
        """Forget the files of folders: they are read again."""
        for folder in folders:
            self._connection.execute("UPDATE file SET stamp='' WHERE folder=?", (folder,))

    def facts(self, name: str) -> dict[int, Value]:
        """Return the fact of that name of every entry that has it."""
        rows = self._connection.execute(
            "SELECT file, truth, value FROM fact WHERE name=(SELECT id FROM name WHERE name=?)",
            (name,),
        )
        return {file: bool(value) if truth else value for file, truth, value in rows}

    def names(self) -> list[str]:
        """Return the names of all facts, of other folders too."""
        return [name for (name,) in self._connection.execute("SELECT name FROM name")]

    def close(self) -> None:
        """Close the file of the index."""
        self._connection.close()


def _stamp_text(one: FoundFile) -> str:
    return " ".join(map(str, one.stamp))
