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
_LARGEST_JSON_BYTES = 64 * 2**20
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
            form = file.attrs.get("format")
            if form == RECORD:
                return _bounded(_of_record(file))
            if form == IMPORT:
                return _bounded(_of_import(file))
    except _FAULTS as exc:
        return {"status": "damaged", "outcome": " ".join(str(exc).split())[:_LONGEST_TEXT]}
    return {"status": "foreign", "outcome": "an HDF5 file, but neither a record nor an import"}


def _of_record(file: h5py.File) -> dict[str, Value]:
    attrs = {name: _plain(file.attrs[name]) for name in ATTRIBUTES if name in file.attrs}
    facts = {ATTRIBUTES[name]: value for name, value in attrs.items() if value not in (None, "")}
    if "status" not in facts or "run_id" not in facts:
        raise RecordError("attribute status or run_id: is missing")
    ended = _text(file, "recorder/status") if "recorder/status" in file else ""
    if facts["status"] == "running" and ended:  # of one that could not be packed
        facts["status"] = ended
    facts["operations"] = _rows(file, "operations")
    if "started" in facts and "ended" in facts:
        began, end = (datetime.fromisoformat(str(facts[one])) for one in ("started", "ended"))
        facts["duration_s"] = round((end - began).total_seconds(), 3)
    resolved = json.loads(_text(file, "procedure/resolved"))
    steps: list[Mapping[str, Any]] = resolved["steps"]
    facts |= _of_outcomes(file, [str(step["label"]) for step in steps])
    results = {str(step["label"]): _of_results(file, str(step["label"])) for step in steps}
    short: dict[str, Value] = {}
    for step in steps:
        short |= {name: one for name, one in step["settings"].items() if _is_scalar(one)}
    for of_step in results.values():
        short |= of_step
    for label, of_step in results.items():
        facts |= {f"{label}.{name}": value for name, value in of_step.items()}
    facts |= {name: value for name, value in short.items() if name not in facts}
    for name, value in _flat("", resolved):
        facts.setdefault(name, value)
    return facts


def _of_outcomes(file: h5py.File, labels: list[str]) -> dict[str, Value]:
    """Return ``outcome`` and ``reached`` of a record, and of each step by its label."""
    rows = min(_rows(file, "outcomes"), _MOST_OUTCOMES)
    columns = [
        _dataset(file, f"outcomes/{name}")[:rows] for name in ("label", "reached", "message")
    ]
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


def _of_results(file: h5py.File, label: str) -> dict[str, Value]:
    """Return the numbers and texts in the last row of a step's main table and of its summary."""
    found: dict[str, Value] = {}
    for place in (f"results/{label}", f"results/{label}/summary"):
        rows = _rows(file, place)
        if not rows or place not in file:
            continue
        for name, item in _group(file, place).items():
            if isinstance(item, h5py.Dataset) and item.ndim == 1:
                value = _plain(_own(item)[rows - 1])
                if value is not None:
                    found[name] = value
    return found


def _of_import(file: h5py.File) -> dict[str, Value]:
    names = ("kind", "title", "device", "source", "doi")
    said = {name: _plain(file.attrs.get(name, "")) for name in names}
    facts = {name: value for name, value in said.items() if value not in (None, "")}
    columns = _group(file, "columns").values()
    rows = max((len(item) for item in columns if isinstance(item, h5py.Dataset)), default=0)
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


def _rows(file: h5py.File, place: str) -> int:
    """Return the number of complete rows of a series."""
    counter = f"recorder/{place.replace('/', '.')}"
    return int(_dataset(file, counter)[0]) if counter in file else 0


def _text(file: h5py.File, place: str) -> str:
    dataset = _dataset(file, place)
    if dataset.shape != () or dataset.id.get_storage_size() > _LARGEST_JSON_BYTES:
        raise RecordError(f"{place}: expected a text")
    text: bytes = dataset[()]
    return text.decode()


def _group(file: h5py.File, place: str) -> h5py.Group:
    found = _member(file, place)
    if not isinstance(found, h5py.Group):
        raise RecordError(f"{place}: there is no such group")
    return found


def _dataset(file: h5py.File, place: str) -> h5py.Dataset:
    found = _member(file, place)
    if not isinstance(found, h5py.Dataset):
        raise RecordError(f"{place}: there is no such dataset")
    return _own(found)


def _member(file: h5py.File, place: str) -> Any:
    """Return what is at a place, which no link on the way may lead out of the file."""
    parts, here = place.split("/"), file
    for part in parts:
        if not isinstance(here.get(part, getlink=True), h5py.HardLink):
            raise RecordError(f"{place}: is missing, or a link")
        here = here[part]
    return here


def _own(dataset: h5py.Dataset) -> h5py.Dataset:
    """Return a dataset whose data are in its own file."""
    if dataset.is_virtual or dataset.external:
        raise RecordError(f"{dataset.name}: has its data in another file")
    return dataset


def main() -> None:
    """Write the facts about each file that the input names, a line of JSON each."""
    cpu_s, *paths = json.load(sys.stdin)
    bound_process(cpu_s)
    for path in paths:
        print(json.dumps(facts_of(path)), flush=True)


if __name__ == "__main__":
    main()
