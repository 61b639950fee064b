"""Damage of HDF5 files that stay HDF5: what they hold is of another kind, size or meaning."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import h5py
import numpy as np

from benchmarks.fuzzing.damage import damaged_bytes, damaged_tree

_ATTRIBUTES: tuple[Any, ...] = (
    *("x", "", -1, 0, 2**62, float("nan"), [1, 2, 3], ["a", "b"], np.float32(1)),
    *("[/red]", "\x1b[31m"),
)
_NUMBERS = (-1, 2**31, 255, 10**9, 10**15, 2**62)
_REALS = (np.nan, np.inf, -1e308, 0.0, 1e-320)
_JSON = ("{", "[]", "null", '{"a": NaN}', "[" * 20000, '{"array": 3}', "1e999", '"x"')
_OPERATIONS = (b"", b"pulse", b"ramp", b"../x", b"zzzz", b"\xff\xfe")
_TREES = ("procedure/resolved", "instruments/identity")


def damage_hdf5(random: Random, source: Path, path: Path) -> str:
    """Write a damaged copy of an HDF5 file to ``path``; return a note of what was done."""
    if random.random() < 0.5:
        raw, note = damaged_bytes(random, source.read_bytes())
        path.write_bytes(raw)
        return note
    path.write_bytes(source.read_bytes())
    notes = []
    with h5py.File(path, "r+") as file:
        for _ in range(random.choice((1, 1, 2, 3))):
            # What cannot be damaged in this way, such as a dataset that is gone already, stays.
            with suppress(KeyError, TypeError, ValueError, OSError, RuntimeError, OverflowError):
                notes.append(_change(random, file))
    return "; ".join(notes)


def _change(random: Random, file: h5py.File) -> str:
    names: list[str] = []
    file.visit(names.append)
    name, kind = random.choice([*names, "/"]), random.random()
    item = file[name]
    if kind < 0.2 and name != "/":
        del file[name]
        return f"{name}: is left out"
    if kind < 0.45:
        key = random.choice([*item.attrs, "format"])
        if random.random() < 0.2 and key in item.attrs:
            del item.attrs[key]
            return f"{name}, attribute {key}: is left out"
        item.attrs[key] = random.choice(_ATTRIBUTES)
        return f"{name}, attribute {key}: is {item.attrs[key]!r}"
    tree = random.choice(_TREES)
    if kind < 0.6 and tree in file:
        changed, note = damaged_tree(random, json.loads(file[tree][()]))
        _replace(file, tree, json.dumps(changed, default=str))
        return f"{tree}: {note}"
    if not isinstance(item, h5py.Dataset):
        return f"{name}: stays"
    if random.random() < 0.3:
        return f"{name}: {_overwrite(random, item)}"
    return f"{name}: is {_other(random, file, name, item)}"


def _overwrite(random: Random, item: h5py.Dataset) -> str:
    """Put other numbers into a dataset, which keeps its type and shape."""
    if item.dtype.kind == "f":
        item[...] = random.choice(_REALS)
    elif item.dtype.kind in "iu":
        item[...] = np.array(random.choice(_NUMBERS)).astype(item.dtype)
    elif item.dtype.names and item.size:
        rows, name = item[...], random.choice(item.dtype.names)
        value = {"f": np.nan, "i": random.choice((-1, 10**9))}
        rows[name] = value.get(rows[name].dtype.kind, random.choice(_OPERATIONS))
        item[...] = rows
    return "holds other numbers"


def _other(random: Random, file: h5py.File, name: str, old: h5py.Dataset) -> str:
    """Replace a dataset by one of another kind; return the kind."""
    about, shape, dtype = dict(old.attrs), old.shape, old.dtype
    kind = random.choice((*_SIMPLE, "huge", "packed", "short", "soft", "outside", "stored outside"))
    del file[name]
    match kind:
        case "huge" | "packed":
            packing = {"compression": "gzip"} if kind == "packed" else {}
            rows = 10 ** random.choice((9, 12))
            file.create_dataset(
                name, shape=(rows,), maxshape=(None,), chunks=(1024,), dtype="f8", **packing
            )
        case "short":
            kept = dtype if dtype.kind in "fiu" else "f8"
            file.create_dataset(name, data=np.zeros((1, *(shape or ())[1:]), kept))
        case "soft":
            file[name] = h5py.SoftLink(random.choice(("/nowhere", f"/{name}", "/")))
        case "outside":
            file[name] = h5py.ExternalLink(random.choice(("/etc/passwd", "missing.h5")), "/x")
        case "stored outside":
            outside = [("/etc/passwd", 0, 80)]
            file.create_dataset(name, shape=(10,), dtype="f8", external=outside)
        case _:
            file[name] = _SIMPLE[kind](random)
    with suppress(KeyError, TypeError, OSError):  # a link to nowhere
        file[name].attrs.update(about)
    return kind


_SIMPLE: dict[str, Any] = {
    "a number": lambda _: 3,
    "a text": lambda _: "text [/] \x1b[31m",
    "empty": lambda _: h5py.Empty("f8"),
    "JSON": lambda random: random.choice(_JSON),
    "a table": lambda _: np.zeros(3, [("a", "i4"), ("b", "S3")]),
    "a matrix": lambda _: np.arange(6).reshape(2, 3),
    "without rows": lambda _: np.zeros((0, 3)),
}


def _replace(file: h5py.File, name: str, value: Any) -> None:
    del file[name]
    file[name] = value
