"""The safety table: the state of a bench after everything that can end a run.

``python -m benchmarks.safety`` starts a virtual bench for each incident, runs a shortened
procedure on it, lets the incident happen in mid-train, and reads from the virtual bench the
voltage of every output and every line, at the end and at every change before. Writes
docs/reference/safety.md; the exit code is 1 if anything is not all off and whole.
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

from benchmarks.safety_case import Incident, Seen, prepare, run_incident
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
    yield Incident("the watchdog is killed in the middle of a pulse", unwatched=True)
    yield Incident(
        f"SIGSTOP in the middle of a pulse, SIGCONT after {PAUSE_S:g} s",
        number=signal.SIGSTOP,
        pause_s=PAUSE_S,
    )
    yield Incident("SIGKILL, the run's folder is full of traps", at=0.5, traps=True, **kill)
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


def stations() -> list[Path]:
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
        station = prepare(station_file, inside, real_time=incident.in_pulse, timeout_s=timeout_s)
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


def row(incident: Incident, seen: Seen) -> str:
    """One row of the table."""
    wrong = seen.faults(incident)
    on = ", ".join(seen.left_on)
    outputs = f"**{on} out of reach**, others off" if on else "all off"
    grounded = "all at 0 V" if seen.line_v <= 1e-9 else f"**{seen.line_v:g} V**"
    if seen.not_grounded:
        grounded += ", **as the matrix left them**"
    after = "" if seen.off_after_s is None else f"{max(seen.off_after_s, 0):.1f} s"
    cells = [
        incident.words,
        outputs,
        grounded,
        after,
        ", ".join([f"**{x}**" for x in seen.floating] + [f"{x} at 0 V" for x in seen.floating_cold])
        or "none",
        f"**{seen.hot_moves}**" if seen.hot_moves else "none",
        f"{seen.status}, {seen.operations} operations",
        str(seen.exit_code) + (", says what is left" if incident.dead and seen.said else ""),
        "**" + "; ".join(wrong) + "**" if wrong else "yes",
    ]
    return f"| {' | '.join(cells)} |"


WORDS = """\
# State of a bench after each incident

Written by `make safety` (`python -m benchmarks.safety`); do not edit.

For each row a virtual bench is started, `procedures/manhattan_4x4.yaml` is run on it for
{updates} updates through the real drivers and VISA, and an incident happens in the middle of
the training, at a moment drawn from seed {seed}. Then the virtual bench is asked for the state of
every output and every line, and for every change since it was switched on. Links time out after
{timeout_s:g} s here, after 5 s by default.

- *outputs*, *lines*: at the end. A line is *grounded* by a relay to ground or held at 0 V by an
  output that is off, as the off mode ZERO does.
- *off after*: from the incident to the moment at which the last output went off.
- *floated*: lines that neither ground nor an output held at any moment after the first output
  had been switched on; *at 0 V* where every output was at 0 V or off. A pulse generator that is off
  is disconnected: its line floats, undriven, until the matrix has grounded it.
- *hot*: relay movements while any output was not at 0 V.
- *record*: its status and how many operations read back. Every pulse that the array has had is in
  it, except for the operation in flight.
- *exit*: of the run; by signal if negative.

An instrument that never answers again cannot be switched off by anyone but its user. Then all
others are off, the lines are grounded if the matrix still responds, though its relays move under
the voltage of the lost source, and the error, the record's log and
`<record>.watchdog.txt` name the instrument that may still be on.
"""
HEAD = (
    "| incident | outputs | lines | off after | floated | hot | record | exit | in order |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)


def main(
    station: Annotated[list[Path] | None, typer.Option(help="Only these stations.")] = None,
    out: Annotated[Path, typer.Option(help="Where the table goes.")] = TABLE,
    seed: Annotated[int, typer.Option(help="Of the moments.")] = 1,
    only: Annotated[str, typer.Option(help="Only incidents with this in their words.")] = "",
) -> None:
    """Try everything on every station and write the table."""
    text = [WORDS.format(updates=UPDATES, seed=seed, timeout_s=TIMEOUT_S)]
    wrong = 0
    for path in station or stations():
        loaded = load_station(path)
        chosen = list(incidents(loaded, random.Random(seed)))  # noqa: S311 - no secret
        chosen = [chosen[0], *(i for i in chosen[1:] if only in i.words)]
        text += [f"\n## {loaded.name}\n", HEAD]
        with tempfile.TemporaryDirectory() as folder:
            for incident, seen in try_station(path, chosen, Path(folder)):
                if isinstance(seen, BackendError):
                    line, bad = f"| {incident.words} | **{seen}** ||||||||", True
                else:
                    line, bad = row(incident, seen), bool(seen.faults(incident))
                    if bad:
                        print(seen.words, file=sys.stderr)
                print(line, flush=True)
                text.append(line)
                wrong += bad
    if not only:
        out.write_text("\n".join(text) + "\n", encoding="utf-8")
    raise typer.Exit(1 if wrong else 0)


if __name__ == "__main__":
    typer.run(main)
