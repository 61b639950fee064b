"""Virtual 707B, 708B and 3706A: lists, ranges, patterns and rules as their manuals have them."""

from collections.abc import Callable
from typing import Any

import pytest

from hwloop.errors import ConfigError
from hwloop_sim.virtual.instruments.keithley_707b import Keithley707B
from hwloop_sim.virtual.instruments.keithley_3706a import Keithley3706A
from hwloop_sim.virtual.languages.tsp_switch import TspSwitch
from tests.matrix_box import MatrixBox

WIRES = {
    "row0": {"smu": "1A01", "gnd": "1C01"},
    "row1": {"smu": "1A02", "gnd": "1C02"},
    "col0": {"smu2": "1B03", "gnd": "1C03"},
    "col1": {"smu2": "1B04", "gnd": "1C04"},
}
Say = Callable[[str], str | None]
GETCLOSE = "print(channel.getclose('allslots'))"


def _box(kind: type[TspSwitch] = Keithley707B, **settings: object) -> tuple[MatrixBox, Say]:
    box = MatrixBox(kind, WIRES, settings=settings)
    return box, box.instrument.receive


def _error(say: Say) -> str:
    reply = say("print(errorqueue.next())") or ""
    return f"{float(reply.partition(chr(9))[0]):g}"


@pytest.mark.parametrize(
    ("text", "closed"),
    [
        ("1A01", "1A01"),
        ("1A03,1A01", "1A01;1A03"),
        ("1A01; 1B02", "1A01;1B02"),
        ("1A01:1A04", "1A01;1A02;1A03;1A04"),
        ("1A11:1B02", "1A11;1A12;1B01;1B02"),
        ("2H12,1A01", "1A01;2H12"),
    ],
)
def test_lists_and_ranges_close_what_they_name_in_the_boxs_order(text: str, closed: str) -> None:
    _, say = _box(cards={1: "7072", 2: "7072"})
    assert say(f"channel.close('{text}') {GETCLOSE}") == closed
    assert say("print(errorqueue.count)") == "0.00000e+00"


@pytest.mark.parametrize(
    "text", ["1I01", "1A13", "3A01", "", "allslots", "slot1", "1A04:1A01", "1A01,nothing", "1A01:"]
)
def test_list_that_names_what_there_is_not_closes_nothing(text: str) -> None:
    _, say = _box(cards={1: "7072"})
    say(f"channel.close('{text}')")
    assert _error(say) == "-224"
    assert say(GETCLOSE) == "nil"


def test_nothing_closed_is_nil_and_slots_can_be_asked_and_opened() -> None:
    _, say = _box(cards={1: "7072", 6: "7174A"})
    assert say(GETCLOSE) == "nil"
    say("channel.close('1A01,6A01')")
    assert say("print(channel.getclose('slot6'))") == "6A01"
    assert say("print(channel.getclose('1A02'))") == "nil"
    assert say("print(channel.getstate('1A01,1A02,6A01'))") == "1,0,1"
    say("channel.open('slot1')")
    assert say(GETCLOSE) == "6A01"
    say("channel.open('allslots')")
    assert say(GETCLOSE) == "nil"
    assert say("print(slot[2].idn) print(slot[2].rows.matrix)") == "Empty Slot\nnil"
    assert say("print(slot[6].rows.matrix, slot[6].columns.matrix)") == "8.00000e+00\t1.20000e+01"


def test_exclusive_closing_opens_what_is_not_named_there() -> None:
    _, say = _box(cards={1: "7072", 2: "7072"})
    say("channel.close('1A01,2A01')")
    assert say(f"channel.exclusiveslotclose('1A02') {GETCLOSE}") == "1A02;2A01"
    assert say(f"channel.exclusiveclose('1A03') {GETCLOSE}") == "1A03"
    assert say(f"channel.exclusiveclose('') {GETCLOSE}") == "nil"


@pytest.mark.parametrize(
    ("rule", "between", "settlings"),
    [
        ("BREAK_BEFORE_MAKE", (), 2),
        ("MAKE_BEFORE_BREAK", ("box:1A01", "box:1C01"), 2),
        ("OFF", None, 1),
    ],
)
def test_connection_rule_decides_what_is_connected_on_the_way(
    rule: str, between: tuple[str, ...] | None, settlings: int
) -> None:
    box, say = _box()
    say(f"channel.connectrule = channel.{rule} channel.close('1C01')")
    box.circuit.changes.clear()
    began_s = box.clock.now_s
    say("channel.exclusiveclose('1A01')")
    assert box.clock.now_s - began_s == pytest.approx(settlings * 15e-3)
    steps = [set(change.closed) for change in box.circuit.changes]
    wanted = [] if between is None else [set(between)]
    assert steps == [*wanted, {"box:1A01"}]


def test_pattern_stands_for_its_channels_until_it_is_deleted() -> None:
    _, say = _box()
    say("channel.pattern.setimage('1A01:1A02,1C03', 'route')")
    assert say("print(channel.pattern.getimage('route'))") == "1A01,1A02,1C03"
    assert say(f"channel.close('route,1H12') {GETCLOSE}") == "1A01;1A02;1C03;1H12"
    assert say(f"channel.open('route') {GETCLOSE}") == "1H12"
    say("channel.pattern.delete('route') channel.close('route')")
    assert _error(say) == "-224"


def test_forbidden_channels_open_and_keep_a_whole_list_from_closing() -> None:
    _, say = _box()
    say("channel.close('1A01') channel.setforbidden('1A01,1A02')")
    assert say(GETCLOSE) == "nil"
    say("channel.close('1A02,1A03')")
    assert _error(say) == "-221"
    assert say(GETCLOSE) == "nil"
    assert say("print(channel.getforbidden('allslots'))") == "1A01,1A02"
    say("channel.clearforbidden('allslots') channel.close('1A02')")
    assert say("print(channel.getforbidden('allslots'))") == "nil"
    assert say(GETCLOSE) == "1A02"


def test_delay_of_a_channel_comes_after_its_settling() -> None:
    box, say = _box()
    say("channel.setdelay('1A01', 0.25)")
    assert say("print(channel.getdelay('1A01,1A02'))") == "2.50000e-01,0.00000e+00"
    began_s = box.clock.now_s
    say("channel.close('1A01,1A02')")
    assert box.clock.now_s - began_s == pytest.approx(0.25 + 15e-3)


def test_reset_opens_everything_and_restores_the_rule() -> None:
    _, say = _box()
    say("channel.connectrule = 2 channel.close('1A01') channel.setforbidden('1A05') reset()")
    assert say(GETCLOSE) == "nil"
    assert say("print(channel.connectrule == channel.BREAK_BEFORE_MAKE)") == "true"
    assert say("print(channel.getforbidden('allslots'))") == "nil"
    say("channel.connectrule = 3")
    assert _error(say) == "-224"


def test_708b_has_one_slot_and_says_so() -> None:
    _, say = _box(model="708B")
    assert "MODEL 708B" in (say("*IDN?") or "")
    assert say("print(slot[2])") is None
    assert _error(say) == "-286"


def test_3706as_multiplexer_has_channels_of_three_digits_and_a_backplane() -> None:
    _, say = _box(Keithley3706A, cards={2: "3720"})
    assert say(f"channel.close('2001:2003,2060,2911') {GETCLOSE}") == "2001;2002;2003;2060;2911"
    assert say("print(slot[2].rows.matrix, slot[2].interlock.state)") == "nil\t3.00000e+00"
    say("channel.close('2061')")
    assert _error(say) == "-224"


@pytest.mark.parametrize("cards", [{1: "9999"}, {7: "7072"}])
def test_card_that_no_slot_takes_is_a_wrong_setting(cards: Any) -> None:
    with pytest.raises(ConfigError, match="no virtual card"):
        _box(cards=cards)
