"""The bench on serial ports: two 2400 and a board, virtual ones behind pseudo-terminals."""

import json
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hwloop.errors import BackendError, ConnectionLost, InstrumentFault
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import load_procedure
from hwloop.record.reader import Record
from hwloop.station.station import load_station
from hwloop_drivers.instruments.serial_board import SerialBoard
from hwloop_drivers.station.configured import configured_instruments
from hwloop_drivers.virtual_bench import VirtualBenchLink, find

if sys.platform == "win32":
    pytest.skip("pseudo-terminals are POSIX", allow_module_level=True)

ROOT = Path(__file__).parents[3]
PROCEDURE = ROOT / "procedures" / "manhattan_4x4.yaml"
STATION = ROOT / "stations" / "virtual_serial_board.yaml"
GROUNDED = [f"board:r3c{n}" for n in range(1, 9)]
READ_V, RESOLUTION_A = 0.05, 10e-12  # Keithley 2400, 1 µA range


def _run(out: Path, backend: str) -> Record:
    procedure = load_procedure(PROCEDURE, [f"backends.bench.station={STATION.as_posix()}"])
    path = out / f"{backend}.h5"
    run_procedure(procedure, RunOptions(backend, path, seed=22)).raise_unless_reached()
    return Record(path)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[tuple[Path, VirtualBenchLink]]:
    station = tmp_path / "station.yaml"
    text = STATION.read_text(encoding="utf-8").replace("watchdog_s: 2", "watchdog_s: 1")
    station.write_text(text.replace("../procedures", (ROOT / "procedures").as_posix()), "utf-8")
    command = [sys.executable, "-m", "hwloop.cli", "virtual", str(station), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            json.loads(process.stdout.readline())
            link = find(station)
            assert link is not None
            yield station, link
            link.close()
        finally:
            process.terminate()


def test_addresses_are_visa_resources_and_the_boards_plain_path(
    bench: tuple[Path, VirtualBenchLink],
) -> None:
    addresses = bench[1].addresses
    assert addresses["row_smu"].startswith("ASRL/dev/")
    assert addresses["row_smu"].endswith("::INSTR")
    assert addresses["board"].startswith("/dev/")


def test_board_grounds_every_line_when_its_host_is_killed_and_the_next_one_is_told(
    bench: tuple[Path, VirtualBenchLink],
) -> None:
    station, link = bench
    host = textwrap.dedent("""
        import json, sys, time
        from pathlib import Path
        from hwloop.station.station import load_station
        from hwloop_drivers.station.configured import configured_instruments
        station, addresses = Path(sys.argv[1]), json.loads(sys.argv[2])
        board = next(s for s in configured_instruments(load_station(station), addresses) if s.name == "board").open()
        board.reset()
        board.change(close=["r1c1", "r2c5"], open_=["r3c1", "r3c5"])
        print("routed", flush=True)
        time.sleep(60)
    """)
    with subprocess.Popen(
        [sys.executable, "-c", host, str(station), json.dumps(link.addresses)],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "routed\n"
        time.sleep(2.5)  # beyond the watchdog's time: the driver keeps the board alive
        routed = link.ask("status")["closed"]
        process.kill()
    assert {"board:r1c1", "board:r2c5"} <= set(routed)
    _wait_until(lambda: link.ask("status")["closed"] == GROUNDED)
    slot = next(
        s
        for s in configured_instruments(load_station(station), link.addresses)
        if s.name == "board"
    )
    board = slot.open()
    assert isinstance(board, SerialBoard)
    with pytest.raises(InstrumentFault, match="heard nothing for too long"):
        board._ask("SET r1c1")
    board.shutdown()


def test_outputs_are_off_and_lines_grounded_after_a_run_over_serial_ports_is_killed(
    bench: tuple[Path, VirtualBenchLink], tmp_path: Path
) -> None:
    station, link = bench
    record = tmp_path / "r.h5"
    run = subprocess.Popen(
        [
            *(sys.executable, "-m", "hwloop.cli", "run", str(PROCEDURE), "--backend", "bench"),
            *("--station", str(station), "--out", str(record)),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _wait_until(lambda: record.exists() and all(link.ask("status")["outputs_on"].values()))
    run.kill()
    run.wait()
    _wait_until(lambda: not any(link.ask("status")["outputs_on"].values()))
    _wait_until(lambda: link.ask("status")["closed"] == GROUNDED)
    status = link.ask("status")
    assert set(status["outputs_v"].values()) == {None}
    assert set(status["lines_v"].values()) == {0.0}
    with Record(record) as kept:
        assert kept.status == "interrupted"


def test_board_that_answers_garbage_or_late_is_never_believed(
    bench: tuple[Path, VirtualBenchLink],
) -> None:
    station, link = bench
    slot = next(
        s
        for s in configured_instruments(load_station(station), link.addresses)
        if s.name == "board"
    )
    for fault in ({"kind": "garbage"}, {"kind": "late", "delay_s": 1.2}, {"kind": "ignore"}):
        board = slot.open()
        board.reset()
        link.ask("fault", fault={"instrument": "board", "text": "SET", "count": 1, **fault})
        with pytest.raises(BackendError):
            board.open_all()
        board.link.close()
        board = slot.open()
        board.safe_state()
        assert board.closed == {name.partition(":")[2] for name in GROUNDED}
        board.shutdown()


def test_port_that_drops_is_a_lost_connection(bench: tuple[Path, VirtualBenchLink]) -> None:
    station, link = bench
    for name in ("board", "row_smu"):
        slot = next(
            s
            for s in configured_instruments(load_station(station), link.addresses)
            if s.name == name
        )
        instrument = slot.open()
        link.ask("fault", fault={"instrument": name, "kind": "drop"})
        with pytest.raises(ConnectionLost):
            instrument.verify_identity()
        instrument.link.close()


def _wait_until(holds: object, *, at_most_s: float = 30) -> None:
    end_s = time.monotonic() + at_most_s
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < end_s, "did not come about"
        time.sleep(0.05)
