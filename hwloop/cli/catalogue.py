"""The commands `runs` and `note`: records and imports are found again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwloop.errors import ConfigError
from hwloop.terminal import say

if TYPE_CHECKING:
    from hwloop.catalogue.listing import CatalogueAnswer

_COLUMNS = ("procedure", "backend", "started", "status", "outcome")
_LONGEST_CELL = 60


def runs(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Folders of records, with those below; or records.", show_default="runs"
        ),
    ] = None,
    *,
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CONDITIONS",
            help="Conditions that all hold, e.g. 'procedure=manhattan_4x4 seed<10 converged=true'."
            " Operators: = != < <= > >= and ~ (contains).",
        ),
    ] = None,
    sort: Annotated[
        str, typer.Option(metavar="NAME", help="What to sort by; descending with - in front.")
    ] = "-started",
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,NAME",
            help="What to show of each instead: attributes, settings (steps.0.settings.gain),"
            " results (train_manhattan.epoch, or epoch), tags, notes.",
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Show at most so many.")] = None,
    json_lines: Annotated[
        bool, typer.Option("--json", help="One JSON object a line, for programs.")
    ] = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Read every file again, whatever the index says.")
    ] = False,
) -> None:
    """List, search and compare records and imports."""
    from hwloop.catalogue.conditions import parse_conditions
    from hwloop.catalogue.listing import CatalogueQuery, ask

    shown = tuple(filter(None, (one.strip() for one in (columns or "").split(",")))) or _COLUMNS
    question = CatalogueQuery(
        columns=shown if columns else (*shown, "tags", "notes"),
        conditions=parse_conditions(where or ()),
        sort=sort,
        limit=limit,
        rebuild=rebuild,
    )
    places = folders or [Path("runs")]
    answer = ask(places, question)
    if answer.remark:
        say(f"hwloop: warning: {answer.remark}", err=True)
    if json_lines:
        for one in answer.listed:
            facts = {name: _plain(name, one.facts.get(name)) for name in question.columns}
            say(json.dumps({"path": one.path, **facts}))
        return
    _print_table(answer, shown if columns else _usual(answer))
    if len(answer.listed) < answer.files:
        shown_of = f"{len(answer.listed)} of " if len(answer.listed) < answer.matching else ""
        say(f"{shown_of}{answer.matching} matching, of {answer.files} files", err=True)
    elif not answer.files:
        say(f"no records in {', '.join(map(str, places))}", err=True)


def note(
    record: Annotated[Path, typer.Argument(help="The record of a run, or an import.")],
    text: Annotated[str, typer.Argument(help="The note.", show_default=False)] = "",
    *,
    tag: Annotated[list[str] | None, typer.Option(help="Add a tag, one word.")] = None,
    untag: Annotated[list[str] | None, typer.Option(help="Take a tag off.")] = None,
) -> None:
    """Add a note or a tag to a run or an import; the record itself is not changed."""
    from hwloop.catalogue.files import files_in
    from hwloop.catalogue.reading import read_facts, run_of
    from hwloop.errors import RecordError
    from hwloop.record.notes import add_note, notes_path

    if not (text.strip() or tag or untag):
        raise ConfigError(f"{record}: say something: a text, --tag or --untag")
    if record.is_dir():
        raise RecordError(f"{record}: is a folder; name a record in it")
    files = files_in([record])
    if not files:
        raise RecordError(
            f"{record}: is no record or import: its name does not end in .h5 or .hdf5"
        )
    ((_, facts),) = read_facts(files)
    if facts["status"] in {"damaged", "foreign"}:
        raise RecordError(f"{record}: is no record or import: {facts['outcome']}")
    add_note(record, run_of(facts), text.strip(), tags=tag or (), removed=untag or ())
    say(f"noted in {notes_path(record)}")


def _plain(name: str, value: object) -> object:
    """Return a fact as JSON has it: tags and notes as lists."""
    from hwloop.catalogue.conditions import LISTS

    return (str(value).split("\n") if value else []) if name in LISTS else value


def _usual(answer: CatalogueAnswer) -> tuple[str, ...]:
    """Return the usual columns, with tags and notes where there are any."""
    has = {name for one in answer.listed for name in one.facts}
    return (*_COLUMNS, *(name for name in ("tags", "notes") if name in has))


def _print_table(answer: CatalogueAnswer, columns: Sequence[str]) -> None:
    """Print a line a file, columns below each other: rich would take seconds for thousands."""
    if not answer.listed:
        return
    from hwloop.catalogue.conditions import text_of
    from hwloop.messages import shortened

    rows = [("run", *columns)]
    for one in answer.listed:
        cells = []
        for name in columns:
            value = one.facts.get(name)
            if name in {"started", "ended"} and isinstance(value, str):
                value = value[:19]
            cells.append(text_of(value))
        rows.append((text_of(one.path), *cells))
    last = len(columns)
    rows = [
        tuple(
            cell if at in (0, last) else shortened(cell, _LONGEST_CELL)
            for at, cell in enumerate(row)
        )
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    say("\n".join(lines))
