"""Commands of the bench: thin, and import what they need only when they run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def safe(*, station: Annotated[Path, typer.Option(help="The station, a YAML file.")]) -> None:
    """Switch every output of a station off and ground every line, by hand."""
    from hwloop.errors import ConnectionLost
    from hwloop.station import load_station
    from hwloop_drivers.safe import make_station_safe
    from hwloop_drivers.virtual_bench import find

    loaded = load_station(station)
    addresses = None
    if loaded.is_virtual:
        bench = find(station)
        if bench is None:
            raise ConnectionLost(f"{station}: no virtual bench runs; nothing is on")
        addresses = bench.addresses
        bench.close()
    for words in make_station_safe(
        loaded, addresses, note=lambda words: typer.echo(words, err=True)
    ):
        typer.echo(words)
