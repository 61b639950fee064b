"""Facts about many files, read in processes of their own that a damaged file may stop."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hwloop.catalogue.facts import Value
from hwloop.catalogue.files import FoundFile
from hwloop.errors import RecordError
from hwloop.record.notes import read_notes
from hwloop.settings.foreign_hdf5 import asked_child

_AT_ONCE = 250  # files of a process: starting one takes as long as reading some dozens
_LEAST_CPU_S, _FILES_PER_CPU_S = 20, 10
_WALL_PER_CPU = 6

Facts = Mapping[str, Value]


def read_facts(files: Sequence[FoundFile]) -> list[tuple[FoundFile, Facts]]:
    """Return the facts about each file, with its notes and tags, in order."""
    parts = [files[first : first + _AT_ONCE] for first in range(0, len(files), _AT_ONCE)]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        read = [facts for part in pool.map(_read_part, parts) for facts in part]
    return [(one, _with_notes(one, facts)) for one, facts in zip(files, read, strict=True)]


def _read_part(files: Sequence[FoundFile]) -> list[Facts]:
    """Read files in one process; one that it does not survive is damaged, and another goes on."""
    found: list[Facts] = []
    while len(found) < len(files):
        rest = files[len(found) :]
        found += _answers(rest)
        if len(found) < len(files):
            found.append({"status": "damaged", "outcome": "stops the library that reads it"})
    return found


def _answers(files: Sequence[FoundFile]) -> Iterator[Facts]:
    """Yield the facts about the first files, until one stops the process."""
    cpu_s = _LEAST_CPU_S + len(files) // _FILES_PER_CPU_S
    asked = json.dumps([cpu_s, *(os.path.join(one.folder, one.name) for one in files)])  # noqa: PTH118 - of ten thousand files
    command = [sys.executable, "-I", "-m", "hwloop.catalogue.facts"]
    said, _ = asked_child(command, asked, timeout_s=_WALL_PER_CPU * cpu_s)
    for line in said.splitlines(keepends=True):
        if line.endswith("\n"):
            yield json.loads(line)


def _with_notes(one: FoundFile, facts: Facts) -> Facts:
    """Return the facts with the notes about the file, or what is in the way of them."""
    if not one.has_notes:
        return facts
    try:
        notes = read_notes(Path(one.folder, one.name), run_of(facts))
    except RecordError as exc:
        return {**facts, "notes": str(exc)}
    texts = "\n".join(text for _, text in notes.texts)
    said = {"notes": texts, "tags": "\n".join(notes.tags)}
    return {**facts, **{name: text for name, text in said.items() if text}}


def run_of(facts: Facts) -> str:
    """Return what tells a run from another that has its file name later: its run id."""
    return str(facts.get("run_id", "import"))
