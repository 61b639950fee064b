"""Suggestions for a mistyped key, at every depth of procedures and stations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from hwloop.errors import ConfigError
from hwloop.procedure.procedure import load_procedure
from hwloop.settings.known_keys import known_keys
from hwloop.settings.model import Settings
from hwloop.settings.yaml import read_yaml
from hwloop.station.station import Station

ROOT = Path(__file__).parents[3]
FILE = ROOT / "procedures" / "manhattan_4x4.yaml"
STATION = ROOT / "stations" / "virtual_4x4.yaml"


class Round(Settings):
    shape: Literal["round"]
    radius_m: float = 1.0


class Square(Settings):
    shape: Literal["square"]
    side_m: float = 1.0


class Drawing(Settings):
    one: Annotated[Round | Square, Field(discriminator="shape")] | None = None
    several: tuple[Round, ...] = ()
    by_name: dict[str, Square] = Field(default_factory=dict)
    either: Round | int | list[Square] = 0


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            {"one": {"shape": "round", "radus_m": 2}},
            "unknown key; did you mean 'radius_m'?",
        ),
        (
            {"one": {"shape": "square", "radius_m": 2}},
            "unknown key; there are: shape, side_m",
        ),
        (
            {"several": [{"shape": "round"}, {"shape": "round", "radius": 2}]},
            "several.1.radius: unknown key; did you mean 'radius_m'?",
        ),
        (
            {"by_name": {"a": {"shape": "square", "sied_m": 2}}},
            "by_name.a.sied_m: unknown key; did you mean 'side_m'?",
        ),
        ({"either": [{"shape": "square", "sied_m": 2}]}, "did you mean 'side_m'?"),
        ({"severl": []}, "severl: unknown key; did you mean 'several'?"),
    ],
)
def test_the_nearest_key_of_the_same_mapping_is_suggested(data: object, message: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        Drawing.parse(data)
    assert message in str(refusal.value)


def test_only_the_tagged_member_of_a_union_is_searched() -> None:
    assert known_keys(Drawing, ("one", "square")) == ["shape", "side_m"]
    assert known_keys(Drawing, ("one",)) == ["radius_m", "shape", "side_m"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "array.limits.positve_v=3",
            "array.limits.positve_v: unknown key; did you mean 'positive_v'?",
        ),
        ("array.read.red_v=0.1", "array.read.red_v: unknown key; did you mean 'read_v'?"),
        ("aray.rows=4", "aray: unknown key; did you mean 'array'?"),
        ("steps.0.setings.beta_per_a=1", "steps.0.setings: unknown key; did you mean 'settings'?"),
        (
            "steps.train_manhatan.settings.beta_per_a=1",
            "there is no 'train_manhatan' to set; did you mean 'train_manhattan'?",
        ),
        ("array.cell=2R", "array.cell: '2R': input should be '1R' or '1T1R'"),
    ],
)
def test_set_names_the_key_that_was_meant(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        load_procedure(FILE, [override])
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("place", "wrong", "right"),
    [
        (("wiring",), "lins", "lines"),
        (("wiring", "drive"), "colums", "columns"),
        (("instruments", "*"), "adress", "address"),
    ],
)
def test_a_mistyped_key_of_a_station_is_named_at_its_depth(
    place: tuple[str, ...], wrong: str, right: str
) -> None:
    data = read_yaml(STATION)
    inner = data
    for part in place:
        inner = next(iter(inner.values())) if part == "*" else inner[part]
    inner[wrong] = "x"
    with pytest.raises(ConfigError, match=f"{wrong}: unknown key; did you mean '{right}'"):
        Station.parse(data)
