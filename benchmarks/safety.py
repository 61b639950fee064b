"""The safety table: the state of a bench after everything that can end a run.

``python -m benchmarks.safety`` starts a virtual bench for each incident, runs a shortened
procedure on it, lets the incident happen in mid-train, and reads from the virtual bench the
voltage of every output and every line, at the end and at every change before. Writes
docs/reference/safety.md; the exit code is 1 if anything is not all off and whole. With
``--stations virtual_4x4`` or ``--rows "SIGKILL,second run"`` only those are tried, with
``--untried`` only rows that the page does not have yet; its other rows stay as they are.
"""

from __future__ import annotations

import random
import signal
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.safety_case import run_incident
from benchmarks.safety_page import Page, is_wrong, row
from benchmarks.safety_seen import Incident, Seen
from benchmarks.safety_start import prepare
from hwloop.errors import BackendError
from hwloop.station.station import Station, load_station

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "docs" / "reference" / "safety.md"
TIMEOUT_S = 2.0
UPDATES = 4
PAUSE_S = 60.0


def incidents(station: Station, moment: random.Random) -> Iterator[Incident]:
    """Everything that is tried on a station; the first is the undisturbed run."""
    yield Incident("nothing: the run ends by itself", ends="completed")
    yield Incident("an exception in the step", raises=True)
    stop = {"ends": "stopped"}
    for number in (signal.SIGINT, signal.SIGTERM):
        yield Incident(f"{number.name} at any moment", number=number, at=_mid(moment), **stop)
    kill = {"number": signal.SIGKILL, "ends": "interrupted"}
    yield Incident("SIGKILL at any moment", at=_mid(moment), **kill)
    yield Incident("SIGKILL, the virtual bench is the run's own", at=0.5, private=True, **kill)
    yield Incident(
        "SIGHUP, as when the terminal is closed",
        number=signal.SIGHUP,
        at=_mid(moment),
        **stop,
    )
    yield Incident(
        "SIGINT twice, in the middle of a pulse", number=signal.SIGINT, twice=True, **stop
    )
    yield Incident("SIGTERM in the middle of a pulse", number=signal.SIGTERM, **stop)
    yield Incident("SIGKILL in the middle of a pulse", **kill)
    yield Incident("the station file is deleted, then SIGKILL", station="", **kill)
    yield Incident("the station file is half saved, then SIGKILL", station="name: [", **kill)
    yield Incident(
        "the watchdog is killed in the middle of a pulse", unwatched=True, number=signal.SIGKILL
    )
    yield Incident(
        "the watchdog is stopped in the middle of a pulse", unwatched=True, number=signal.SIGSTOP
    )
    yield Incident(
        f"SIGSTOP in the middle of a pulse, SIGCONT after {PAUSE_S:g} s",
        number=signal.SIGSTOP,
        pause_s=PAUSE_S,
        board_grounds=any(e.kind == "serial_board" for e in station.instruments.values()),
    )
    yield Incident("SIGKILL, the run's folder is full of traps", at=0.5, traps=True, **kill)
    yield Incident("a second run is started on the station", at=0.1, ends="completed", second=True)
    yield Incident("the terminal vanishes", terminal=True, at=_mid(moment), **stop)
    yield Incident("the disk of the record becomes full", full_disk=True, at=0.3, ends="failed")
    for name, entry in station.instruments.items():
        at = {"instrument": name, "at": _mid(moment)}
        serial = entry.address.startswith("virtual:serial")
        if not serial:
            yield Incident(f"{name} closes its link", fault="drop", **at)
        yield Incident(f"{name} answers once, but after the time-out", fault="late", **at)
        yield Incident(f"{name} answers garbage once", fault="garbage", **at)
        yield Incident(f"{name} answers a stream without end", fault="stream", **at)
        if not serial:  # a port is no link: it does not come and go
            yield Incident(f"{name} answers nothing until it gets a new link", fault="hang", **at)
        yield Incident(f"{name} answers nothing any more, ever", fault="ignore", dead=True, **at)
        yield Incident(f"{name} disappears and refuses new links", fault="gone", dead=True, **at)
    rows = station.wiring.drive.rows.partition(".")[0]
    stall = {"instrument": rows, "fault": "stall", "at": 0.5}
    yield Incident(f"{rows} stops in the middle of a pulse", **stall)
    yield Incident(
        f"{rows} stops in the middle of a pulse and disappears", then="gone", dead=True, **stall
    )


def _mid(moment: random.Random) -> float:
    return moment.uniform(0.35, 0.8)


def stations_with_bench() -> list[Path]:
    """Every station of the project that has a virtual bench."""
    found = sorted((ROOT / "stations").glob("*.yaml"))
    return [path for path in found if load_station(path).virtual is not None]


def try_station(
    station_file: Path,
    chosen: list[Incident],
    folder: Path,
    *,
    timeout_s: float = TIMEOUT_S,
    updates: int = UPDATES,
    at_once: int = 0,
) -> Iterator[tuple[Incident, Seen | BackendError]]:
    """Let every incident happen, some at once, each on a bench of its own.

    The first must be the undisturbed run; the others take their moments from it. ``at_once`` 0:
    two, but one where there are serial ports, whose names go from one bench to the next.
    """
    entries = load_station(station_file).instruments.values()
    serial = any(entry.address.startswith("virtual:serial") for entry in entries)
    at_once = at_once or (1 if serial else 2)

    def attempt(n: int, incident: Incident, usual: Seen | None) -> Seen | BackendError:
        inside = folder / str(n)
        inside.mkdir()
        station = prepare(
            station_file,
            inside,
            real_time=incident.in_pulse or incident.second,
            timeout_s=timeout_s,
        )
        try:
            return run_incident(station, incident, inside, usual=usual, updates=updates)
        except BackendError as exc:
            return exc

    first = attempt(0, chosen[0], None)
    yield chosen[0], first
    if isinstance(first, BackendError):
        return
    with ThreadPoolExecutor(at_once) as pool:
        futures = [
            pool.submit(attempt, n, incident, first) for n, incident in enumerate(chosen[1:], 1)
        ]
        for incident, future in zip(chosen[1:], futures, strict=True):
            yield incident, future.result()


def main(
    stations: Annotated[str, typer.Option(help="Only these: names, or files, by commas.")] = "",
    rows: Annotated[str, typer.Option(help="Only rows with one of these in their words.")] = "",
    untried: Annotated[bool, typer.Option("--untried", help="Only rows not on the page.")] = False,
    out: Annotated[Path, typer.Option(help="The page that the rows are put into.")] = TABLE,
    seed: Annotated[int, typer.Option(help="Of the moments.")] = 1,
    at_once: Annotated[int, typer.Option(help="How many side by side; 0: by the station.")] = 0,
) -> None:
    """Try everything on every station, or part of it, and put what was seen into the page."""
    page = Page(out)
    wrong = 0
    for path in _chosen_stations(stations):
        station = load_station(path)
        every = list(incidents(station, random.Random(seed)))  # noqa: S311 - no secret
        page.begin(station.name, [incident.words for incident in every])
        chosen = [
            incident
            for incident in every[1:]
            if _is_chosen(incident, rows)
            and (not untried or page.is_untried(station.name, incident.words))
        ]
        if not chosen:
            continue
        with tempfile.TemporaryDirectory() as folder:
            for incident, seen in try_station(
                path, [every[0], *chosen], Path(folder), at_once=at_once
            ):
                line, bad = row(incident, seen), is_wrong(incident, seen)
                if bad and isinstance(seen, Seen):
                    print(seen.words, file=sys.stderr)
                print(line, flush=True)
                page.put(station.name, incident.words, line)
                page.write(updates=UPDATES, seed=seed, timeout_s=TIMEOUT_S)
                wrong += bad
    raise typer.Exit(1 if wrong else 0)


def _chosen_stations(names: str) -> list[Path]:
    every = {path.stem: path for path in stations_with_bench()}
    return [every.get(name, Path(name)) for name in names.split(",") if name] or [*every.values()]


def _is_chosen(incident: Incident, rows: str) -> bool:
    return not rows or any(words in incident.words for words in rows.split(",") if words)


if __name__ == "__main__":
    typer.run(main)
