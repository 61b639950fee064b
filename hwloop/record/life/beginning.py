"""The message about a ledger that begins: pulses that it does not count."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hwloop.backend.base import Event
from hwloop.backend.origin import Origin
from hwloop.errors import HwloopError
from hwloop.record.life.life_file import array_of, life_paths
from hwloop.record.reader import Record
from hwloop.settings.foreign_hdf5 import walk

_RECORDS = 100  # the newest of the folder; each is walked before it is opened
_NAMED = 3


def beginning_of(path: Path, array: str, *, backend: str, origin: Origin) -> Event:
    """Return what to say of a ledger that has no entry yet, where this run counts first.

    A warning where a ledger of nearly the same name, or records of the array on this ``backend``
    and of this ``origin``, lie beside it: pulses that the new ledger does not count.
    """
    text = (
        f"the ledger of array {array} begins with this run ({path}): pulses that were counted"
        " elsewhere or not at all are not in it (array.pulses_before adds them)"
    )
    ledgers = [one.name for one in life_paths(path.parent) if one != path and _alike(one, array)]
    records = list(_records_of(array, path.parent, backend, origin))
    found = [f"ledgers of nearly the same name lie beside it: {_list(ledgers)}"] if ledgers else []
    if records:
        found.append(f"records of this array lie beside it: {_list(records)}")
    return Event("warning" if found else "info", "; ".join((text, *found)))


def _alike(ledger: Path, array: str) -> bool:
    """Return whether a ledger's array differs from ``array`` in case or blanks only."""
    return array_of(ledger) != array and _plain(array_of(ledger)) == _plain(array)


def _plain(name: str) -> str:
    return "".join(name.split()).casefold()


def _list(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _records_of(array: str, folder: Path, backend: str, origin: Origin) -> Iterator[str]:
    if not folder.is_dir():
        return
    files = [file for file in folder.iterdir() if file.suffix in {".h5", ".hdf5"}]
    newest = sorted((file for file in files if file.is_file()), key=_changed)[-_RECORDS:]
    walk(newest)
    for file in newest:
        try:
            with Record(file) as record:
                name = record.resolved["array"].get("name")
                same = (record.attrs["backend"], record.origin) == (backend, origin)
        except (HwloopError, KeyError, AttributeError):
            continue  # no record, or one that is in progress
        if same and isinstance(name, str) and _plain(name) == _plain(array):
            yield file.name


def _changed(file: Path) -> float:
    return file.stat().st_mtime
