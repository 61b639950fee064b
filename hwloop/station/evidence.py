"""Evidence that a driver has met a box: records of ``hwloop accept``, one JSON file each."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from hwloop import plugins
from hwloop.errors import ConfigError
from hwloop.settings.foreign_files import read_bounded

FORMAT = "hwloop acceptance 1"
MOST_BYTES = 32 * 2**20


@dataclass(frozen=True)
class Evidence:
    """One instrument of one acceptance test.

    ``counts``: findings by verdict, of the whole bench. ``virtual``: a virtual bench has answered,
    which is evidence about no box.
    """

    driver: str
    identity: str
    date: str
    station: str
    accepted: bool
    virtual: bool
    counts: dict[str, int]

    def __str__(self) -> str:
        """Return the evidence as a line for a listing."""
        counts = ", ".join(f"{number} {verdict}" for verdict, number in self.counts.items())
        verdict = "accepted" if self.accepted else "not accepted"
        line = f"{self.identity}, {self.date}, station {self.station}: {verdict} ({counts})"
        return f"virtual, not counted: {line}" if self.virtual else line


def read_evidence(file: Path) -> list[Evidence]:
    """Return the evidence in one record; raises :class:`ConfigError` where it is none."""
    try:
        data = json.loads(read_bounded(file, MOST_BYTES))
        if data["format"] != FORMAT:
            raise ConfigError(f"has the format {data['format']!r}, not {FORMAT!r}", file=str(file))
        return list(_each(data))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        reason = f"is no record of an acceptance test: {type(exc).__name__}: {exc}"
        raise ConfigError(reason, file=str(file)) from None


def _each(data: dict[str, Any]) -> Iterator[Evidence]:
    counts = Counter(str(finding["verdict"]) for finding in data["findings"])
    for name, driver in data["drivers"].items():
        said = data["instruments"].get(name, {})
        yield Evidence(
            driver=str(driver),
            identity=str(said.get("id", "no identity")),
            date=str(data["began_utc"])[:10],
            station=str(data["station"]),
            accepted=data["accepted"] is True,
            virtual=data["virtual"] is not False,
            counts=dict(counts),
        )


def evidence_in(folders: Iterable[Path]) -> Iterator[tuple[str, str]]:
    """Yield driver and line of all evidence in folders, boxes first; a file that is none is named.

    Raises :class:`ConfigError` for a folder that is not there.
    """
    found: list[Evidence] = []
    unread: list[tuple[str, str]] = []
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError("is no folder", file=str(folder))
        for file in sorted(folder.glob("*.json")):
            try:
                found += read_evidence(file)
            except ConfigError as exc:
                unread.append((file.name, str(exc)))
    for one in sorted(found, key=lambda one: (one.virtual, one.driver, one.date)):
        yield one.driver, str(one)
    yield from unread


def shipped_evidence() -> Iterator[tuple[str, str]]:
    """Yield driver and line of the evidence that installed packages bring along."""
    for package in plugins.load_all(plugins.EVIDENCE).values():
        with as_file(files(package)) as folder:
            yield from evidence_in([folder])
