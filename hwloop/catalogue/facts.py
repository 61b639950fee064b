"""Facts about a record or an import by name, read without reading the whole file.

Read by a process of its own, whose memory and time are bounded: the library for HDF5, written in C,
can crash or loop on a damaged file.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, TypeAlias

import h5py
import numpy as np
from numpy.typing import NDArray

from hwloop.errors import RecordError
from hwloop.settings.hdf5_walk import bound_process

Value: TypeAlias = bool | int | float | str

RECORD, IMPORT = "hwloop-record", "hwloop-measurement"
ATTRIBUTES = {
    "run_id": "run_id",
    "procedure": "procedure",
    "backend": "backend",
    "origin": "origin",
    "seed": "seed",
    "population": "population",
    "started_utc": "started",
    "ended_utc": "ended",
    "status": "status",
    "hwloop_version": "hwloop_version",
    "host": "host",
}
"""Attributes of a record, and the names under which they are listed."""

_MOST_FACTS, _LONGEST_TEXT, _LONGEST_NAME = 2000, 500, 200
_MOST_OUTCOMES = 1000
_MISREAD = (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError)
_FAULTS = (*_MISREAD, MemoryError, ValueError, RecordError)


def facts_of(path: str) -> dict[str, Value]:
    """Return facts about a file by name; of one that is no record, its status says what it is.

    ``status``: that of the run, as it is recorded; "imported", "foreign" (another HDF5 file) or
    "damaged". ``outcome``: how its steps ended; of a foreign or damaged file, what is known of it.
    """
    try:
        with h5py.File(path, "r", locking=False) as file:  # a run may be writing it
            attrs = file.attrs
            form = attrs.get("format")
            if form == RECORD:
                return _bounded(_of_record(file.id, attrs))
            if form == IMPORT:
                return _bounded(_of_import(file.id, attrs))
    except _FAULTS as exc:
        return {"status": "damaged", "outcome": " ".join(str(exc).split())[:_LONGEST_TEXT]}
    return {"status": "foreign", "outcome": "an HDF5 file, but neither a record nor an import"}


def _of_record(root: h5py.h5g.GroupID, attrs: h5py.AttributeManager) -> dict[str, Value]:
    said = {ATTRIBUTES[name]: _plain(attrs.get(name)) for name in ATTRIBUTES}
    facts = {name: value for name, value in said.items() if value not in (None, "")}
    if "status" not in facts or "run_id" not in facts:
        raise RecordError("attribute status or run_id: is missing")
    counters = _needed(root, "recorder")
    if facts["status"] == "running" and _member(counters, "status") is not None:
        facts["status"] = _text(counters, "status")  # of one that could not be packed
    facts["operations"] = _rows(counters, "operations")
    if "started" in facts and "ended" in facts:
        began, end = (datetime.fromisoformat(str(facts[one])) for one in ("started", "ended"))
        facts["duration_s"] = round((end - began).total_seconds(), 3)
    resolved = json.loads(_text(_needed(root, "procedure"), "resolved"))
    steps: list[Mapping[str, Any]] = resolved["steps"]
    labels = [str(step["label"]) for step in steps]
    facts |= _of_outcomes(root, counters, labels)
    results = _needed(root, "results")
    short: dict[str, Value] = {}
    for step in steps:
        short |= {name: one for name, one in step["settings"].items() if _is_scalar(one)}
    for label in labels:
        of_step = _of_results(results, counters, label)
        facts |= {f"{label}.{name}": value for name, value in of_step.items()}
        short |= of_step
    facts |= {name: value for name, value in short.items() if name not in facts}
    for name, value in _flat("", resolved):
        facts.setdefault(name, value)
    return facts


def _of_outcomes(
    root: h5py.h5g.GroupID, counters: h5py.h5g.GroupID, labels: list[str]
) -> dict[str, Value]:
    """Return ``outcome`` and ``reached`` of a record, and of each step by its label."""
    rows, table = min(_rows(counters, "outcomes"), _MOST_OUTCOMES), _needed(root, "outcomes")
    columns = [_rows_of(_needed(table, name), 0, rows) for name in ("label", "reached", "message")]
    found: dict[str, Value] = {}
    messages = []
    for label, reached, message in zip(*columns, strict=True):
        found[f"{label.decode()}.reached"] = bool(reached)
        found[f"{label.decode()}.outcome"] = message.decode()
        prefix = f"{label.decode()}: " if len(labels) > 1 else ""
        messages.append(prefix + message.decode())
    found["outcome"] = "; ".join(messages)
    found["reached"] = all(found.get(f"{label}.reached", False) for label in labels)
    return found


def _of_results(
    results: h5py.h5g.GroupID, counters: h5py.h5g.GroupID, label: str
) -> dict[str, Value]:
    """Return the numbers and texts in the last row of a step's main table and of its summary."""
    found: dict[str, Value] = {}
    step = _member(results, label)
    for name in ("", "summary"):
        rows = _rows(counters, ".".join(filter(None, ("results", label, name))))
        table = _member(step, name) if name and step is not None else step
        if not rows or table is None:
            continue
        for column in table:
            item = _member(table, column.decode())
            if isinstance(item, h5py.h5d.DatasetID) and item.rank == 1:
                value = _plain(_rows_of(item, rows - 1, 1)[0])
                if value is not None:
                    found[column.decode()] = value
    return found


def _of_import(root: h5py.h5g.GroupID, attrs: h5py.AttributeManager) -> dict[str, Value]:
    names = ("kind", "title", "device", "source", "doi")
    said = {name: _plain(attrs.get(name)) for name in names}
    facts = {name: value for name, value in said.items() if value not in (None, "")}
    columns = _needed(root, "columns")
    rows = max((_needed(columns, name.decode()).shape[0] for name in columns), default=0)
    about: dict[str, Value] = {"status": "imported", "origin": "measured", "backend": "import"}
    about |= {"rows": rows, "outcome": f"{facts.get('kind')}, {rows} rows"}
    return {**facts, **about, "procedure": facts.get("title", "")}


def _flat(place: str, value: Any) -> Iterator[tuple[str, Value]]:
    """Yield each single value in plain data with its path, such as ``steps.0.settings.gain``."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{place}.{key}" if place else str(key), inner)
    elif isinstance(value, list):
        if any(isinstance(one, Mapping) for one in value):
            for index, inner in enumerate(value):
                yield from _flat(f"{place}.{index}", inner)
    elif _is_scalar(value):
        yield place, value


def _is_scalar(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, bool | int | str)


def _bounded(facts: Mapping[str, Value]) -> dict[str, Value]:
    kept: dict[str, Value] = {}
    for name, value in facts.items():
        if len(kept) < _MOST_FACTS and len(name) <= _LONGEST_NAME:
            small = not isinstance(value, int) or abs(value) < 2**63
            kept[name] = value[:_LONGEST_TEXT] if isinstance(value, str) else value
            if not small:
                kept[name] = str(value)[:_LONGEST_TEXT]
    return kept


def _plain(value: Any) -> Value | None:
    """Return a value of HDF5 as plain data; None where it is not finite, or several."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    plain: Value | None = value if _is_scalar(value) else None
    return plain


def _rows(counters: h5py.h5g.GroupID, name: str) -> int:
    """Return the number of complete rows of a series."""
    counter = _member(counters, name)
    return 0 if counter is None else int(_rows_of(counter, 0, 1)[0])


def _rows_of(dataset: h5py.h5d.DatasetID, first: int, count: int) -> NDArray[Any]:
    """Return rows of a column of single values, past the layers of h5py that take most time."""
    made = dataset.get_create_plist()
    if made.get_layout() == h5py.h5d.VIRTUAL or made.get_external_count():
        raise RecordError(f"{_name(dataset)}: has its data in another file")
    if dataset.rank != 1 or first + count > dataset.shape[0] or min(first, count) < 0:
        raise RecordError(f"{_name(dataset)}: has no rows {first} to {first + count}")
    values = np.empty(count, dataset.dtype)
    if count:
        space = dataset.get_space()
        space.select_hyperslab((first,), (count,))
        dataset.read(h5py.h5s.create_simple((count,)), space, values)
    return values


def _text(group: h5py.h5g.GroupID, name: str) -> str:
    dataset = _needed(group, name)
    if not isinstance(dataset, h5py.h5d.DatasetID) or dataset.rank:
        raise RecordError(f"{name}: expected a text")
    text: str = np.asarray(h5py.Dataset(dataset)).item().decode()
    return text


def _needed(group: h5py.h5g.GroupID, name: str) -> Any:
    found = _member(group, name)
    if found is None:
        raise RecordError(f"{name}: is missing")
    return found


def _member(group: h5py.h5g.GroupID, name: str) -> Any:
    """Return a member of a group, None where there is none; no link leads out of the file."""
    key = name.encode()
    try:
        kind = group.links.get_info(key).type
    except KeyError:
        return None
    if kind != h5py.h5l.TYPE_HARD:
        raise RecordError(f"{name}: is a link; a record has its data in itself")
    return h5py.h5o.open(group, key)


def _name(item: Any) -> str:
    name: bytes = h5py.h5i.get_name(item)
    return name.decode("utf-8", "backslashreplace").strip("/")


def main() -> None:
    """Write the facts about each file that the input names, a line of JSON each."""
    cpu_s, *paths = json.load(sys.stdin)
    bound_process(cpu_s)
    for path in paths:
        print(json.dumps(facts_of(path)), flush=True)


if __name__ == "__main__":
    main()
