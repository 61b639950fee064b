"""Names that an installed VISA knows: aliases, COM3, visa://host; links without device clear."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import pyvisa
from pyvisa.constants import StatusCode
from pyvisa.errors import VisaIOError

from hwloop.errors import ConfigError, ConnectionLost
from hwloop_drivers.links.link import LinkSettings
from hwloop_drivers.links.opening import open_link
from hwloop_drivers.links.same_instrument import identities
from hwloop_drivers.links.visa_address import unaliased, visa_resource
from hwloop_sim.virtual.bench.servers import serve_serial, serve_socket

IVI = LinkSettings(visa_library="@ivi", timeout_s=2)


class _Echo:
    def answer(self, message: str) -> bytes | None:
        return message.encode() + b"\n"

    def device_clear(self) -> None:
        raise AssertionError("a stream has no device clear")

    def connected(self, change: int) -> None:
        pass


class _Installed:
    """An installed VISA with aliases, which opens what they stand for by pyvisa-py."""

    real: Any
    aliases: dict[str, str]
    opened: list[str]

    def __init__(self, library: str) -> None:
        assert library == "@ivi"

    def resource_info(self, name: str) -> Any:
        if name not in self.aliases:
            raise VisaIOError(StatusCode.error_invalid_resource_name)
        return SimpleNamespace(resource_name=self.aliases[name])

    def open_resource(self, name: str, **options: Any) -> Any:
        self.opened.append(name)
        if name not in self.aliases:
            raise VisaIOError(StatusCode.error_invalid_resource_name)
        return self.real.open_resource(self.aliases[name], **options)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Installed]]:
    socket, stop_socket = serve_socket(_Echo())
    path, stop_serial = serve_serial(_Echo())
    _Installed.real = pyvisa.ResourceManager("@py")
    _Installed.opened = []
    _Installed.aliases = {
        "MY_SMU": socket,
        "visa://lab-pc/ASRL1::INSTR": f"ASRL{path}::INSTR",
        "ASRL3::INSTR": f"ASRL{path}::INSTR",
    }
    monkeypatch.setattr(pyvisa, "ResourceManager", _Installed)
    yield _Installed
    stop_socket()
    stop_serial()


@pytest.mark.parametrize(
    ("address", "opened"),
    [
        ("MY_SMU", "MY_SMU"),
        ("visa://lab-pc/ASRL1::INSTR", "visa://lab-pc/ASRL1::INSTR"),
        ("COM3", "ASRL3::INSTR"),
    ],
)
def test_name_that_the_installed_visa_knows_is_a_link(
    installed: type[_Installed], address: str, opened: str
) -> None:
    link = open_link(address, IVI)
    assert [link.query(f"{n}?") for n in range(5)] == [f"{n}?" for n in range(5)]
    assert link.address == address
    assert installed.opened == [opened]
    link.close()


def test_name_that_it_does_not_know_is_a_lost_connection_that_says_so(
    installed: type[_Installed],
) -> None:
    with pytest.raises(ConnectionLost, match="MY_TYPO: cannot be opened: VI_ERROR_INV_RSRC_NAME"):
        open_link("MY_TYPO", IVI)


def test_alias_is_locked_as_what_it_stands_for(installed: type[_Installed]) -> None:
    assert unaliased("MY_SMU", "@ivi") == installed.aliases["MY_SMU"]
    assert unaliased("MY_TYPO", "@ivi") == "MY_TYPO"
    assert unaliased("MY_SMU", "@py") == "MY_SMU"


def test_unknown_name_is_the_same_in_every_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    here = identities("MY_SMU")
    monkeypatch.chdir(tmp_path)
    assert identities("my_smu") == here == {"alias:my_smu"}


@pytest.mark.parametrize("address", ["MY_SMU", "visa://lab-pc/GPIB0::24::INSTR"])
def test_without_an_installed_visa_the_setting_is_named(address: str) -> None:
    with pytest.raises(ConfigError, match=r"needs an installed VISA .* visa_library: '@ivi'"):
        visa_resource(address, "@py")


def test_address_of_a_wrong_form_is_no_alias() -> None:
    with pytest.raises(ConfigError, match="'TCPPI::host::5025::SOCKET' is no VISA address"):
        visa_resource("TCPPI::host::5025::SOCKET", "@ivi")


def test_device_file_of_a_serial_port_is_a_resource_of_pyvisa_py() -> None:
    path, stop = serve_serial(_Echo())
    link = open_link(path, LinkSettings(timeout_s=2))
    assert link.query("one?") == "one?"
    assert not link.protects_bytes
    link.close()
    stop()


@pytest.mark.parametrize("supported", [True, False])
def test_link_without_device_clear_is_used_one_whose_clear_fails_is_not(
    installed: type[_Installed], monkeypatch: pytest.MonkeyPatch, supported: bool
) -> None:
    """VISA: viClear gives VI_ERROR_NSUP_OPER where the link has no such message."""
    code = StatusCode.error_io if supported else StatusCode.error_nonsupported_operation

    def clear(_: Any) -> None:
        raise VisaIOError(code)

    monkeypatch.setattr(pyvisa.resources.TCPIPSocket, "clear", clear)
    monkeypatch.setattr(pyvisa.resources, "TCPIPSocket", type("OtherClass", (), {}))
    if supported:
        with pytest.raises(ConnectionLost, match="cannot be cleared"):
            open_link("MY_SMU", IVI)
        return
    link = open_link("MY_SMU", IVI)
    assert link.query("one?") == "one?"
    link.close()
