# ruff: noqa: PTH116, PTH118 - a Path of each of ten thousand files takes longer than its stat
"""Files of records and imports in folders, and what tells whether one has changed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hwloop.errors import RecordError
from hwloop.record.notes import SUFFIX

_ENDINGS = (".h5", ".hdf5")


@dataclass(frozen=True)
class FoundFile:
    """A file that was found: its path, its absolute folder and its name.

    ``stamp``: size, time of change in ns and inode of the file and of its notes; 0 without notes.
    """

    path: str
    folder: str
    name: str
    stamp: tuple[int, ...]

    @property
    def has_notes(self) -> bool:
        """Return whether there are notes about it."""
        return any(self.stamp[3:])


def files_in(places: Iterable[Path]) -> list[FoundFile]:
    """Return the HDF5 files in folders and the folders below, and files by their name.

    Hidden folders and links to folders are left out. Raises :class:`RecordError` where a place is
    missing; a folder below that cannot be read is passed by.
    """
    found: dict[tuple[str, str], FoundFile] = {}
    for place in places:
        if not place.exists():
            raise RecordError(f"{place}: there is no such folder or file")
        folder, only = (place, None) if place.is_dir() else (place.parent, place.name)
        for one in _walk(str(folder), str(folder.absolute()), only):
            found.setdefault((one.folder, one.name), one)
    return list(found.values())


def _walk(shown: str, folder: str, only: str | None) -> Iterator[FoundFile]:
    """Yield the files of a folder, ``only`` one of them, and of those below; no matter how deep."""
    waiting = [(shown, os.path.realpath(folder))]
    while waiting:
        shown, folder = waiting.pop()
        stamps: dict[str, tuple[int, int, int]] = {}
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        if only is None and not entry.name.startswith("."):
                            waiting.append((os.path.join(shown, entry.name), entry.path))
                    elif entry.name.endswith((*_ENDINGS, SUFFIX)) and entry.is_file():
                        about = os.stat(entry.path)  # of Windows' entries the inode is 0
                        stamps[entry.name] = about.st_size, about.st_mtime_ns, about.st_ino
        except OSError:
            continue
        for name, stamp in stamps.items():
            if name.endswith(_ENDINGS) and not name.startswith(".") and only in (None, name):
                notes = stamps.get(name + SUFFIX, (0, 0, 0))
                yield FoundFile(os.path.join(shown, name), folder, name, (*stamp, *notes))
