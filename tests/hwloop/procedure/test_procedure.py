"""Procedure files: what is accepted, what is refused, and where the refusal points."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hwloop.errors import ConfigError
from hwloop.procedure.procedure import from_data, load_procedure
from hwloop.settings.yaml import parse_yaml

FILE = Path(__file__).parents[3] / "procedures" / "manhattan_4x4.yaml"
DATA: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))


def leaves(data: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Paths of every mapping in the procedure."""
    found = []
    if isinstance(data, dict):
        found.append(path)
        for key, value in data.items():
            found += leaves(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            found += leaves(value, (*path, str(index)))
    return found


def at(data: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        data = data[int(part)] if isinstance(data, list) else data[part]
    return data


@pytest.mark.parametrize("path", leaves(DATA), ids=lambda path: ".".join(path) or "top")
def test_an_unknown_key_is_refused_wherever_it_stands(path: tuple[str, ...]) -> None:
    data = copy.deepcopy(DATA)
    at(data, path)["surprise"] = 1
    with pytest.raises(ConfigError, match="surprise") as refusal:
        from_data(data, folder=Path())
    assert str(refusal.value).startswith(".".join(path))


@given(seed=st.integers(0, 2**31), beta=st.floats(1e3, 1e9), updates=st.integers(1, 10**6))
def test_a_procedure_survives_the_way_through_its_plain_data(
    seed: int, beta: float, updates: int
) -> None:
    overrides = [
        f"seed={seed}",
        f"steps.0.settings.beta_per_a={beta!r}",
        f"steps.0.settings.max_updates={updates}",
    ]
    first = from_data(copy.deepcopy(DATA), folder=Path(), overrides=overrides)
    second = from_data(first.resolved, folder=Path("elsewhere"))
    assert second.resolved == first.resolved
    assert (second.seed, second.steps[0].settings.beta_per_a) == (seed, beta)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("nonsense", "expected KEY.PATH=VALUE"),
        ("=1", "expected KEY.PATH=VALUE"),
        ("steps.9.label=x", "there is no '9' to set"),
        ("steps.one.label=x", "there is no 'one' to set"),
        ("name.x=1", "there is no 'x' to set"),
        ("array.rows='4'", "array.rows: '4'"),
        ("array.rows=true", "array.rows: True"),
        ("array.rows=0", "array.rows: 0: input should be greater than or equal to 1"),
        ("array.rows=5", "steps.0.settings.patterns: 4 bits an entry, but the array has 5 rows"),
        ("array.cols=5", "5 columns"),
        ("array.cols=6", "steps.0.settings.outputs: 2 bits an entry, but the array has 3 pairs"),
        ("array.limits.read_v=10 mV", "read.read_v 0.05 exceeds limits.read_v 0.01"),
        ("array.biasing=1T1R", "biasing 1T1R does not fit cell 1R"),
        ("array.biasing=V/4", "array.biasing: 'V/4'"),
        ("array.read.both_polarities=1", "both_polarities"),
        ("array.limits.current_a=.inf", "finite"),
        ("array.limits.negative_v=1", "array.limits.negative_v: "),
        ("steps.0.settings.target_0=0.9", "target_0 0.9 must be below target_1 0.8"),
        ("steps.0.settings.patterns=[[0,0,0,2],[0,0,0,1]]", "entry (0, 3) is 2: a bit is 0 or 1"),
        ("steps.0.settings.patterns=['0001','01']", "equal length"),
        ("steps.0.settings.patterns=['000x']", "'000x': a bit string has only 0 and 1"),
        ("steps.0.settings.max_updates=1.5", "max_updates"),
        ("backends.sim.device.shift.distribution=normal", "backends.sim.device.shift"),
        (
            "backends.sim.device.shift.min_conductance_s=1",
            "min_conductance_s 1 must be below max_conductance_s 1e-07",
        ),
        ("backends.sims={}", "there is no backend 'sims'; did you mean 'sim'?"),
        ("seed=-1", "seed: -1"),
        ("steps=[]", "steps: "),
        ("array.rows=1000000000", "1 × 1000000000 × 4 are 4e+09 cells; at most 16777216"),
        ("array.tiles=9223372036854775807", "cells; at most 16777216"),
        (f"seed={2**200}", "is beyond the largest whole number, 9223372036854775807"),
        ("array.limits.positive_v=1e400", "expected a finite number of V"),
        ("about=2001-99-99", "'2001-99-99' is not a valid timestamp"),
        ("steps.²={}", "there is no '²' to set"),
        (f"steps.{'0' * 5000}={{}}", "to set"),
    ],
)
def test_a_wrong_setting_is_refused_with_key_value_and_bound(override: str, words: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        load_procedure(FILE, [override])
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_value_may_contain_an_equals_sign() -> None:
    assert load_procedure(FILE, ["about=a=b"]).about == "a=b"


def test_two_steps_need_two_labels() -> None:
    data = copy.deepcopy(DATA)
    data["steps"] *= 2
    with pytest.raises(
        ConfigError, match=r"steps.1.label: 'train_manhattan' stands for an earlier"
    ):
        from_data(data, folder=Path())
    data["steps"][1] = data["steps"][1] | {"label": "again"}
    assert [step.label for step in from_data(data, folder=Path()).steps] == [
        "train_manhattan",
        "again",
    ]


@pytest.mark.parametrize(
    "text", ["a: 1\na: 2", "a: [1", "\tb: 1", "a: &x [*x", "!!python/object:os.x {}"]
)
def test_broken_yaml_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_yaml(text)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_procedure(path)


@pytest.mark.parametrize("content", ["- 1\n", "just words\n", ""])
def test_a_file_that_is_no_mapping_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"a\.yaml"):
        load_procedure(path)


def test_bits_come_from_csv_npy_and_npz_beside_the_procedure(tmp_path: Path) -> None:
    patterns = np.array(
        [[int(bit) for bit in row] for row in DATA["steps"][0]["settings"]["patterns"]]
    )
    np.save(tmp_path / "p.npy", patterns)
    np.savez(tmp_path / "p.npz", letters=patterns)
    np.savetxt(tmp_path / "p.csv", patterns, fmt="%d", delimiter=",", header="a,b,c,d", comments="")
    (tmp_path / "p.yaml").write_bytes(FILE.read_bytes())
    for reference in ("{file: p.csv}", "{file: p.npy}", "{file: p.npz, key: letters}"):
        loaded = load_procedure(tmp_path / "p.yaml", [f"steps.0.settings.patterns={reference}"])
        assert np.array_equal(loaded.resolved["steps"][0]["settings"]["patterns"], patterns)


@pytest.mark.parametrize(
    ("name", "content", "reference", "words"),
    [
        ("a.csv", b"0,1\n0,x\n", "{file: a.csv}", "line 2"),
        ("a.csv", b"0,1\n0\n", "{file: a.csv}", "differ in length"),
        ("a.csv", b"", "{file: a.csv}", "holds no numbers"),
        ("a.npy", b"\x93NUMPY broken", "{file: a.npy}", "cannot be read as a NumPy file"),
        ("a.npz", b"PK\x03\x04 broken", "{file: a.npz, key: x}", "cannot be read as a NumPy file"),
        ("a.txt", b"0 1", "{file: a.txt}", "expected a file ending in"),
        ("a.csv", b"0,1\n", "{file: a.csv, key: x}", "has no keys"),
        ("a.csv", b"0,1\n", "{fil: a.csv}", "expected {file: NAME}"),
        ("a.csv", b"0,nan\n", "{file: a.csv}", "every entry must be finite"),
        ("a.csv", b"0,\n1,0\n", "{file: a.csv}", "entry (0, 1) is nan"),
        ("a.csv", b"0,O\n1,0\n", "{file: a.csv}", "line 1: '0,O' is not all numbers"),
    ],
)
def test_a_damaged_data_file_is_refused_with_its_name(
    name: str, content: bytes, reference: str, words: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    (tmp_path / "p.yaml").write_bytes(FILE.read_bytes())
    with pytest.raises(ConfigError) as refusal:
        load_procedure(tmp_path / "p.yaml", [f"steps.0.settings.patterns={reference}"])
    assert words in str(refusal.value)
    assert "steps.0.settings.patterns" in str(refusal.value)


def test_a_misspelt_required_key_is_named_before_the_one_that_it_leaves_missing() -> None:
    data = copy.deepcopy(DATA)
    settings = data["steps"][0]["settings"]
    settings["beta_per_b"] = settings.pop("beta_per_a")
    with pytest.raises(ConfigError, match="beta_per_b: unknown key; did you mean 'beta_per_a'"):
        from_data(data, folder=Path())
