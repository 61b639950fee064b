"""Rules of matrices' manuals: that the virtual boxes obey them, and that the drivers cope.

E5250A and B2200A: pages of the B2200A/B2201A user's guide, and of the E5250A's where named.
"""

from __future__ import annotations

import pytest

from hwloop.errors import InstrumentFault, UnexpectedReply
from hwloop_drivers.instruments.keithley_7001 import Keithley7001, Keithley7001Settings
from hwloop_drivers.instruments.keysight_34980a import Keysight34980A, Keysight34980ASettings
from hwloop_drivers.instruments.keysight_e5250a import KeysightE5250A, KeysightE5250ASettings
from hwloop_sim.virtual.instruments.keithley_7001 import Keithley7001 as Virtual7001
from hwloop_sim.virtual.instruments.keysight_34980a import Keysight34980A as Virtual34980A
from hwloop_sim.virtual.instruments.keysight_e5250a import KeysightE5250A as VirtualE5250A
from tests.matrix_box import MatrixBox

WIRES = {
    "row0": {"smu": "10101", "gnd": "10201"},
    "row1": {"smu": "10102", "gnd": "10202"},
    "col0": {"smu2": "30303", "gnd": "10203"},
    "col1": {"smu2": "10304", "gnd": "10204"},
}


def _e5250a(**settings: object) -> MatrixBox:
    return MatrixBox(VirtualE5250A, WIRES, settings={"cards": [1, 3], **settings})


def _error(box: MatrixBox) -> str:
    return box.link.query(":SYST:ERR?")


def test_automatic_configuration_is_one_matrix_of_number_0_page_5_33() -> None:
    box = _e5250a()
    box.link.write("*RST;:ROUT:CLOS (@00101,00315)")
    assert box.closed() == {"10101", "30303"}
    assert box.link.query(":ROUT:CLOS? (@00101,00102,00315)") == "1,0,1"
    assert box.link.query(":ROUT:CLOS:CARD? 0") == "@00101,00315"
    box.link.write(":ROUT:CLOS (@10101)")
    assert _error(box).startswith("-224")
    box.link.write(":ROUT:CLOS (@00125)")  # two cards have 24 outputs
    assert _error(box).startswith("-222")


@pytest.mark.parametrize(
    ("configuration", "question", "refused"),
    [
        ("ACON", ":ROUT:CONN:RULE? 0", False),
        ("ACON", ":ROUT:CONN:RULE? 1", True),
        ("NCON", ":ROUT:CONN:RULE? 3", False),
        ("NCON", ":ROUT:CONN:RULE? 0", True),
        ("NCON", ":ROUT:CONN:RULE? 2", True),
        ("NCON", ":ROUT:CONN:RULE? ALL", True),
    ],
)
def test_card_numbers_go_with_the_configuration_and_all_is_not_asked_page_5_33(
    configuration: str, question: str, refused: bool
) -> None:
    box = _e5250a()
    send = box.link.write if refused else box.link.query
    send(f":ROUT:FUNC {configuration};{question}")
    assert _error(box).startswith("-") == refused


def test_driver_routes_by_card_whatever_configuration_it_finds() -> None:
    box = _e5250a()
    box.link.write("*RST;:ROUT:CLOS (@00101)")
    matrix = KeysightE5250A(box.link, KeysightE5250ASettings(cards=(1, 3)))
    matrix.reset()
    matrix.close_channels(["10102", "30303"])
    matrix.check_errors()
    assert matrix.closed == box.closed() == {"10102", "30303"}


@pytest.mark.parametrize("sequence", [True, False])
def test_driver_goes_on_without_a_connection_sequence_where_there_is_none(
    sequence: bool,
) -> None:
    # For cards with the single-route rule only: E5250A user's guide, 5-10; the rule here is free.
    box = _e5250a(sequence=sequence)
    matrix = KeysightE5250A(box.link, KeysightE5250ASettings(cards=(1, 3), bias_port=2))
    matrix.reset()
    matrix.check_errors()
    matrix.close_channels(["10101"])
    assert matrix.closed == {"10101"}
    if sequence:
        assert box.link.query(":ROUT:CONN:SEQ? 3") == "MBBR"


def test_channels_closed_in_automatic_configuration_by_another_are_a_fault() -> None:
    box = _e5250a()
    matrix = KeysightE5250A(box.link, KeysightE5250ASettings(cards=(1, 3)))
    matrix.reset()
    box.link.write("*RST")
    assert matrix.closed == frozenset()
    box.link.write(":ROUT:CLOS (@00101)")
    with pytest.raises(InstrumentFault, match=r"automatic configuration, .* with @00101 closed"):
        _ = matrix.closed


def test_connection_sequence_that_reads_back_otherwise_is_a_fault() -> None:
    box = _e5250a()
    query = box.link.query
    box.link.query = lambda text, **kw: "BBM" if "CONN:SEQ?" in text else query(text, **kw)  # type: ignore[method-assign]
    with pytest.raises(
        InstrumentFault, match=r"SEQ of card 1 was set to MBBR but reads back 'BBM'"
    ):
        KeysightE5250A(box.link, KeysightE5250ASettings(cards=(1, 3))).reset()


def test_driver_of_an_e5250a_speaks_to_a_b2200a_that_the_station_allows() -> None:
    box = _e5250a(model="B2200A")
    matrix = KeysightE5250A(box.link, KeysightE5250ASettings(cards=(1, 3)))
    with pytest.raises(UnexpectedReply, match="accept_model: B2200A"):
        matrix.verify_identity()
    matrix.allow("B2200A")
    matrix.verify_identity()
    matrix.reset()
    matrix.check_errors()
    assert box.link.query(":ROUT:CONN:SEQ? 1") == "MBBR"


MODULES = {
    "row0": {"smu": "1101", "gnd": "1301"},
    "row1": {"smu": "1102", "gnd": "1302"},
    "col0": {"smu2": "1203", "gnd": "1303"},
    "col1": {"smu2": "8101", "gnd": "1304"},
}


def test_34934a_without_its_terminal_block_connects_nothing_and_is_refused() -> None:
    modules = {1: "34932A", 8: "34934A-16x32"}
    box = MatrixBox(Virtual34980A, MODULES, settings={"modules": modules, "terminals": [1]})
    box.link.write("ROUT:CLOS (@1101,8101)")
    assert box.closed() == {"1101"}
    assert _error(box).startswith("0")  # it says nothing
    matrix = Keysight34980A(box.link, Keysight34980ASettings(modules=modules))
    with pytest.raises(UnexpectedReply, match="in slot 8 has the terminal block 'NONE'"):
        matrix.verify_identity()


def test_34934a_with_the_block_of_another_layout_is_refused() -> None:
    box = MatrixBox(Virtual34980A, MODULES, settings={"modules": {8: "34934A-8X64"}})
    query = box.link.query
    box.link.query = lambda text, **kw: "4x128" if "TERM" in text else query(text, **kw)  # type: ignore[method-assign]
    matrix = Keysight34980A(box.link, Keysight34980ASettings(modules={8: "34934A-8x64"}))
    with pytest.raises(UnexpectedReply, match="has the terminal block '4x128'"):
        matrix.verify_identity()


def test_module_without_terminal_blocks_of_several_layouts_is_not_asked_for_one() -> None:
    box = MatrixBox(Virtual34980A, MODULES, settings={"modules": {1: "34932A"}})
    Keysight34980A(box.link, Keysight34980ASettings(modules={1: "34932A"})).verify_identity()
    assert not any("TERM" in text for text in box.link.sent)
    box.link.write("SYST:MOD:TERM:TYPE? 1")
    assert _error(box).startswith("-241")


SLOTS = {
    "row0": {"smu": "1!1!1", "gnd": "1!2!1"},
    "row1": {"smu": "1!1!2", "gnd": "1!2!2"},
    "col0": {"smu2": "1!1!3", "gnd": "1!2!3"},
    "col1": {"smu2": "1!4!10", "gnd": "2!4!10"},
}


def test_7001_answers_runs_of_a_row_by_both_ends_as_programs_that_drive_one_parse_them() -> None:
    box = MatrixBox(Virtual7001, SLOTS)
    matrix = Keithley7001(box.link, Keithley7001Settings())
    matrix.close_channels(["1!1!1", "1!1!2", "1!1!3", "1!1!10", "1!2!1"])
    reply = box.link.query(":CLOS:STAT?")
    assert reply == "(@1!1!1:1!1!3,1!1!10,1!2!1)"  # no run goes from one row to the next
    assert box.link.query(":CLOS? (@1!1!1,1!1!4)") == "1,0"
    assert box.link.query(":CONF:SLOT1:CTYP?") == "C7012"


@pytest.mark.parametrize("reply", ["(@1!1!1:1!1!3)\r", "(@1!1!1 : 1!1!3)", " (@1!1!1:1!1!3)\r\n"])
def test_7001_that_ends_or_spaces_its_answers_otherwise_is_understood(reply: str) -> None:
    box = MatrixBox(Virtual7001, SLOTS)
    box.link.query = lambda *_, **__: reply  # type: ignore[method-assign]
    closed = Keithley7001(box.link, Keithley7001Settings()).closed
    assert closed == {"1!1!1", "1!1!2", "1!1!3"}
