"""Commands of the bench: thin, and import what they need only when they run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwloop.terminal import say


def safe(*, station: Annotated[Path, typer.Option(help="The station, a YAML file.")]) -> None:
    """Switch every output of a station off and ground every line, by hand; also during a run."""
    from hwloop.errors import ConnectionLost
    from hwloop.station.station import load_station
    from hwloop_drivers.safety.by_hand import make_safe_by_hand
    from hwloop_drivers.virtual_bench import find

    loaded = load_station(station)
    addresses = None
    if loaded.is_virtual:
        bench = find(station)
        if bench is None:
            raise ConnectionLost(f"{station}: no virtual bench runs; nothing is on")
        addresses = bench.addresses
        bench.close()
    for line in make_safe_by_hand(loaded, addresses, note=lambda line: say(line, err=True)):
        say(line)


def instruments(
    *,
    visa: Annotated[
        list[str] | None,
        typer.Option(help="Ask this VISA library too: @ivi for an installed one, or a path."),
    ] = None,
    ask: Annotated[
        bool,
        typer.Option(help="Ask each for its identity; not while a run uses them."),
    ] = True,
    ask_serial: Annotated[
        bool,
        typer.Option("--ask-serial", help="Ask serial ports as well; a strange device may react."),
    ] = False,
    json_line: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
) -> None:
    """Say what is connected, and which driver fits."""
    from hwloop_drivers.discovery.page import page
    from hwloop_drivers.discovery.survey import survey

    seen = survey(visa_libraries=("@py", *(visa or [])), ask=ask, ask_serial=ask_serial)
    if json_line:
        import json
        from dataclasses import asdict

        say(json.dumps(asdict(seen)))
        return
    for line in page(seen):
        say(line)
