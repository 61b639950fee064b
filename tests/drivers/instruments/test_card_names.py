"""Cards of Keithley's mainframes by what their slots answer: boxes as real ones, drivers that cope."""

import pytest

from hwloop.errors import UnexpectedReply
from hwloop_drivers.instruments.keithley_707b import Keithley707B, Keithley707BSettings
from hwloop_drivers.instruments.keithley_3706a import Keithley3706A, Keithley3706ASettings
from hwloop_drivers.testing.in_process import InProcessLink
from hwloop_sim.virtual.instruments.keithley_707b import Keithley707B as Virtual707B
from tests.virtual_link import OneBox

# Keithley's help of the 707B: slot[X].idn has the 7173-50, slot[X].pseudocard the others.
NAMES = [("7173-50", "7173"), ("7174A", "7174"), ("7072-HV", "70721"), ("7072", "7072")]


@pytest.mark.parametrize(("card", "reported"), NAMES)
def test_slot_answers_a_card_by_its_number_there_and_the_driver_takes_it(
    card: str, reported: str
) -> None:
    settings = {"cards": {1: card}}
    box = OneBox(Virtual707B, settings=settings)
    answer = str(box.instrument.receive("print(slot[1].idn)"))
    assert answer.partition(",")[0] == reported
    Keithley707B(box.link, Keithley707BSettings.parse(settings)).verify_identity()


@pytest.mark.parametrize(("card", "reported"), NAMES)
def test_card_of_another_kind_than_the_station_says_is_refused(card: str, reported: str) -> None:
    other = "7072" if card != "7072" else "7174A"
    box = OneBox(Virtual707B, settings={"cards": {1: card}})
    matrix = Keithley707B(box.link, Keithley707BSettings.parse({"cards": {1: other}}))
    with pytest.raises(UnexpectedReply, match=f"expected a {other} in slot 1, found '{reported},"):
        matrix.verify_identity()


def test_pseudocard_is_refused_since_it_has_no_relays() -> None:
    # slot[X].pseudocard, example 2: "7072,Pseudo 8x12 SemiMatrix,00.00a,????????"
    box = OneBox(Virtual707B)
    pseudo = "7072,Pseudo 8x12 SemiMatrix,00.00a,????????"

    def answer(text: str) -> str | None:
        return pseudo if "idn)" in text else box.instrument.receive(text)

    matrix = Keithley707B(InProcessLink(answer), Keithley707BSettings())
    with pytest.raises(UnexpectedReply, match="slot 1 holds a pseudocard"):
        matrix.verify_identity()


def test_channels_closed_in_pairs_are_named_as_four_pole() -> None:
    # Keithley's help of the 37xx, channel.getclose: a four-pole channel reads 5003(5033).
    matrix = Keithley3706A(InProcessLink(lambda _: "5003(5033)"), Keithley3706ASettings())
    with pytest.raises(UnexpectedReply, match=r"5003\(5033\).*four-pole.*two poles"):
        _ = matrix.closed
