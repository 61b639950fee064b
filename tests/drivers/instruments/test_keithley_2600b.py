"""What goes over the wire to a 2600B."""

import re
from collections.abc import Callable
from importlib import resources

import pytest

from hwloop.errors import InstrumentFault, UnexpectedReply, Unsupported
from hwloop_drivers.instruments.keithley_2600b.channel import SCRIPT, Keithley2600BChannel
from hwloop_drivers.instruments.keithley_2600b.driver import Keithley2600B
from hwloop_drivers.instruments.keithley_2600b.models import Keithley2600BSettings
from hwloop_drivers.links.link import Link
from hwloop_drivers.roles import SourceSetup, TrainPoint

READ_ONLY = {"localnode.linefreq": "5.0e+01", "hwloop.version": "1", "smua.source.output": "0"}


class Wire(Link):
    """Remembers assignments as the box does; ``given`` overrides answers."""

    def __init__(self, given: dict[str, str]) -> None:
        self.address = "wire"
        self.sent: list[str] = []
        self.given = given
        self.values = dict(READ_ONLY)

    def write(self, text: str) -> None:
        self.sent.append(text)
        for name, value in re.findall(r"([\w.]+) = (\S+)", text):
            self.values[name] = value

    def query(self, text: str, *, timeout_s: float | None = None) -> str:
        self.write(text)
        if text in self.given:
            return self.given[text]
        asked = re.findall(r"print\((.*)\)$", text)[0]
        if asked == "'done'":
            return "done"
        name, equal, word = asked.partition(" == ")
        if equal:
            return str(self.values[name] == word).lower()
        return self.values[name]

    def query_binary(self, text: str, *, timeout_s: float | None = None) -> bytes:
        raise AssertionError(text)

    def recover(self, verify: Callable[[], None]) -> None:
        verify()

    def close(self) -> None:
        pass


def _smu(given: dict[str, str] | None = None) -> tuple[Keithley2600BChannel, Wire]:
    wire = Wire(given or {})
    smu = Keithley2600B(wire, Keithley2600BSettings()).outputs()["a"]
    assert isinstance(smu, Keithley2600BChannel)
    return smu, wire


def test_set_up_confirms_every_setting_that_protects_in_an_order_that_every_range_takes() -> None:
    smu, wire = _smu()
    smu.set_up(SourceSetup(range_v=1.2, compliance_a=1e-4))
    script_end = wire.sent.index("endscript")
    settings = [text for text in wire.sent[script_end:] if not text.startswith("print")]
    assert settings == [
        "endscript",
        "format.data = format.ASCII format.asciiprecision = 10 print(format.asciiprecision)",
        "smua.source.func = smua.OUTPUT_DCVOLTS",
        "smua.source.levelv = 0",
        "smua.source.limiti = 1e-08",
        "smua.source.rangev = 6",
        "smua.source.limiti = 0.0001",
        "smua.source.offmode = smua.OUTPUT_ZERO",
        "smua.sense = smua.SENSE_LOCAL",
        "smua.source.delay = 0",
        "smua.measure.delay = 0.0025",
        "smua.measure.nplc = 1",
        "smua.measure.autozero = smua.AUTOZERO_ONCE",
        "smua.measure.lowrangei = 1e-06",
        "smua.measure.autorangei = smua.AUTORANGE_FOLLOW_LIMIT",
    ]
    for name in ("source.rangev", "source.limiti", "measure.nplc"):
        assert f"print(smua.{name})" in wire.sent


@pytest.mark.parametrize(
    ("question", "reply", "message"),
    [
        ("print(smua.source.limiti)", "1.0e-01", "limiti was set to 1e-08 but reads back 0.1"),
        ("print(smua.source.rangev)", "4.0e+01", "rangev was set to 6 but reads back 40"),
        (
            "print(smua.source.offmode == smua.OUTPUT_ZERO)",
            "false",
            "offmode was set to smua.OUTPUT_ZERO but reads back otherwise",
        ),
        ("print(hwloop.version)", "0", "keithley_2600b/trains.lua was not taken"),
    ],
)
def test_setting_that_reads_back_otherwise_is_a_fault(
    question: str, reply: str, message: str
) -> None:
    smu, _ = _smu({question: reply})
    with pytest.raises(InstrumentFault, match=message):
        smu.set_up(SourceSetup(range_v=2, compliance_a=1e-4))


def test_single_pulse_is_one_message_that_answers_when_the_level_is_back_at_0_v() -> None:
    train = (
        "hwloop.clear() hwloop.add({1.2, 0, 0.1}, {0.002, 0.002, 0.0275}, {0, 0, 1})"
        " hwloop.train(smua)"
    )
    smu, wire = _smu({train: "1.500000000e-06,4\tfree"})
    smu.set_up(SourceSetup(range_v=2, compliance_a=1e-4))
    wire.sent.clear()
    points = [TrainPoint(1.2, 2e-3), TrainPoint(0, 2e-3), TrainPoint(0.1, 50e-3, measure=True)]
    (measured,) = smu.apply_train(points).readings
    assert measured.current_a == 1.5e-6
    assert wire.sent == [train]


@pytest.mark.parametrize(
    "reply",
    [
        "#?~!",
        "none\tfree",
        "1e-6\tfree",
        "1e-6,0,1e-6,0\tfree",
        "1e-6,garbage\tfree",
        "1e-6,0",
        "1e-6,0\tfre",
    ],
)
def test_answer_that_is_not_one_reading_is_an_unexpected_reply(reply: str) -> None:
    train = "hwloop.clear() hwloop.add({0.1}, {0.0275}, {1}) hwloop.train(smua)"
    smu, _ = _smu({train: reply})
    smu.set_up(SourceSetup(range_v=2, compliance_a=1e-4))
    with pytest.raises(UnexpectedReply):
        smu.apply_train([TrainPoint(0.1, 50e-3, measure=True)])


def test_level_beyond_the_locked_range_is_refused_unsent() -> None:
    smu, wire = _smu()
    smu.set_up(SourceSetup(range_v=0.9, compliance_a=1e-4))
    sent = len(wire.sent)
    with pytest.raises(Unsupported, match=r"level 1\.2 V is beyond the instrument's 1 V"):
        smu.source_voltage = 1.2
    assert len(wire.sent) == sent


def test_script_keeps_to_the_lua_of_the_instrument_and_to_short_lines() -> None:
    source = resources.files("hwloop_drivers.instruments").joinpath(SCRIPT).read_text("utf-8")
    code = "\n".join(line.partition("--")[0] for line in source.splitlines())
    # Lua 5.0 has neither # nor %, nor what 5.1 added to its libraries.
    assert not re.search(r"[#%]|\.\.\.|string\.g?match|select", code)
    assert max(map(len, source.splitlines())) <= 100
