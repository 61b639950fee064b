"""Rendezvous files: where a running virtual bench leaves its addresses for runs to find.

They are in a folder of the user's own, since whoever can write there decides what a run speaks to.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hwloop.errors import ConfigError

PREFIX = "hwloop-virtual-"
_MOST_BYTES = 1 << 16
_PLAIN = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # a FIFO would block


def rendezvous_file(station_file: Path, *, private_to: int | None = None) -> Path:
    """Return the path at which the virtual bench of a station leaves its addresses.

    It follows from the user and the resolved path of the station file. ``private_to``: the process
    of a bench that a run has started for itself; no other run uses it. Raises :class:`ConfigError`
    where the folder is not the user's own.
    """
    mark = hashlib.sha256(str(station_file.resolve()).encode()).hexdigest()[:16]
    owner = "" if private_to is None else f"-{private_to}"
    return _folder() / f"{PREFIX}{mark}{owner}.json"


def rendezvous_files() -> list[Path]:
    """Return the files of all virtual benches of this user on this computer, sorted.

    Some may belong to a bench that was killed before it could remove its file.
    """
    return sorted(_folder().glob(f"{PREFIX}*.json"))


def leave_rendezvous(path: Path, content: Mapping[str, Any]) -> None:
    """Write a rendezvous file that is not there yet, for the user alone.

    Raises :class:`FileExistsError` where there is one, or a link.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _PLAIN
    with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
        json.dump(content, file)


def read_rendezvous(path: Path) -> dict[str, Any]:
    """Return the content of a rendezvous file.

    Raises :class:`OSError` or :class:`ValueError` where there is none, and for a link, for a file
    that another user owns or can write, and for what no virtual bench has written.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | _PLAIN), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or not _is_ours(found, forbidden=0o022):
            raise PermissionError(f"{path}: is not a file that only you can write")
        raw = file.read(_MOST_BYTES + 1)
    try:
        content = json.loads(raw) if len(raw) <= _MOST_BYTES else None
    except RecursionError:
        content = None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: was not written by a virtual bench")
    return content


def _folder() -> Path:
    """Return the folder of this user's rendezvous files, made if need be."""
    folder = _chosen_folder()
    try:
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700, parents=sys.platform == "win32")
        found = folder.lstat()
    except OSError as exc:
        raise ConfigError(f"cannot be made: {exc.strerror}", file=str(folder)) from exc
    if not stat.S_ISDIR(found.st_mode) or not _is_ours(found, forbidden=0o077):
        raise ConfigError(
            "must be a folder of your own that nobody else can enter (mode 700): a run would speak"
            " to whatever another user names there; remove it",
            file=str(folder),
        )
    return folder


def _chosen_folder() -> Path:
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or tempfile.gettempdir()
        return Path(base) / "hwloop" / "virtual"
    user = os.geteuid()
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{user}")
    with contextlib.suppress(OSError):
        found = runtime.lstat()
        if stat.S_ISDIR(found.st_mode) and _is_ours(found, forbidden=0o022):
            return runtime / "hwloop"
    return Path(tempfile.gettempdir()) / f"hwloop-{user}"


def _is_ours(found: os.stat_result, *, forbidden: int) -> bool:
    """Return whether a file is this user's, without the ``forbidden`` permissions of others."""
    if sys.platform == "win32":  # the folder is below the user's profile
        return True
    return found.st_uid == os.geteuid() and not found.st_mode & forbidden
