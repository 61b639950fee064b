"""Implement ``hwloop import``: turn recorded data into a dataset, or explain what a file holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwloop.errors import ConfigError
from hwloop.terminal import say


def import_(
    sources: Annotated[
        list[Path],
        typer.Argument(help="A file of recorded data; several, or a folder, of trains or sweeps."),
    ],
    *,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="The dataset file to write (.h5).")
    ] = None,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Show what the file holds and what each reader says of it."),
    ] = False,
    reader: Annotated[
        str | None, typer.Option(help="The reader; found by itself if left out.")
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="What the file does not say, e.g. width_s='50 ms'."
        ),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--column",
            metavar="QUANTITY=NAME",
            help="What a column holds, by its name or number, e.g. voltage_v=AV.",
        ),
    ] = None,
    units: Annotated[
        list[str] | None,
        typer.Option(
            "--unit", metavar="QUANTITY=UNIT", help="In which unit it is, e.g. current_a=nA."
        ),
    ] = None,
    skip: Annotated[int, typer.Option(min=0, help="Lines to leave out at the begin.")] = 0,
    sheet: Annotated[str, typer.Option(help="Sheet of a workbook, by name or number.")] = "",
    table: Annotated[
        str, typer.Option(help="Table of a file that holds several, by name or number.")
    ] = "",
    separator: Annotated[
        str, typer.Option(help="What separates fields: a comma, a semicolon, tab or blanks.")
    ] = "",
    decimal: Annotated[str, typer.Option(help="The decimal mark: a point or a comma.")] = "",
    thousands: Annotated[
        str, typer.Option(help="The mark of thousands; never recognised by itself.")
    ] = "",
) -> None:
    """Turn recorded conductance data into a file that the emulator can play."""
    from hwloop.datasets.explaining import explain as explained
    from hwloop.datasets.joining import import_files
    from hwloop.datasets.measurement import write_measurement
    from hwloop.datasets.tables.options import TableOptions, pairs

    options = TableOptions(
        separator=separator,
        decimal=decimal,
        thousands=thousands,
        skip=skip,
        sheet=sheet,
        table=table,
        columns=pairs(columns or (), "--column"),
        units=dict(pairs(units or (), "--unit")),
    )
    if explain:
        for path in sources:
            for line in explained(path, options):
                say(line)
        return
    if out is None:
        raise ConfigError("missing: name the dataset file to write", key="--out")
    values = dict(pairs(given or (), "--set", form="KEY=VALUE"))
    imported = import_files(sources, reader=reader, given=values, options=options)
    write_measurement(imported.measurement, out)
    for message in imported.messages:
        say(message)
    say(f"dataset: {out}")
