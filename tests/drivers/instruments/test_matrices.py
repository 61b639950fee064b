"""Every switch matrix: what goes over the wire, and its driver against its virtual instrument."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwloop import plugins
from hwloop.errors import ConfigError, InstrumentFault, UnexpectedReply, Unsupported
from hwloop_drivers.instruments.kind import InstrumentKind
from hwloop_drivers.links.link import Link
from hwloop_drivers.roles import SwitchMatrix
from tests.matrix_box import MatrixBox


@dataclass(frozen=True)
class Case:
    """One kind of matrix: settings, the channels to smu, smu2 and gnd, what does not exist."""

    kind: str
    settings: Mapping[str, object]
    channels: tuple[str, ...]
    wrong: tuple[str, ...]
    settle_s: float
    wires: dict[str, dict[str, str]] = field(init=False)

    def __post_init__(self) -> None:
        smu, smu2, gnd = self.channels[:2], self.channels[2:4], self.channels[4:8]
        lines = ("row0", "row1", "col0", "col1")
        wires = {
            line: {source: channel, "gnd": gnd[n]}
            for n, (line, source, channel) in enumerate(
                zip(lines, ("smu", "smu", "smu2", "smu2"), (*smu, *smu2), strict=True)
            )
        }
        object.__setattr__(self, "wires", wires)

    def box(self) -> MatrixBox:
        virtual: Any = plugins.load("hwloop.virtual_instruments", self.kind)
        return MatrixBox(virtual, self.wires, settings=self.settings)

    def driver(self, link: Link, **given: object) -> SwitchMatrix:
        kind: InstrumentKind[Any] = plugins.load(plugins.INSTRUMENTS, self.kind)
        made: SwitchMatrix = kind.make(link, kind.settings.parse({**self.settings, **given}))
        return made


CASES = [
    Case(
        "keithley_7001",
        {},
        ("1!1!1", "1!1!2", "1!2!3", "1!2!4", "2!4!9", "2!4!10", "1!3!3", "1!3!4", "1!4!10"),
        ("3!1!1", "1!5!1", "1!1!11", "1A01", "1!1", "", "1!1!1,1!1!2", "1!01!1"),
        3e-3,
    ),
    Case(
        "keithley_7001",
        {"model": "7002"},
        ("10!1!1", "1!1!2", "9!2!3", "1!2!4", "1!3!1", "10!4!10", "10!3!3", "1!3!4"),
        ("11!1!1", "0!1!1"),
        3e-3,
    ),
    Case(
        "keithley_707b",
        {"cards": {1: "7072", 6: "7173-50"}},
        ("1A01", "1A02", "6B11", "1B04", "1C01", "1H12", "6D12", "1C04"),
        ("1I01", "1A13", "2A01", "6E01", "1A1", "1a01", "1A01:1A02", "allslots", "1!1!1"),
        15e-3,
    ),
    Case(
        "keithley_707b",
        {"model": "708B", "cards": {1: "7174A"}},
        ("1A01", "1A02", "1B03", "1B04", "1C01", "1C02", "1C03", "1C04"),
        ("2A01", "1A00"),
        1e-3,
    ),
    Case(
        "keithley_3706a",
        {"cards": {1: 3730, 3: "3720"}},  # as YAML reads it without quotes
        ("1101", "1102", "1203", "1204", "1301", "1616", "3001", "3060", "1911"),
        ("1117", "1701", "2101", "3061", "3000", "1A01", "slot1"),
        4e-3,
    ),
    Case(
        "keysight_e5250a",
        {"cards": [1, 3]},
        ("10101", "10102", "30203", "10204", "11001", "11002", "11003", "31012"),
        ("20101", "11101", "10113", "10100", "1010", "101011"),
        10e-3,
    ),
    Case(
        "keysight_34980a",
        {"modules": {1: "34932A", 8: "34934A-16x32"}},
        ("1101", "1102", "1203", "1816", "8101", "8882", "8151", "1304"),
        ("1117", "1901", "2101", "8133", "8883", "1100"),
        4e-3,
    ),
]
cases = pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.kind}-{len(c.settings)}")


@cases
def test_identity_is_that_of_the_box_and_its_cards(case: Case) -> None:
    matrix = case.driver(case.box().link)
    matrix.verify_identity()
    assert matrix.id


@cases
def test_closing_and_opening_is_verified_and_takes_the_relays_time(case: Case) -> None:
    box = case.box()
    matrix = case.driver(box.link)
    matrix.reset()
    began_s = box.clock.now_s
    matrix.close_channels(case.channels[:3])
    matrix.check_errors()
    assert matrix.closed == box.closed() == set(case.channels[:3])
    assert box.clock.now_s - began_s == pytest.approx(case.settle_s)
    matrix.open_channels(case.channels[1:3])
    assert matrix.closed == box.closed() == {case.channels[0]}
    matrix.close_channels([])
    matrix.open_channels([])
    assert matrix.closed == {case.channels[0]}
    matrix.open_all()
    matrix.check_errors()
    assert matrix.closed == box.closed() == frozenset()
    assert matrix.outputs() == {}


@cases
def test_safe_state_opens_what_another_driver_has_closed(case: Case) -> None:
    box = case.box()
    case.driver(box.link).close_channels(case.channels[:2])
    fresh = case.driver(box.link)
    assert fresh.closed == set(case.channels[:2])
    fresh.safe_state()
    assert box.closed() == frozenset()


@cases
def test_reset_behind_the_drivers_back_is_seen_at_once(case: Case) -> None:
    box = case.box()
    matrix = case.driver(box.link)
    matrix.reset()
    matrix.close_channels(case.channels[:2])
    box.link.write("*RST")
    assert matrix.closed == frozenset()


@cases
def test_channel_that_does_not_exist_is_refused_unsent(case: Case) -> None:
    box = case.box()
    matrix = case.driver(box.link)
    for channel in case.channels:
        matrix.refuse_channel(channel)
    for channel in case.wrong:
        for change in (matrix.close_channels, matrix.open_channels):
            with pytest.raises(Unsupported, match="is no channel"):
                change([case.channels[0], channel])
        with pytest.raises(Unsupported, match="is no channel"):
            matrix.change(close=[channel], open_=[])
    assert box.link.sent == []


@cases
def test_line_that_changes_is_never_floating(case: Case) -> None:
    box = case.box()
    matrix = case.driver(box.link)
    matrix.reset()
    to_smu, to_gnd = case.wires["row0"]["smu"], case.wires["row0"]["gnd"]
    matrix.close_channels([to_gnd])
    box.circuit.changes.clear()
    matrix.change(close=[to_smu], open_=[to_gnd])
    matrix.change(close=[to_gnd], open_=[to_smu])
    assert len(box.circuit.changes) == 4
    for change in box.circuit.changes:
        assert {f"box:{to_smu}", f"box:{to_gnd}"} & set(change.closed)


@cases
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_what_is_closed_is_exactly_what_was_asked(case: Case, data: st.DataObject) -> None:
    box = case.box()
    matrix = case.driver(box.link)
    matrix.reset()
    some = st.sets(st.sampled_from(case.channels))
    wanted: set[str] = set()
    for _ in range(3):
        close, open_ = data.draw(some), data.draw(some)
        how: Callable[[], None] = data.draw(
            st.sampled_from(
                [
                    lambda close=close, open_=open_: matrix.change(
                        close=sorted(close), open_=sorted(open_)
                    ),
                    lambda close=close, open_=open_: (
                        matrix.close_channels(sorted(close)),
                        matrix.open_channels(sorted(open_)),
                    ),
                ]
            )
        )
        how()
        wanted = (wanted | close) - open_
        assert matrix.closed == wanted
        assert box.closed() == wanted & box.wired
    matrix.check_errors()


class Wire(Link):
    """Answers by table; ``sent`` keeps what came."""

    def __init__(self, **given: str) -> None:
        self.address = "wire"
        self.sent: list[str] = []
        self.given = given

    def write(self, text: str) -> None:
        self.sent.append(text)

    def query(self, text: str, *, timeout_s: float | None = None) -> str:
        self.sent.append(text)
        for end, answer in self.given.items():
            if text.endswith(end):
                return answer
        return "1"

    def query_binary(self, text: str, *, timeout_s: float | None = None) -> bytes:
        raise AssertionError(text)

    def recover(self, verify: Callable[[], None]) -> None:
        verify()

    def close(self) -> None:
        pass


GETCLOSE = "waitcomplete() print(channel.getclose('allslots'))"
TRANSCRIPTS = {
    0: ("(@1!1!1:1!1!2)", ":CLOS (@1!1!1,1!1!2);*OPC?", ":CLOS:STAT?"),
    2: ("1A01;1A02", f"channel.close('1A01,1A02') {GETCLOSE}", None),
    4: ("1101;1102", f"channel.close('1101,1102') {GETCLOSE}", None),
    5: ("@10101,10102", ":ROUT:CLOS (@10101,10102);*OPC?", ":ROUT:CLOS:CARD? 1"),
}


@pytest.mark.parametrize("index", list(TRANSCRIPTS))
def test_wire_of_closing_two_channels(index: int) -> None:
    case = CASES[index]
    answer, closing, asking = TRANSCRIPTS[index]
    wire = Wire(**{asking or GETCLOSE: answer, "CARD? 3": "@", "FUNC?": "NCON"})
    case.driver(wire).close_channels(case.channels[:2])
    assert closing in wire.sent
    assert asking is None or asking in wire.sent


def test_wire_of_a_34980a() -> None:
    case = Case("keysight_34980a", {"modules": {2: "34931A"}}, tuple("12345678"), (), 0)
    states = ",".join("1" if n in {0, 63} else "0" for n in range(64))
    wire = Wire(**{"2801:2808)": states})
    wire.given["2801:2808)"] = states
    wire.given = {
        "(@2101:2108,2201:2208,2301:2308,2401:2408,2501:2508,2601:2608,2701:2708,2801:2808)": states
    }
    matrix = case.driver(wire)
    matrix.close_channels(["2101", "2808"])
    assert wire.sent[0] == "ROUT:CLOS (@2101,2808);*OPC?"
    assert matrix.closed == {"2101", "2808"}


@pytest.mark.parametrize(
    ("module", "channel"),
    [
        ("34932A", "5304"),  # row 3, column 4; 34931A-34933A user's guide, p. 11
        ("34934A-8x64", "5316"),  # row 3, column 16; 34934A user's guide, p. 228
        ("34934A-4x32", "5753"),  # row 4, column 21 of the second matrix; the same
    ],
)
def test_channels_of_a_34980a_are_numbered_as_in_the_guides(module: str, channel: str) -> None:
    case = Case("keysight_34980a", {"modules": {5: module}}, tuple("12345678"), (), 0)
    case.driver(Wire()).refuse_channel(channel)


@pytest.mark.parametrize(
    ("index", "answer"),
    [(0, "(@1!1!1"), (0, "(@1!9!1)"), (2, "#?~!"), (2, "1A01;(1A02)"), (5, "@1010"), (6, "1,0,1")],
)
def test_garbage_for_what_is_closed_is_an_unexpected_reply(index: int, answer: str) -> None:
    matrix = CASES[index].driver(Wire(**{"": answer}))
    with pytest.raises(UnexpectedReply, match="answered"):
        _ = matrix.closed


@pytest.mark.parametrize(
    ("index", "answer"), [(0, "(@1!1!2)"), (2, "1A02"), (4, "1102"), (5, "@10102")]
)
def test_relay_that_did_not_close_is_named(index: int, answer: str) -> None:
    case = CASES[index]
    ends = {"STAT?": answer, GETCLOSE: answer, "CARD? 1": answer, "CARD? 3": "@", "FUNC?": "NCON"}
    with pytest.raises(InstrumentFault, match=f"{case.channels[0]} did not close; a relay is"):
        case.driver(Wire(**ends)).close_channels(case.channels[:2])


@pytest.mark.parametrize(
    ("index", "given", "match"),
    [
        (1, {"model": "7001"}, "expected 7001"),
        (2, {"cards": {2: "7072"}}, "expected a 7072 in slot 2, found 'Empty Slot'"),
        (2, {"cards": {1: "7174A"}}, "expected a 7174A in slot 1, found '7072,"),
        (3, {"model": "707B"}, "expected 707B"),
        (4, {"cards": {3: "3730"}}, "expected a 3730 in slot 3, found '3720,"),
        (6, {"modules": {2: "34932A"}}, "expected a 34932A in slot 2, found 'Agilent"),
        (6, {"modules": {1: "34931A"}}, "expected a 34931A in slot 1"),
    ],
)
def test_another_mainframe_or_card_than_the_station_says_is_refused(
    index: int, given: dict[str, object], match: str
) -> None:
    matrix = CASES[index].driver(CASES[index].box().link, **given)
    with pytest.raises(UnexpectedReply, match=match):
        matrix.verify_identity()


@pytest.mark.parametrize(
    ("kind", "given", "match"),
    [
        ("keithley_707b", {"model": "708B", "cards": {2: "7072"}}, "slot 2: a 708B has 1 to 1"),
        ("keithley_707b", {"cards": {1: "3730"}}, "'3730' in slot 1: one of 7072"),
        ("keithley_3706a", {"cards": {7: "3730"}}, "slot 7: a 3706A has 1 to 6"),
        ("keithley_3706a", {"cards": {1: "7072"}}, "one of 3730"),
        ("keysight_e5250a", {"cards": [5]}, "different slots from 1 to 4"),
        ("keysight_e5250a", {"bias_port": 11}, "bias_port"),
        ("keysight_34980a", {"modules": {9: "34932A"}}, "slot 9: a 34980A has 1 to 8"),
        ("keysight_34980a", {"modules": {1: "7072"}}, "one of 34931A"),
    ],
)
def test_cards_that_do_not_fit_are_a_wrong_setting(
    kind: str, given: dict[str, object], match: str
) -> None:
    made: InstrumentKind[Any] = plugins.load(plugins.INSTRUMENTS, kind)
    with pytest.raises(ConfigError, match=match):
        made.settings.parse(given)


def test_unrouted_outputs_of_an_e5250a_sit_on_its_bias_port() -> None:
    wires = {
        "row0": {"smu": "10101", "gnd": "11001"},
        "row1": {"smu": "10102", "gnd": "11002"},
        "col0": {"smu2": "10203", "gnd": "11003"},
        "col1": {"smu2": "10204", "gnd": "11004"},
    }
    case = CASES[5]
    virtual: Any = plugins.load("hwloop.virtual_instruments", case.kind)
    box = MatrixBox(virtual, wires)
    matrix = case.driver(box.link, cards=[1], bias_port=10)
    matrix.reset()
    assert matrix.closed == frozenset()
    assert box.closed() == {"11001", "11002", "11003", "11004"}
    matrix.close_channels(["10101"])
    assert matrix.closed == {"10101"}
    assert box.closed() == {"10101", "11002", "11003", "11004"}
    with pytest.raises(Unsupported, match="input 10 is the bias port"):
        matrix.close_channels(["11001"])
    assert matrix.read_back() == {"bias_port_1": 10}
    matrix.set_bias(None)  # type: ignore[attr-defined]
    assert box.closed() == {"10101"}
    assert matrix.read_back() == {"bias_port_1": None}
    matrix.close_channels(["11001"])
    matrix.check_errors()


def test_wire_of_an_e5250as_bias_port() -> None:
    class Bias(Wire):
        def query(self, text: str, *, timeout_s: float | None = None) -> str:
            if "BIAS:STAT?" in text:
                self.given["STAT? 1"] = "1" if self.sent[-1].endswith("ON") else "0"
            if "FUNC?" in text:
                self.given["FUNC?"] = "NCON" if ":ROUT:FUNC NCON" in self.sent else "ACON"
            return super().query(text)

    answers = {"RULE? 1": "FREE", "SEQ? 1": "MBBR", "PORT? 1": "10"}
    wire = Bias(**answers)
    CASES[5].driver(wire, cards=[1], bias_port=10).reset()
    assert [text for text in wire.sent if "?" not in text] == [
        "*RST",
        "*CLS",
        ":ROUT:FUNC NCON",
        ":ROUT:CONN:RULE 1,FREE",
        ":ROUT:CONN:SEQ 1,MBBR",
        ":ROUT:BIAS:STAT 1,OFF",
        ":ROUT:BIAS:PORT 1,10",
        ":ROUT:BIAS:CHAN:ENAB:CARD 1",
        ":ROUT:BIAS:STAT 1,ON",
    ]


def test_bias_port_that_reads_back_otherwise_is_a_fault() -> None:
    wire = Wire(**{"STAT? 1": "0", "PORT? 1": "9"})
    with pytest.raises(InstrumentFault, match=r"BIAS:PORT of card 1 was set to 10 but .*'9'"):
        CASES[5].driver(wire, cards=[1]).set_bias(10)  # type: ignore[attr-defined]


@pytest.mark.parametrize("index", [2, 4])
def test_connection_rule_that_was_changed_behind_the_drivers_back_is_a_fault(index: int) -> None:
    case = CASES[index]
    box = case.box()
    matrix = case.driver(box.link)
    matrix.reset()
    matrix.close_channels([case.channels[0]])
    box.link.write("channel.connectrule = channel.BREAK_BEFORE_MAKE")
    with pytest.raises(InstrumentFault, match="not MAKE_BEFORE_BREAK any more"):
        matrix.change(close=[case.channels[1]], open_=[case.channels[0]])
    assert matrix.closed == {case.channels[0]}
