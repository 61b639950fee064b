"""Conditions of ``--where``."""

from __future__ import annotations

import pytest

from hwloop.catalogue.conditions import parse_conditions
from hwloop.errors import ConfigError

FACTS = {
    "seed": 7,
    "converged": True,
    "width_s": 200 * 1e-9,
    "procedure": "manhattan_4x4",
    "started": "2026-11-30T23:59:00.000+00:00",
    "tags": "good\nprobe-3",
    "notes": "good array, probe 3\nWord line 2 is open",
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("seed=7", True),
        ("seed=7.0", True),
        ("seed!=7", False),
        ("seed<7", False),
        ("seed<=7", True),
        ("seed>6.5", True),
        ("seed>=8", False),
        ("seed=seven", False),
        ("converged=true", True),
        ("converged=no", False),
        ("width_s=2e-7", True),
        ("width_s<2e-7", False),
        ("procedure=manhattan_4x4", True),
        ("procedure=manhattan", False),
        ("procedure~HATTAN", True),
        ("started=2026-11-30", True),
        ("started<=2026-11-30", True),
        ("started>2026-11-30", False),
        ("started>=2026-11-30T23:59", True),
        ("started<2026-12", True),
        ("tag=good", True),
        ("tag=goo", False),
        ("tag!=bad", True),
        ("tag!=good", False),
        ("note~'probe 3'", True),
        ("note~'word LINE'", True),
        ("absent=1", False),
        ("absent!=1", True),
        ("absent~1", False),
        ("absent<1", False),
    ],
)
def test_condition_holds_as_its_operator_says(text: str, *, holds: bool) -> None:
    (condition,) = parse_conditions([text])
    assert condition.holds(FACTS) is holds


def test_conditions_stand_side_by_side_and_in_several_options() -> None:
    found = parse_conditions(["seed<10 status=completed", "note~'a b'"])
    assert [(one.name, one.operator, one.value) for one in found] == [
        ("seed", "<", "10"),
        ("status", "=", "completed"),
        ("notes", "~", "a b"),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("seed < 10", "'seed' is no condition"),
        ("=3", "'=3' is no condition"),
        ("seed<<3", "'seed<<3' is no condition"),
        ("seed==3", "'seed==3' is no condition"),
        ("note~'a", "No closing quotation"),
    ],
)
def test_what_is_no_condition_is_refused_with_its_words(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_conditions([text])
