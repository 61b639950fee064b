"""Two spellings of one instrument's address, and two instruments that are near each other."""

import os
import socket
import sys
from pathlib import Path

import pytest

from hwloop_drivers.links import same_instrument
from hwloop_drivers.links.same_instrument import identities


@pytest.fixture(autouse=True)
def hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network with one instrument, which two names stand for."""
    known = {
        "smu": ["192.0.2.7"],
        "smu.lab.example": ["192.0.2.7", "2001:db8::7"],
        "localhost": ["127.0.0.1"],
    }
    monkeypatch.setattr(same_instrument, "_resolved", lambda name: known.get(name, []))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("TCPIP0::192.0.2.7::inst0::INSTR", "TCPIP::192.0.2.7"),
        ("TCPIP::192.0.2.7::INSTR", "tcpip0::SMU::inst0::INSTR"),
        ("TCPIP::smu::INSTR", "TCPIP::smu.lab.example.::INSTR"),
        ("TCPIP::smu::hislip0::INSTR", "TCPIP::192.0.2.7::hislip0,4880::INSTR"),
        ("TCPIP::smu::5025::SOCKET", "TCPIP::smu::hislip0::INSTR"),
        ("TCPIP::smu::INSTR", "TCPIP1::192.0.2.7::5025::SOCKET"),
        ("TCPIP::localhost::4001::SOCKET", "TCPIP::127.0.0.1::4001::SOCKET"),
        ("socket://192.0.2.7:4001", "TCPIP::smu::4001::SOCKET"),
        ("rfc2217://smu:4001", "socket://smu.lab.example:4001"),
        ("USB0::0x05E6::0x2450::04501234::INSTR", "USB::1510::9296::04501234::0::INSTR"),
        ("USB::0x05e6::0x2450::0450abcd::INSTR", "USB::0x05E6::0x2450::0450ABCD::RAW"),
        ("GPIB::24", "GPIB0::24::INSTR"),
        ("GPIB0::9::2::INSTR", "gpib0::9::2"),
    ],
)
def test_one_instrument_has_a_name_in_common_however_its_address_is_spelt(
    one: str, other: str
) -> None:
    assert identities(one) & identities(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("TCPIP::192.0.2.7::INSTR", "TCPIP::192.0.2.8::INSTR"),
        ("TCPIP::smu::INSTR", "TCPIP::other::INSTR"),
        ("TCPIP::smu::4001::SOCKET", "TCPIP::smu::4002::SOCKET"),  # a terminal server
        ("TCPIP::smu::gpib0,9::INSTR", "TCPIP::smu::gpib0,10::INSTR"),  # a gateway
        ("TCPIP::127.0.0.1::5025::SOCKET", "TCPIP::127.0.0.1::5024::SOCKET"),  # virtual benches
        ("USB::0x05E6::0x2450::1::INSTR", "USB::0x05E6::0x2450::2::INSTR"),
        ("GPIB0::24::INSTR", "GPIB1::24::INSTR"),
        ("GPIB0::9::INSTR", "GPIB0::9::2::INSTR"),
        ("/dev/ttyS0", "/dev/ttyS1"),
    ],
)
def test_two_instruments_have_no_name_in_common(one: str, other: str) -> None:
    assert identities(one)
    assert not identities(one) & identities(other)


def test_own_host_name_is_this_computer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(same_instrument, "_resolved", lambda _: ["127.0.1.1"])
    own = identities(f"TCPIP::{socket.gethostname()}::4001::SOCKET")
    assert own & identities("TCPIP::127.0.0.1::4001::SOCKET")


@pytest.mark.skipif(sys.platform == "win32", reason="needs pseudo-terminals")
def test_serial_port_is_one_by_its_path_by_a_link_to_it_and_through_visa(tmp_path: Path) -> None:
    ends = os.openpty()
    try:
        path = os.ttyname(ends[1])
        link = tmp_path / "usb-FTDI_FT232R-if00-port0"
        link.symlink_to(path)
        names = identities(path)
        assert names == identities(str(link)) == identities(f"ASRL{path}::INSTR")
        assert names == identities(f"ASRL{link}::INSTR") == identities(f"spy://{link}?file=log")
        assert not names & identities("/dev/null")
    finally:
        for end in ends:
            os.close(end)
