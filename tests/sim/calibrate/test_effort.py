"""The time of a search is shared, and a stop ends every share of it."""

from __future__ import annotations

import math

import pytest

from hwloop_sim.calibrate.effort import UNLIMITED, Effort, SearchEnded


class Clock:
    """A clock that is set by hand, in seconds."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_share_ends_after_its_part_of_the_time_left() -> None:
    clock = Clock()
    whole = Effort(clock.now_s + 60, now_s=clock)
    clock.now_s += 20
    share = whole.share(0.25)
    assert share.left_s == pytest.approx(10)
    clock.now_s += 11
    assert share.ended
    assert not whole.ended
    assert whole.left_s == pytest.approx(29)
    with pytest.raises(SearchEnded):
        share.check()


def test_a_stop_ends_the_whole_and_every_share() -> None:
    asked = [False]
    whole = Effort(stopped=lambda: asked[0])
    share = whole.share(0.5)
    assert not share.ended
    assert math.isinf(share.left_s)
    asked[0] = True
    assert share.ended
    assert whole.ended


def test_what_is_being_done_is_told_with_the_time_left() -> None:
    clock, told = Clock(), list[tuple[str, float]]()
    effort = Effort(130.0, tell=lambda *one: told.append(one), now_s=clock)
    effort.check("vteam: fitting")
    effort.check()
    assert told == [("vteam: fitting", 30.0)]


def test_an_unlimited_search_never_ends() -> None:
    assert not UNLIMITED.share(0.1).ended
