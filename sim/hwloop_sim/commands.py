"""``hwloop virtual``: start a station's virtual bench and print its addresses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwloop.terminal import say
from hwloop.types import LARGEST_INTEGER

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping

    from hwloop_sim.virtual.bench.bench import VirtualBench

LINGER_S, WHO_S, WHO_BYTES = 5.0, 2.0, 1 << 16


def virtual(
    station: Annotated[Path, typer.Argument(help="The station, a YAML file.")],
    *,
    procedure: Annotated[
        Path | None, typer.Option(help="Emulate this procedure's array, not the station's.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=LARGEST_INTEGER, help="Instead of the procedure's own.")
    ] = None,
    json_line: Annotated[
        bool, typer.Option("--json", help="Say the addresses as one line of JSON.")
    ] = False,
    dummy: Annotated[
        bool,
        typer.Option("--dummy", help="The self-test's resistors in the array's place."),
    ] = False,
    until_unused: Annotated[
        bool,
        typer.Option(help="End after the standard input was closed and the last client has gone."),
    ] = False,
) -> None:
    """Start the virtual bench of a station and print its addresses; Ctrl-C ends it."""
    import json
    import os
    import threading

    from hwloop.station.rendezvous import rendezvous_file
    from hwloop_sim.virtual.bench.control import serve_control

    bench = _make(station, procedure, seed, dummy=dummy)
    rendezvous = rendezvous_file(station, private_to=os.getpid() if until_unused else None)
    _refuse_second(station, rendezvous)
    stopped = threading.Event()
    bench.start()
    control, stop_control = serve_control(bench, stopped)
    content = {
        "station": str(station.resolve()),
        "addresses": bench.addresses,
        "witness": bench.witness_address,
        "control": control,
    }
    try:
        _leave(station, rendezvous, content, shared=not until_unused)
    except BaseException:
        bench.stop()
        stop_control()
        raise
    if json_line:
        typer.echo(json.dumps(content))
    else:
        for name, address in bench.addresses.items():
            say(f"{name:16} {bench.station.instruments[name].kind:18} {address}")
        if bench.station.witness is not None:
            say(f"{'witness':16} {bench.station.witness.kind:18} {bench.witness_address}")
        say(f"{'control':16} {'JSON lines':18} {control}")
        say("Ctrl-C ends the bench.")
    try:
        _wait(bench, stopped, until_unused=until_unused)
    except KeyboardInterrupt:
        pass
    finally:
        bench.stop()
        stop_control()
        rendezvous.unlink(missing_ok=True)


def _leave(
    station_file: Path, rendezvous: Path, content: Mapping[str, object], *, shared: bool
) -> None:
    """Write the rendezvous file, in the place of one that an earlier bench has left.

    ``shared``: other runs look for it; of two that are started at once, one is refused.
    """
    import contextlib

    from hwloop.file_lock import lock_file
    from hwloop.station.rendezvous import leave_rendezvous

    in_use = "another virtual bench of this station is being started"
    lock = lock_file(rendezvous.with_suffix(".lock"), in_use) if shared else None
    with lock or contextlib.nullcontext():
        _refuse_second(station_file, rendezvous)
        rendezvous.unlink(missing_ok=True)
        leave_rendezvous(rendezvous, content)


def _refuse_second(station_file: Path, rendezvous: Path) -> None:
    """Raise if a bench with this rendezvous file still runs: runs would find one of the two."""
    import json
    import socket

    from hwloop.errors import ConfigError
    from hwloop.station.rendezvous import read_rendezvous

    try:
        said = read_rendezvous(rendezvous)
        host, _, number = said["control"].rpartition(":")
        with socket.create_connection((host, int(number)), timeout=WHO_S) as door:
            door.sendall(b'{"ask": "who"}\n')
            who = json.loads(door.makefile("rb").readline(WHO_BYTES))
    except (OSError, ValueError, KeyError, TypeError):
        return  # none was started, or it has ended
    if who.get("addresses") == said["addresses"]:
        raise ConfigError(
            f"a virtual bench of this station runs already (control {said['control']}):"
            " runs use it; end it first, or copy the station file",
            file=str(station_file),
        )


def _make(
    station_file: Path, procedure_file: Path | None, seed: int | None, *, dummy: bool
) -> VirtualBench:
    from hwloop.backend.kind import BackendKind
    from hwloop.errors import ConfigError
    from hwloop.plugins import BACKENDS, load
    from hwloop.procedure.procedure import load_procedure
    from hwloop.station.station import load_station
    from hwloop_sim.emulator.backend import SimSettings
    from hwloop_sim.virtual.bench.bench import VirtualBench

    station = load_station(station_file)
    named = station.virtual.procedure if station.virtual else None
    path = procedure_file or (station_file.parent / named if named else None)
    if path is None:
        raise ConfigError(
            "no procedure says which array to emulate: name one here or with --procedure",
            key="virtual.procedure",
            file=str(station_file),
        )
    procedure = load_procedure(path)
    kind: BackendKind[SimSettings] = load(BACKENDS, "sim")
    settings = procedure.backend_settings(kind)
    if not isinstance(settings, SimSettings):
        raise TypeError("the settings of backend sim are not of type SimSettings")
    chosen = procedure.seed if seed is None else seed
    return VirtualBench(station, procedure.array, settings, seed=chosen, dummy=dummy)


def _wait(bench: VirtualBench, stopped: threading.Event, *, until_unused: bool) -> None:
    import signal
    import sys
    import threading
    import time

    released = threading.Event()

    def watch() -> None:
        sys.stdin.read()
        released.set()

    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    if until_unused:
        signal.signal(
            signal.SIGINT, signal.SIG_IGN
        )  # Ctrl-C is meant for the run that uses the bench
        threading.Thread(target=watch, daemon=True).start()
    while not stopped.wait(0.2):
        idle_s = time.monotonic() - bench.last_client_s
        if released.is_set() and bench.clients == 0 and idle_s > LINGER_S:
            return
