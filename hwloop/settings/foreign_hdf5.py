"""HDF5 files from elsewhere: walked once by another process before this one opens them.

The walk is bounded in time and memory, follows no link and refuses what a file claims without
having it; see :mod:`hwloop.settings.hdf5_walk`. A file that this process wrote is not walked.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hwloop.errors import ConfigError
from hwloop.settings import hdf5_walk
from hwloop.settings.foreign_files import file_bytes

if TYPE_CHECKING:
    import h5py

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_LEAST_CPU_S, _BYTES_PER_CPU_S = 20.0, 10 * 2**20
_WALL_PER_CPU = 4
_OVERTIME = -getattr(signal, "SIGXCPU", 0)
"""Exit code of a child that has used up its processor time."""

_KNOWN: dict[tuple[int, ...], str] = {}
"""What is wrong with the files that were walked, "" for nothing, by their identity."""

_WITHOUT_CLAIMS: dict[tuple[int, ...], str] = {}
"""The same of walks that refused no claims."""

_CHECKED: set[tuple[int, ...]] = set()
"""Files whose content this process wrote, or has checked for what it should be."""


@contextmanager
def open_foreign(path: Path, *, claims: bool = True) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading after :func:`refuse_damaged`.

    Raises :class:`ConfigError` with the file; also for what h5py raises in the block, whose type
    depends on where the damage is.
    """
    import h5py

    refuse_damaged(path, claims=claims)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except ConfigError as exc:
        raise exc.below(file=str(path)) from None
    except MISREAD as exc:
        raise ConfigError(f"damaged, or not of this kind: {exc}", file=str(path)) from exc


MISREAD = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""Errors that reading a damaged file can end in, in h5py, in NumPy and in who expected a value."""


def has_signature(path: Path) -> bool:
    """Return whether a file begins as HDF5 files do, at one of the places where they may."""
    size, place = file_bytes(path), 0
    with path.open("rb") as stream:
        while place < size:
            stream.seek(place)
            if stream.read(len(_SIGNATURE)) == _SIGNATURE:
                return True
            place = 2 * place or 512
    return False


def refuse_damaged(path: Path, *, claims: bool = True) -> None:
    """Refuse what is not an HDF5 file, is damaged, or claims or links to more than it holds.

    Without ``claims`` a dataset may claim any size: its reader has to bound what it takes. Raises
    :class:`ConfigError` with the file and the place in it.
    """
    if not path.exists():
        raise ConfigError("cannot be read as an HDF5 file: there is none", file=str(path))
    try:
        if not has_signature(path):
            raise ConfigError(hdf5_walk.NOT_HDF5, file=str(path))
    except OSError as exc:
        raise ConfigError(f"cannot be read: {exc.strerror}", file=str(path)) from None
    identity = _identity(path)  # before the walk: a run may be writing rows meanwhile
    fault = _KNOWN.get(identity)
    if fault != "" and not claims:  # it may have been the claims
        fault = _WITHOUT_CLAIMS.get(identity)
    if fault is None:
        fault = _faults([path], claims=claims)[0]
        (_KNOWN if claims else _WITHOUT_CLAIMS)[identity] = fault
    if fault:
        raise ConfigError(fault, file=str(path))


def trust(path: Path) -> None:
    """Note that this process wrote a file, as it is now."""
    try:
        _KNOWN[_identity(path)] = ""
    except OSError:
        return  # gone meanwhile: nobody will open it
    note_checked(path)


def note_checked(path: Path) -> None:
    """Note that the content of a file, as it is now, is what it should be."""
    _CHECKED.add(_identity(path))


def is_checked(path: Path) -> bool:
    """Return whether the content of a file was checked, or written here, and has not changed."""
    return _identity(path) in _CHECKED


def walk(paths: Sequence[Path]) -> None:
    """Walk several files in one child process, and note what is wrong with each.

    To be called before many files are opened one by one. A child that a file has stopped is
    followed by another, for the files after it.
    """
    waiting = []
    for path in paths:
        try:
            if has_signature(path) and _identity(path) not in _KNOWN:
                waiting.append(path)
        except (ConfigError, OSError):
            continue  # whoever opens it is told
    while waiting:
        identities = [_identity(path) for path in waiting]
        faults = _faults(waiting, claims=True)
        _KNOWN.update(zip(identities, faults, strict=False))
        waiting = waiting[len(faults) :]


def _faults(paths: Sequence[Path], *, claims: bool) -> list[str]:
    """Return what is wrong with the first of ``paths``, at least one, in order."""
    cpu_s = _LEAST_CPU_S + sum(path.stat().st_size for path in paths) / _BYTES_PER_CPU_S
    # -I: nothing in the working folder is imported; by its path: hwloop itself is not.
    command = [sys.executable, "-I", hdf5_walk.__file__]
    asked = json.dumps([math.ceil(cpu_s), claims, *(str(path.absolute()) for path in paths)])
    said, exit_code = asked_child(command, asked, timeout_s=_WALL_PER_CPU * cpu_s)
    ending = f"stops the library that reads it (exit code {exit_code})"
    if exit_code is None:
        ending = f"cannot be read within {_WALL_PER_CPU * cpu_s:.0f} s"
    elif exit_code == _OVERTIME:
        ending = f"cannot be read within {cpu_s:.0f} s of processor time"
    found = list(_answers(said))
    return found if len(found) == len(paths) else [*found, f"damaged: {ending}"]


def asked_child(command: Sequence[str], asked: str, *, timeout_s: float) -> tuple[str, int | None]:
    """Return what a child process says to ``asked``, and its exit code; None: it was ended by time.

    Its linear algebra has one thread; what it writes on its standard error is not shown.
    """
    lone_thread = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # each takes memory
    with subprocess.Popen(  # noqa: S603 - our own script, in this Python
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
        env=os.environ | lone_thread,
    ) as child:
        try:
            return child.communicate(asked, timeout=timeout_s)[0], child.returncode
        except subprocess.TimeoutExpired:
            child.kill()
            return child.communicate()[0], None


def _answers(said: str) -> Iterator[str]:
    """Yield the whole answers of a child, until one is none: a damaged file may have stopped it."""
    for line in said.splitlines(keepends=True):
        try:
            answer = json.loads(line) if line.endswith("\n") else None
        except ValueError:
            return
        if not isinstance(answer, str):
            return
        yield answer


def _identity(path: Path) -> tuple[int, ...]:
    about = path.stat()
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns
