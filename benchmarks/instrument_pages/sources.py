"""Sources of commands: a file for each page, docs/reference/instruments/sources/NAME.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from hwloop.errors import ConfigError
from hwloop.settings.model import Settings
from hwloop.settings.yaml import read_yaml

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "reference" / "instruments"
FOLDER = PAGES / "sources"

Mark = Literal["confirmed", "seen", "unconfirmed"]


class Entry(Settings):
    """What is known of one command, or of a few that belong together.

    ``mark``: ``confirmed`` by the maker's text, ``seen`` in a driver that has met hardware, or
    ``unconfirmed``. ``source``: one of the file's texts; ``page``: its page or topic.
    ``try_first``: how a lab finds out, for what is unconfirmed. The others are in own words.
    """

    commands: tuple[str, ...] = Field(min_length=1)
    mark: Mark
    source: str = ""
    page: str = ""
    does: str = Field(min_length=1)
    limits: str = ""
    after_reset: str = ""
    side_effects: str = ""
    timing: str = ""
    doubt: str = ""
    try_first: str = ""

    @model_validator(mode="after")
    def _supported(self) -> Self:
        if self.mark != "unconfirmed" and not (self.source and self.page):
            raise ValueError(f"{self.commands[0]!r} is {self.mark}, but by no source and page")
        if self.mark == "unconfirmed" and not self.try_first:
            raise ValueError(f"{self.commands[0]!r} is unconfirmed: say what to try in try_first")
        return self


class Sources(Settings):
    """The sources of one page. ``texts``: a short name of each text, and what it is.

    ``widths``: which widths of pulses the driver makes, within which tolerance, and which it
    refuses. ``rules``: what the texts say of no single command. ``try_first``: what they leave
    open.
    """

    title: str
    texts: dict[str, str]
    widths: str = ""
    rules: tuple[str, ...] = ()
    try_first: tuple[str, ...] = ()
    commands: tuple[Entry, ...]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for entry in self.commands:
            if entry.source and entry.source not in self.texts:
                raise ValueError(f"{entry.commands[0]!r}: {entry.source!r} is none of the texts")
        named = [command for entry in self.commands for command in entry.commands]
        twice = sorted({command for command in named if named.count(command) > 1})
        if twice:
            raise ValueError(f"more than one entry for {', '.join(twice)}")
        return self

    def by_command(self) -> dict[str, Entry]:
        """Return the entry of each command."""
        return {command: entry for entry in self.commands for command in entry.commands}


def load(name: str, folder: Path = FOLDER) -> Sources:
    """Return the sources of a page; raises :class:`ConfigError` with file, place and reason."""
    path = folder / f"{name}.yaml"
    try:
        return Sources.parse(read_yaml(path))
    except ConfigError as exc:
        raise ConfigError(str(exc) if str(path) in str(exc) else f"{path.name}: {exc}") from exc
