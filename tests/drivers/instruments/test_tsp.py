"""What every driver of a box that speaks TSP puts on the wire, against the virtual language."""

from collections.abc import Callable

import pytest

from hwloop.errors import InstrumentFault, UnexpectedReply
from hwloop_drivers.instruments.families.tsp import TspInstrument
from hwloop_drivers.links.link import LinkSettings
from hwloop_drivers.roles import PulseGenerator, SourceMeter
from hwloop_drivers.testing.in_process import InProcessLink
from hwloop_sim.virtual.languages.tsp import VirtualTspInstrument as VirtualTsp
from hwloop_sim.virtual.languages.tsp_tables import Cell
from tests.virtual_link import OneBox


class VirtualBox(VirtualTsp):
    """One limit, in steps of 1 mA above 10 mA."""

    model = "1"

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        limit = Cell(0.0, lowest=0, highest=1)
        self.root.on(
            "smu.limit",
            get=lambda: round(limit.value, 3) if limit.value > 0.01 else limit.value,
            set=limit.set,
        )
        mode = Cell(0, choices=(0, 1))
        self.root.on("smu.mode", get=mode.get, set=lambda _: None)
        self.root.constant("smu.ZERO", 1)
        self.root.constant("smu.NORMAL", 0)

    def reset(self) -> None:
        pass

    def output_states(self) -> dict[str, bool]:
        return {}


class Driver(TspInstrument):
    models = ("1",)

    def safe_state(self) -> None:
        pass

    def outputs(self) -> dict[str, SourceMeter | PulseGenerator]:
        return {}


def _driver(**settings: str) -> tuple[Driver, OneBox]:
    box = OneBox(VirtualBox)
    return Driver(box.link, LinkSettings.model_validate(settings)), box


def test_settings_are_compared_to_more_digits_than_the_box_prints_by_default() -> None:
    driver, box = _driver()
    driver.reset()
    driver._set_confirmed("smu.limit", 1.23456789e-4)
    assert "smu.limit = 0.000123456789" in box.link.sent
    assert driver._ask("smu.limit") == 1.23456789e-4
    driver.check_errors()


def test_setting_that_reads_back_otherwise_is_a_fault() -> None:
    driver, _ = _driver()
    with pytest.raises(InstrumentFault, match=r"smu.limit was set to 0.0123 but reads back 0.012"):
        driver._set_confirmed("smu.limit", 0.0123)
    with pytest.raises(InstrumentFault, match=r"smu.mode was set to smu.ZERO but reads back other"):
        driver._set_word_confirmed("smu.mode", "smu.ZERO")
    driver._set_word_confirmed("smu.mode", "smu.NORMAL")


def test_every_entry_of_the_error_queue_is_raised() -> None:
    driver, _ = _driver()
    driver._set("smu.limit = 7")
    driver._set("nonsense(")
    with pytest.raises(InstrumentFault, match=r"1101, Parameter too big; -285, TSP Syntax error"):
        driver.check_errors()
    driver.check_errors()
    driver, _ = _driver(errors="each")
    with pytest.raises(InstrumentFault, match="1101, Parameter too big"):
        driver._set("smu.limit = 7")


def test_wrong_model_at_the_address_is_noticed() -> None:
    driver, _ = _driver()
    driver.verify_identity()
    driver.models = ("2",)
    with pytest.raises(UnexpectedReply, match=r"expected 2, found 'Keithley"):
        driver.verify_identity()


def test_script_that_an_earlier_client_left_half_sent_is_ended_at_connection() -> None:
    driver, box = _driver()
    for line in ("loadandrunscript", "smu.limit = 1", "for n = 1, 2 do"):
        box.link.write(line)
    driver.verify_identity()
    assert driver._ask("smu.limit") == 0
    driver.check_errors()


class StreamLink(InProcessLink):
    """A stream whose box takes messages up at once, or at the next question.

    What it has not taken up is lost with the link, and so is what it has answered.
    """

    def __init__(self, box: OneBox, *, at_once: bool) -> None:
        super().__init__(box.instrument.receive)
        self._at_once = at_once
        self._waiting: list[str] = []
        self._unread: list[str] = []

    def write(self, text: str) -> None:
        if self._unread:
            raise UnexpectedReply(f"{self._unread[0]} came before {text} was sent")
        self.sent.append(text)
        self._waiting.append(text)
        if self._at_once:
            self._take_up()

    def query(self, text: str, *, timeout_s: float | None = None) -> str:
        self.write(text)
        self._take_up()
        return self._unread.pop(0)

    def _take_up(self) -> None:
        replies = [self._receive(message) for message in self._waiting]
        self._waiting.clear()
        self._unread += [line for reply in replies if reply for line in reply.splitlines()]

    def recover(self, verify: Callable[[], None]) -> None:
        self._waiting, self._unread = [], []
        verify()


def _prompted(lost: int, *, at_once: bool) -> tuple[Driver, OneBox]:
    """A box with prompts on; the first ``lost`` messages that turn them off do not come."""
    box = OneBox(VirtualBox)
    box.instrument.receive("localnode.prompts = 1")
    link = StreamLink(box, at_once=at_once)
    take_up, left = box.instrument.receive, [None] * lost

    def receive(message: str) -> str | None:
        if message.startswith("localnode.prompts = 0") and left:
            left.pop()
            message = "x = 1"
        return take_up(message)

    link._receive = receive
    return Driver(link, LinkSettings()), box


@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "late"])
@pytest.mark.parametrize("lost", [0, 1])
def test_prompts_are_off_once_the_identity_is_verified_though_messages_are_lost(
    lost: int, at_once: bool
) -> None:
    driver, box = _prompted(lost, at_once=at_once)
    driver.verify_identity()
    assert box.instrument.receive("x = 1") is None
    driver.reset()
    assert driver._ask("smu.limit") == 0


def test_a_prompt_that_comes_after_the_identity_is_not_left_for_the_next_exchange() -> None:
    """A box that takes up the question first: what was sent before it was lost with a link."""
    driver, box = _prompted(0, at_once=True)
    link, take_up, first = driver.link, box.instrument.receive, ["*IDN?"]
    assert isinstance(link, StreamLink)

    def receive(message: str) -> str | None:
        if first and message != first[0]:
            return None
        first.clear()
        return take_up(message)

    link._receive = receive
    driver.verify_identity()
    assert not first
    driver.reset()
    assert driver._ask("smu.limit") == 0


@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "late"])
def test_prompts_that_stay_on_are_named(at_once: bool) -> None:
    driver, _ = _prompted(9, at_once=at_once)
    with pytest.raises(UnexpectedReply, match="TSP"):
        driver.verify_identity()


def test_setting_ends_with_a_confirmation() -> None:
    driver, box = _driver()
    driver._set_finished("smu.limit = 1e-3")
    assert box.link.sent == ["smu.limit = 1e-3 waitcomplete() print('done')"]
