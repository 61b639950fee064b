"""QCoDeS's own driver, as it is, against the virtual 3706A over its TCP socket."""

from collections.abc import Iterator
from typing import Any

import pytest

from hwloop_sim.virtual.bench.servers import serve_socket
from hwloop_sim.virtual.instruments.keithley_3706a import (
    Keithley3706A as VirtualKeithley3706A,
)
from tests.matrix_box import MatrixBox
from tests.third_party.served import ServedMatrix

pytest.importorskip("qcodes", reason="QCoDeS is not installed: pip install hwloop[third-party]")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

WIRES = {
    "row0": {"smu": "1101", "gnd": "1301"},
    "row1": {"smu": "1102", "gnd": "1303"},
    "col0": {"smu2": "1203", "gnd": "1302"},
    "col1": {"smu2": "1204", "gnd": "1304"},
}


@pytest.fixture
def box() -> MatrixBox:
    return MatrixBox(VirtualKeithley3706A, WIRES)


@pytest.fixture
def switch(box: MatrixBox) -> Iterator[Any]:
    from qcodes.instrument_drivers.Keithley import Keithley3706A

    address, stop = serve_socket(ServedMatrix(box))
    made = Keithley3706A("switch", address, visalib="@py")
    yield made
    made.close()
    stop()


def test_qcodes_connects_and_finds_the_card_and_its_interlocks(switch: Any) -> None:
    assert switch.get_idn()["vendor"] == "KEITHLEY INSTRUMENTS INC."
    assert switch.get_idn()["model"] == "3706A"
    (card,) = switch.get_switch_cards()
    assert (card["slot_no"], card["model"]) == ("1", "3730")
    assert switch.get_interlock_state()[0]["state"] == "Both interlock 1 and 2 are engaged"
    channels = switch.get_channels()
    assert (channels[0], channels[-1], len(channels)) == ("1101", "1616", 96)
    assert "1911" in switch.get_analog_backplane_specifiers()
    assert set(switch.get_available_memory()) >= {"System Memory  (%)"}
    assert switch.get_ip_address() == "127.0.0.1"


def test_qcodes_closes_and_opens_relays_of_the_circuit(box: MatrixBox, switch: Any) -> None:
    assert switch.get_closed_channels("allslots") is None
    switch.close_channel("1101,1302")
    assert switch.get_closed_channels("allslots") == ["1101", "1302"]
    assert set(box.circuit.closed_channels()) == {"box:1101", "box:1302"}
    switch.exclusive_close("1301,1302")
    assert switch.get_closed_channels("slot1") == ["1301", "1302"]
    assert switch.connect_row_to_columns(1, 3, [1]) == ["1301"]  # its word for opening
    assert switch.get_closed_channels("allslots") == ["1302"]
    switch.exclusive_slot_close("1101:1104")
    assert switch.get_closed_channels("1101:1116") == ["1101", "1102", "1103", "1104"]
    switch.open_channel("allslots")
    assert switch.get_closed_channels("allslots") is None
    assert box.circuit.closed_channels() == ()
    assert switch.ask("errorqueue.count") == "0.00000e+00"


def test_qcodes_sets_rules_delays_and_forbidden_channels(box: MatrixBox, switch: Any) -> None:
    assert switch.channel_connect_rule() == "BREAK_BEFORE_MAKE"
    switch.channel_connect_rule("MAKE_BEFORE_BREAK")
    assert switch.channel_connect_rule() == "MAKE_BEFORE_BREAK"
    switch.set_delay("1101", 0.5)
    assert switch.get_delay("1101") == [0.5]
    began_s = box.clock.now_s
    switch.close_channel("1101")
    switch.get_closed_channels("allslots")  # once it answers, it is done
    assert box.clock.now_s - began_s == pytest.approx(0.5 + 4e-3)
    switch.set_forbidden_channels("1101,1102")
    assert switch.get_forbidden_channels("allslots") == "1101,1102"
    with pytest.warns(UserWarning, match="forbidden to close"):
        switch.close_channel("1102")
    assert switch.get_closed_channels("allslots") is None
    switch.clear_forbidden_channels("allslots")
    assert switch.get_forbidden_channels("allslots") == "nil"
    assert switch.gpib_enabled() is True
    switch.gpib_address(20)
    assert switch.gpib_address() == 20
    switch.reset_channel("allslots")
    assert switch.get_delay("1101") == [0.0]
