"""One damaged ledger of an array, or count of a killed run, and the command that is given it."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from benchmarks.fuzzing.damage import VALUES, damaged_bytes, damaged_text
from hwloop.record.life import CELL, life_path

NAME = "A1"
_COUNTS = (-1, 0, 1, 2**31, 2**53, 2**53 + 1, 2**62, 2**63 - 1)
_JOULES = (0.0, 1e-6, -1e-6, 1e300, np.nan, np.inf)
_SHAPES = ((4, 4), (4, 4), (4, 4), (1, 16), (0, 4), (16,), (), (2, 2, 4))
_SPARSE_BYTES = 2**31


def damage_life(random: Random, folder: Path) -> str:
    """Write a damaged ledger of a virtual array of 4 × 4 into ``folder``; return a note of it."""
    path = life_path(folder, NAME, "virtual")
    running = path.with_name(f"{path.name}.{random.randrange(10**6)}.killed.running")
    if random.random() < 0.4:
        _write(random, path, _entries(random))
        path = running
        if random.random() < 0.6:
            path.write_bytes(_counts(random))
            return "counts"
    kind = random.choices(("pipe", "sparse", "folder", "text", "values"), (1, 1, 1, 4, 8))[0]
    if kind == "pipe" and hasattr(os, "mkfifo"):
        os.mkfifo(path)
    elif kind == "sparse":
        with path.open("wb") as stream:
            stream.truncate(_SPARSE_BYTES)
    elif kind == "folder":
        path.mkdir()
    elif kind == "text" or path == running:
        text = damaged_text(random, "".join(map(_line, _entries(random))))
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
    else:
        entries = _entries(random)
        for _ in range(random.choice((1, 1, 2))):
            _damage_entry(random, random.choice(entries))
        _write(random, path, entries)
    return f"{path.suffix}: {kind}"


def _entries(random: Random) -> list[dict[str, Any]]:
    return [
        {
            "array": NAME,
            "run": f"run{number}",
            "key": str(number),
            "status": random.choice(("completed", "failed", "killed")),
            "ended_utc": "2026-01-01T00:00:00+00:00",
            "rows": 4,
            "cols": 4,
            "cells": [[row, row, random.choice((1, 7, 2**53)), 1e-6, 0] for row in range(3)],
        }
        for number in range(random.choice((1, 2, 3, 1500)))
    ]


def _damage_entry(random: Random, entry: dict[str, Any]) -> None:
    key = random.choice((*entry, "cells", "cells", "rows"))
    if key in ("rows", "cols"):
        entry["rows"] = entry["cols"] = random.choice((0, 9000, 10**6, 2**31, 2**62, 2**63 - 1))
        entry["cells"] = random.choice(([], entry["cells"]))
    elif key == "cells" and random.random() < 0.7:
        cell = random.choice(entry["cells"])
        place = random.randrange(5)
        cell[place] = random.choice((*_COUNTS, *_JOULES, *VALUES))
    else:
        entry[key] = random.choice(VALUES)


def _write(random: Random, path: Path, entries: list[dict[str, Any]]) -> None:
    text = "".join(map(_line, entries))
    if random.random() < 0.1:
        text = text[: random.randrange(len(text))]
    path.write_text(text, encoding="utf-8")


def _line(entry: dict[str, Any]) -> str:
    try:
        return json.dumps(entry) + "\n"
    except (TypeError, ValueError):  # a value that is none of JSON
        return f"{entry!r}\n"


def _counts(random: Random) -> bytes:
    """Return an NPY file of counts that cannot be, or a damaged one of some that can."""
    table = np.zeros(random.choice(_SHAPES), random.choice((CELL, CELL, CELL, np.float64)))
    for index in range(table.size if table.dtype == CELL else 0):
        table.flat[index] = (random.choice(_COUNTS), random.choice(_JOULES), 0)
    stream = io.BytesIO()
    np.save(stream, table)
    raw = stream.getvalue()
    if random.random() < 0.3:
        return raw.replace(b"(4, 4), }" + b" " * 12, b"(2000000, 4000000), }")
    return damaged_bytes(random, raw)[0] if random.random() < 0.4 else raw
