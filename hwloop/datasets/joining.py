"""Several files of one train each become one dataset of trains, as of one cell."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from hwloop.datasets.columns import Column, MeasuredConditions, Measurement
from hwloop.datasets.importing import Imported, import_table
from hwloop.datasets.pulse_table import ConductanceTable
from hwloop.errors import ConfigError


def import_files(
    paths: Sequence[Path], *, reader: str | None, given: Mapping[str, object]
) -> Imported:
    """One file as it is, several as trains of one cell; a folder stands for the files in it.

    Raises :class:`ConfigError` naming the file and what to do.
    """
    files = [file for path in paths for file in _files(path)]
    for number, file in enumerate(files):
        if file.resolve() in {other.resolve() for other in files[:number]}:
            raise ConfigError("is named twice: its train would count twice", file=str(file))
    if len(files) == 1:
        return import_table(files[0], reader=reader, given=given)
    return import_trains(files, reader=reader, given=given)


def _files(path: Path) -> list[Path]:
    """By name, in the order of the numbers in them; hidden files are none of a measurement."""
    if not path.is_dir():
        return [path]
    files = [one for one in path.iterdir() if one.is_file() and not one.name.startswith(".")]
    if not files:
        raise ConfigError("is a folder without files", file=str(path))
    return sorted(files, key=_order)


def _order(path: Path) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", path.name)
    return [(int(part) if part.isdecimal() else 0, part) for part in parts]


def import_trains(
    paths: Sequence[Path], *, reader: str | None, given: Mapping[str, object]
) -> Imported:
    """Each file as :func:`hwloop.datasets.importing.import_table` reads it; the trains in the given
    order.

    Raises :class:`ConfigError` as that does, and where a file holds more than one train.
    """
    read = [import_table(path, reader=reader, given=given) for path in paths]
    tables = []
    for path, one in zip(paths, read, strict=True):
        if isinstance(one.table, Measurement):
            raise ConfigError(
                f"holds {one.table.kind} in columns: files of one train each can be joined, import"
                " this one by itself",
                file=str(path),
            )
        tables.append(one.table)
    words = list(_words(paths, [one.words for one in read]))
    return Imported(_joined(tables), [*words, *_pulses(tables)])


def _joined(tables: Sequence[ConductanceTable]) -> Measurement:
    first = tables[0]
    conditions: dict[str, object] = {
        name: getattr(first.conditions, name)
        for name in ("amplitude_v", "width_s", "read_v", "temperature_k")
        if len({getattr(one.conditions, name) for one in tables}) == 1
    }
    conditions["note"] = "; ".join(_once(one.conditions.note for one in tables))
    texts = {
        name: "; ".join(_once(getattr(one, name) for one in tables))
        for name in ("device", "source", "doi", "validity")
    }
    return Measurement(
        kind="trains",
        title=first.title,
        conditions=MeasuredConditions.parse(conditions),
        columns=_columns(tables),
        **texts,
    )


def _columns(tables: Sequence[ConductanceTable]) -> dict[str, Column]:
    sizes = [len(one.conductance_s) for one in tables]
    return {
        "cell": np.zeros(sum(sizes)),
        "train": np.repeat(np.arange(len(sizes), dtype=np.float64), sizes),
        "pulse": np.concatenate([np.arange(size, dtype=np.float64) for size in sizes]),
        "amplitude_v": np.repeat([one.conditions.amplitude_v for one in tables], sizes),
        "width_s": np.repeat([one.conditions.width_s for one in tables], sizes),
        "conductance_s": np.concatenate([one.conductance_s for one in tables]),
    }


def _words(paths: Sequence[Path], said: Sequence[Sequence[str]]) -> Iterator[str]:
    """What holds for all files once, the rest with the file that it is said of."""
    for line in _once(line for words in said for line in words):
        of = [path.name for path, words in zip(paths, said, strict=True) if line in words]
        yield line if len(of) == len(paths) else f"{', '.join(of)}: {line}"


def _pulses(tables: Sequence[ConductanceTable]) -> Iterator[str]:
    pulses = [(one.conditions.amplitude_v, one.conditions.width_s) for one in tables]
    for amplitude_v, width_s in dict.fromkeys(pulses):
        number = pulses.count((amplitude_v, width_s))
        yield f"{number} trains of {amplitude_v:g} V, {width_s:g} s, taken to be of one cell"


def _once(texts: Iterator[str]) -> list[str]:
    return [text for text in dict.fromkeys(texts) if text]
