"""Finding instruments: announced on the network, on serial ports, on virtual benches."""

import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from typer.testing import CliRunner

from hwloop.cli.main import app
from hwloop.station import rendezvous
from hwloop_drivers.discovery import asking, places
from hwloop_drivers.discovery.found import Found
from hwloop_drivers.discovery.survey import survey
from hwloop_sim.virtual.bench.servers import serve_socket

IDENTITY = "KEITHLEY INSTRUMENTS INC.,MODEL 2410,1234567,C34 Sep 21 2016"


class _Box:
    asked = 0

    def answer(self, message: str) -> bytes | None:
        self.asked += 1
        return IDENTITY.encode() + b"\n" if message == "*IDN?" else None

    def device_clear(self) -> None:
        raise AssertionError("a search must not abort what another program does")

    def connected(self, change: int) -> None:
        pass


@pytest.fixture
def box() -> Iterator[tuple[_Box, int]]:
    made = _Box()
    address, stop = serve_socket(made)
    yield made, int(address.split("::")[2])
    stop()


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of this computer's own is found."""
    monkeypatch.setattr(places, "search_visa", lambda seen, library: seen.looked.append(library))
    monkeypatch.setattr(places, "rendezvous_files", lambda: sorted(tmp_path.glob("*.json")))
    monkeypatch.setattr("serial.tools.list_ports.comports", list)
    monkeypatch.setattr(places, "LISTEN_S", 0.5)


@pytest.fixture
def announced(box: tuple[_Box, int], monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    zeroconf = pytest.importorskip("zeroconf")
    monkeypatch.setattr(places, "LISTEN_S", 3.0)  # announcements are late on a busy machine
    _, number = box
    network = zeroconf.Zeroconf(interfaces=["127.0.0.1"])
    text = {"Manufacturer": "Maker", "Model": "M1", "SerialNumber": "7", "FirmwareVersion": "2"}
    for type_, port in (("_scpi-raw._tcp.local.", number), ("_lxi._tcp.local.", 80)):
        network.register_service(
            zeroconf.ServiceInfo(
                type_,
                f"smu.{type_}",
                port=port,
                parsed_addresses=["127.0.0.1"],
                properties=text,
                server="smu-hwloop-test.local.",
            )
        )
    yield number
    network.close()


def test_announced_instrument_is_asked_and_its_driver_named(announced: int) -> None:
    seen = survey(interfaces=["127.0.0.1"])
    raw = next(one for one in seen.found if "scpi-raw" in one.where)
    assert raw.address == f"TCPIP::127.0.0.1::{announced}::SOCKET"
    assert raw.identity == IDENTITY
    assert raw.drivers == ("keithley_2400",)
    page = next(one for one in seen.found if "lxi" in one.where)
    assert page.identity == "Maker,M1,7,2"
    assert page.note == "its web page: http://127.0.0.1:80/"
    assert page.drivers == ()


def test_nothing_is_asked_that_is_not_to_be_asked(announced: int, box: tuple[_Box, int]) -> None:
    seen = survey(ask=False, interfaces=["127.0.0.1"])
    raw = next(one for one in seen.found if "scpi-raw" in one.where)
    assert raw.identity == "Maker,M1,7,2"  # as it is announced
    assert box[0].asked == 0


def test_missing_library_is_said_with_how_to_get_it() -> None:
    with mock.patch.dict(sys.modules, {"zeroconf": None}):
        seen = survey()
    assert seen.found == []
    assert any("pip install 'hwloop[discovery]'" in words for words in seen.missed)


def test_serial_ports_are_asked_only_when_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    port = SimpleNamespace(device="/dev/ttyX", description="a board")
    monkeypatch.setattr("serial.tools.list_ports.comports", lambda: [port])
    monkeypatch.setattr(asking, "_ask_serial", lambda path: f"BOARD at {path}")
    with mock.patch.dict(sys.modules, {"zeroconf": None}):
        (quiet,) = survey().found
        (asked,) = survey(ask_serial=True).found
    assert quiet == Found("/dev/ttyX", "serial port", name="a board", note="not asked")
    assert asked.identity == "BOARD at /dev/ttyX"
    assert asked.note == ""


def test_instrument_that_does_not_answer_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asking, "ANSWER_S", 0.2)
    monkeypatch.setattr(places, "search_visa", _silent_resource)
    with (
        mock.patch.dict(sys.modules, {"zeroconf": None}),
        socket.create_server(("127.0.0.1", 0)) as silent,
    ):
        _silent_resource.number = silent.getsockname()[1]  # type: ignore[attr-defined]
        (one,) = survey().found
    assert one.identity == ""
    assert one.note == "no answer to '*IDN?' within 0.2 s"


def _silent_resource(seen: Any, library: str) -> None:
    number = _silent_resource.number  # type: ignore[attr-defined]
    seen.found.append(Found(f"TCPIP::127.0.0.1::{number}::SOCKET", library))


def test_virtual_bench_that_has_ended_is_not_listed(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:  # another program's port by now
        number = other.getsockname()[1]
        said = {"station": "s.yaml", "addresses": {}, "control": f"127.0.0.1:{number}"}
        (tmp_path / "a.json").write_text(json.dumps(said), "utf-8")
        (tmp_path / "b.json").write_text("{", "utf-8")
        with (
            mock.patch.dict(sys.modules, {"zeroconf": None}),
            mock.patch("hwloop_drivers.virtual_bench.WHO_S", 0.2),
        ):
            assert survey().found == []


def test_command_says_what_was_looked_for_when_nothing_is_there() -> None:
    with mock.patch.dict(sys.modules, {"zeroconf": None}):
        plain = CliRunner().invoke(_app(), ["instruments"])
        data = CliRunner().invoke(_app(), ["instruments", "--json", "--no-ask"])
    assert plain.exit_code == 0, plain.output
    assert plain.stdout.splitlines()[0] == "nothing found"
    assert "looked for  serial ports" in plain.stdout
    assert "could not look for  services on the network" in plain.stdout
    assert json.loads(data.stdout)["found"] == []


def _app() -> Any:
    from hwloop_drivers.commands import instruments

    if not any(c.name == "instruments" for c in app.registered_commands):
        app.command("instruments")(instruments)
    return app


def test_rendezvous_files_are_those_of_any_station(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    shared = rendezvous.rendezvous_file(tmp_path / "s.yaml")
    private = rendezvous.rendezvous_file(tmp_path / "s.yaml", private_to=7)
    for path in (shared, private):
        path.write_text("{}", "utf-8")
    assert rendezvous.rendezvous_files() == sorted([shared, private])
    assert shared != private
