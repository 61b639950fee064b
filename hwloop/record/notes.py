"""Notes and tags of a record, in a file of their own beside it: the record is never changed.

``NAME.h5.notes.jsonl``: JSON lines, one a note. Each names the run that it belongs to, so that a
note does not pass to another record that is given the name later.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from hwloop.disk import named_errors
from hwloop.errors import ConfigError, RecordError
from hwloop.record.header import utc_now
from hwloop.settings.foreign_files import read_bounded
from hwloop.settings.model import Settings

SUFFIX = ".notes.jsonl"
_LARGEST_BYTES = 4 * 2**20
_LONGEST_NOTE, _LONGEST_TAG = 2000, 50


class _Line(Settings):
    run_id: str
    time_utc: str
    note: str = ""
    tags: tuple[str, ...] = ()
    removed_tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Notes:
    """Notes about a run in order, each (time in UTC, text), and its tags."""

    texts: tuple[tuple[str, str], ...] = ()
    tags: tuple[str, ...] = ()


def notes_path(record: Path) -> Path:
    """Return the file of the notes about a record."""
    return record.with_name(record.name + SUFFIX)


def read_notes(record: Path, run_id: str) -> Notes:
    """Return the notes about a run; none where there is no file of them.

    Raises :class:`RecordError` with file and line where it is damaged.
    """
    path = notes_path(record)
    if not path.is_file():
        return Notes()
    texts: list[tuple[str, str]] = []
    tags: dict[str, None] = {}
    try:
        lines = read_bounded(path, _LARGEST_BYTES).decode().splitlines()
    except (ConfigError, UnicodeDecodeError) as exc:
        raise RecordError(f"{path}: notes cannot be read: {exc}") from None
    for number, text in enumerate(lines, 1):
        try:
            line = _Line.model_validate_json(text)
        except ValidationError:
            raise RecordError(f"{path}: line {number} is no note; mend or delete it") from None
        if line.run_id != run_id:
            continue
        if line.note:
            texts.append((line.time_utc, line.note))
        tags |= dict.fromkeys(line.tags)
        for tag in line.removed_tags:
            tags.pop(tag, None)
    return Notes(tuple(texts), tuple(tags))


def add_note(
    record: Path, run_id: str, note: str, *, tags: Iterable[str] = (), removed: Iterable[str] = ()
) -> None:
    """Add a note to a run, and tags; take the ``removed`` tags off it.

    Raises :class:`ConfigError` where a tag is no word, or a text is too long, and
    :class:`RecordError` where the file cannot be written.
    """
    if len(note) > _LONGEST_NOTE:
        raise ConfigError(f"a note of {len(note)} characters: at most {_LONGEST_NOTE} are kept")
    added, removed = tuple(tags), tuple(removed)
    for tag in (*added, *removed):
        if not tag or len(tag) > _LONGEST_TAG or not all(c.isalnum() or c in "-_.:/" for c in tag):
            raise ConfigError(
                f"tag {tag!r}: expected a word of at most {_LONGEST_TAG} letters, digits, -_.:/"
            )
    line = _Line(run_id=run_id, time_utc=utc_now(), note=note, tags=added, removed_tags=removed)
    text = json.dumps(line.model_dump(exclude_defaults=True), ensure_ascii=False) + "\n"
    path = notes_path(record)
    with named_errors(path):
        # One write in append mode: two processes may add at once.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)
