"""Join several files of trains, or of I-V sweeps, to one dataset in the order of the files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from hwloop.datasets.importing import Imported, import_measurement
from hwloop.datasets.measurement import Column, Conditions, Kind, Measurement
from hwloop.datasets.tables.options import TableOptions
from hwloop.errors import ConfigError

_COUNTED: Mapping[Kind, str] = {"trains": "train", "iv": "sweep"}
"""Kinds of which several files can be joined, and the column that numbers their parts."""


def import_files(
    paths: Sequence[Path],
    *,
    reader: str | None,
    given: Mapping[str, object],
    options: TableOptions | None = None,
) -> Imported:
    """Import one file as it is, or several as one dataset; a folder means its files.

    Raises :class:`ConfigError` naming the file and what to do.
    """
    files = [file for path in paths for file in _files(path)]
    for number, file in enumerate(files):
        if file.resolve() in {other.resolve() for other in files[:number]}:
            raise ConfigError("is named twice: its data would count twice", file=str(file))
    if len(files) == 1:
        return import_measurement(files[0], reader=reader, given=given, options=options)
    return import_joined(files, reader=reader, given=given, options=options)


def _files(path: Path) -> list[Path]:
    """List the files of a folder, ordered by the numbers in their names, without hidden files."""
    if not path.is_dir():
        return [path]
    files = [one for one in path.iterdir() if one.is_file() and not one.name.startswith(".")]
    if not files:
        raise ConfigError("is a folder without files", file=str(path))
    return sorted(files, key=_order)


def _order(path: Path) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", path.name)
    return [(int(part) if part.isdecimal() else 0, part) for part in parts]


def import_joined(
    paths: Sequence[Path],
    *,
    reader: str | None,
    given: Mapping[str, object],
    options: TableOptions | None = None,
) -> Imported:
    """Import each file with :func:`import_measurement`; trains and sweeps keep the order of files.

    Cells keep the addresses of the files: those without any are taken to be one cell. Raises
    :class:`ConfigError` as that does, and where files hold different kinds, or none that is joined.
    """
    imported = [
        import_measurement(path, reader=reader, given=given, options=options) for path in paths
    ]
    measurements = [one.measurement for one in imported]
    for path, one in zip(paths, measurements, strict=True):
        if one.kind not in _COUNTED or one.kind != measurements[0].kind:
            raise ConfigError(
                f"holds {one.kind.replace('_', ' ')}: files can be joined that hold trains alone,"
                " or I-V sweeps alone; import this one by itself",
                file=str(path),
            )
    messages = list(_messages(paths, [one.messages for one in imported]))
    joined = _joined(measurements)
    return Imported(joined, [*messages, *_content(joined)])


def _joined(measurements: Sequence[Measurement]) -> Measurement:
    conditions: dict[str, object] = {
        name: getattr(measurements[0].conditions, name)
        for name in ("amplitude_v", "width_s", "read_v", "temperature_k")
        if len({getattr(one.conditions, name) for one in measurements}) == 1
    }
    conditions["note"] = "; ".join(_once(one.conditions.note for one in measurements))
    texts = {
        name: "; ".join(_once(getattr(one, name) for one in measurements))
        for name in ("device", "source", "doi", "validity")
    }
    return Measurement(
        kind=measurements[0].kind,
        title=measurements[0].title,
        conditions=Conditions.parse(conditions),
        columns=_columns(measurements),
        **texts,
    )


def _columns(measurements: Sequence[Measurement]) -> dict[str, Column]:
    """Return the columns of all, with the trains or sweeps of each file numbered on."""
    counter = _COUNTED[measurements[0].kind]
    parts: list[dict[str, Column]] = []
    first = 0.0
    for one in measurements:
        _, numbers = np.unique(one.columns[counter], return_inverse=True)
        parts.append({**one.columns, counter: np.asarray(first + numbers.ravel(), np.float64)})
        first += float(numbers.max()) + 1
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _messages(paths: Sequence[Path], by_file: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield messages common to all files once, and others after the names of their files."""
    for line in _once(line for messages in by_file for line in messages):
        named = [path.name for path, own in zip(paths, by_file, strict=True) if line in own]
        yield line if len(named) == len(paths) else f"{', '.join(named)}: {line}"


def _content(joined: Measurement) -> Iterator[str]:
    columns = joined.columns
    cells = np.unique(columns["cell"]).size
    of = "taken to be of one cell" if cells == 1 else f"of {cells} cells"
    keys = np.stack([columns["cell"], columns[_COUNTED[joined.kind]]])
    begin = np.sort(np.unique(keys, axis=1, return_index=True)[1])
    if joined.kind == "iv":
        yield f"{begin.size} sweeps, {of}"
        return
    pulses = list(zip(columns["amplitude_v"][begin], columns["width_s"][begin], strict=True))
    for amplitude_v, width_s in dict.fromkeys(pulses):
        number = pulses.count((amplitude_v, width_s))
        yield f"{number} trains of {amplitude_v:g} V, {width_s:g} s, {of}"


def _once(texts: Iterator[str]) -> list[str]:
    return [text for text in dict.fromkeys(texts) if text]
