"""Join several files of one train each to one dataset of trains of one cell."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hwloop.datasets.importing import Imported, import_measurement
from hwloop.datasets.measurement import Conditions, Measurement, train_columns
from hwloop.datasets.tables.options import TableOptions
from hwloop.errors import ConfigError


def import_files(
    paths: Sequence[Path],
    *,
    reader: str | None,
    given: Mapping[str, object],
    options: TableOptions | None = None,
) -> Imported:
    """Import one file as it is, or several as trains of one cell; a folder means its files.

    Raises :class:`ConfigError` naming the file and what to do.
    """
    files = [file for path in paths for file in _files(path)]
    for number, file in enumerate(files):
        if file.resolve() in {other.resolve() for other in files[:number]}:
            raise ConfigError("is named twice: its train would count twice", file=str(file))
    if len(files) == 1:
        return import_measurement(files[0], reader=reader, given=given, options=options)
    return import_trains(files, reader=reader, given=given, options=options)


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


def import_trains(
    paths: Sequence[Path],
    *,
    reader: str | None,
    given: Mapping[str, object],
    options: TableOptions | None = None,
) -> Imported:
    """Import each file with :func:`import_measurement`; the trains keep the order of ``paths``.

    Raises :class:`ConfigError` as that does, and if a file holds anything but one train.
    """
    imported = [
        import_measurement(path, reader=reader, given=given, options=options) for path in paths
    ]
    measurements = [one.measurement for one in imported]
    for path, one in zip(paths, measurements, strict=True):
        if one.kind != "trains" or one.columns["train"].any():
            raise ConfigError(
                f"holds {one.kind} in columns: files of one train each can be joined, import this"
                " one by itself",
                file=str(path),
            )
    messages = list(_messages(paths, [one.messages for one in imported]))
    return Imported(_joined(measurements), [*messages, *_pulses(measurements)])


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
        kind="trains",
        title=measurements[0].title,
        conditions=Conditions.parse(conditions),
        columns=train_columns(
            [one.columns["conductance_s"] for one in measurements],
            cells=[0] * len(measurements),
            amplitudes_v=[_pulse(one)[0] for one in measurements],
            widths_s=[_pulse(one)[1] for one in measurements],
        ),
        **texts,
    )


def _pulse(measurement: Measurement) -> tuple[float, float]:
    """Return amplitude (volts) and width (seconds) of the first pulse of a measurement."""
    columns = measurement.columns
    return float(columns["amplitude_v"][0]), float(columns["width_s"][0])


def _messages(paths: Sequence[Path], by_file: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield messages common to all files once, and others after the names of their files."""
    for line in _once(line for messages in by_file for line in messages):
        named = [path.name for path, own in zip(paths, by_file, strict=True) if line in own]
        yield line if len(named) == len(paths) else f"{', '.join(named)}: {line}"


def _pulses(measurements: Sequence[Measurement]) -> Iterator[str]:
    pulses = [_pulse(one) for one in measurements]
    for amplitude_v, width_s in dict.fromkeys(pulses):
        number = pulses.count((amplitude_v, width_s))
        yield f"{number} trains of {amplitude_v:g} V, {width_s:g} s, taken to be of one cell"


def _once(texts: Iterator[str]) -> list[str]:
    return [text for text in dict.fromkeys(texts) if text]
