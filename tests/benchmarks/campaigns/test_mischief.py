"""What each kind of bad wire makes of a message."""

import itertools
import random

import pytest

from benchmarks.campaigns.mischief import CLOSE, KINDS, LF, Back, Kind, Moment

ANSWER = b"+1.234567E-06,+8.000000E+00"
BEFORE = b"+7.654321E-06,+0.000000E+00"


def _kind(name: str) -> Kind:
    return next(kind for kind in KINDS if kind.name == name)


def _sent(name: str, message: bytes = ANSWER, *, seed: int = 0, **more: object) -> list[object]:
    moment = Moment(message, BEFORE, random.Random(seed), 2.0, **more)  # type: ignore[arg-type]  # noqa: S311
    return list(itertools.islice(_kind(name).act(moment), 100))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("seed", range(5))
def test_every_kind_puts_something_else_in_the_place_of_the_message(kind: Kind, seed: int) -> None:
    assert _sent(kind.name, seed=seed) != [ANSWER + LF]


def test_names_of_kinds_are_their_own_and_both_sides_are_struck() -> None:
    names = [kind.name for kind in KINDS]
    assert len(set(names)) == len(names) >= 40
    assert {kind.side for kind in KINDS} == {"answer", "request"}


@pytest.mark.parametrize("seed", range(20))
def test_changed_bytes_and_digits_are_one_at_a_time(seed: int) -> None:
    for name, longer in (
        ("byte of an answer lost", -1),
        ("byte of an answer doubled", 1),
        ("byte of an answer changed", 0),
        ("digit of an answer changed", 0),
    ):
        (sent,) = _sent(name, seed=seed)
        assert isinstance(sent, bytes)
        assert len(sent) == len(ANSWER) + len(LF) + longer
        if longer == 0:
            differing = [(a, b) for a, b in zip(ANSWER, sent, strict=False) if a != b]
            assert len(differing) == 1
            if "digit" in name:
                assert chr(differing[0][1]).isdigit()


def test_reordering_answers_with_what_came_before() -> None:
    assert _sent("the answer before instead") == [BEFORE + LF]
    assert _sent("each answer one behind", nth=3, held=b"held") == [b"held" + LF]
    assert _sent("two messages exchanged", b"a", nth=0) == []
    assert _sent("two messages exchanged", b"b", nth=1, held=b"a") == [b"b" + LF, b"a" + LF]


def test_late_answers_miss_the_time_out_and_slow_ones_do_not() -> None:
    assert _sent("answer after the time-out") == [3.0, ANSWER + LF]
    assert _sent("answer late, in time") == [1.2, ANSWER + LF]


def test_endless_answers_have_no_end_of_line() -> None:
    for name in ("answer without end", "answer that drips without end"):
        assert _kind(name).endless
        assert not any(LF in item for item in _sent(name) if isinstance(item, bytes))


def test_links_end_and_unasked_answers_go_back() -> None:
    assert _sent("link closed instead of an answer") == [CLOSE]
    asked, on = _sent("answer without a question", b":READ?")
    assert isinstance(asked, Back)
    assert on == b":READ?" + LF


def test_numbers_and_questions_are_struck_only_where_they_are() -> None:
    assert _kind("decimal comma").strikes(ANSWER)
    assert not _kind("decimal comma").strikes(b"KEITHLEY")
    assert _kind("setting lost").strikes(b":SOUR:VOLT 1")
    assert not _kind("setting lost").strikes(b":SOUR:VOLT 1;*OPC?")
    assert _kind("question lost").strikes(b"print(smua.source.levelv)")
