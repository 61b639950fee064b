"""YAML files from elsewhere: one line for every mistake, and bounds before memory is taken."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from hwloop.errors import ConfigError
from hwloop.settings import yaml as module
from hwloop.settings.yaml import MAX_TEXT_BYTES, parse_yaml, read_yaml


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("2001-99-99", "'2001-99-99' is not a valid timestamp"),
        ("2001-02-30", "'2001-02-30' is not a valid timestamp"),
        ("!!timestamp x", "'x' is not a valid timestamp"),
        ("!!int x", "'x' is not a valid int"),
        ('!!int ""', "'' is not a valid int"),
        ("!!float x", "'x' is not a valid float"),
        ("!!bool x", "'x' is not a valid bool"),
        ("{? [a]: b}", "a key must be a single value"),
        ("{? {a: b}: c}", "a key must be a single value"),
        ("!!map [a]", "expected a mapping node, but found sequence"),
        ("&a [*a]", "the alias 'a' contains itself"),
        (str(2**63), "is beyond the largest whole number, 9223372036854775807"),
        ("0x" + "f" * 5000, "is beyond the largest whole number"),
        ("9" * 5000, "is not a valid int"),
    ],
)
def test_a_value_that_yaml_cannot_make_is_one_line_with_its_place(value: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_yaml(f"good: 1\nbad: {value}\n", file="p.yaml")
    text = str(caught.value)
    assert text.startswith("p.yaml: line 2: ")
    assert reason in text
    assert len(text) < 200


def test_octal_digits_that_are_none_are_text_and_64_bits_are_a_number() -> None:
    assert parse_yaml("[0o9, 0o17, 9223372036854775807, -9223372036854775807]") == [
        "0o9",
        "0o17",
        2**63 - 1,
        -(2**63) + 1,
    ]


@pytest.mark.parametrize("brackets", ["[", "{a: ", "- "])
def test_a_hundred_thousand_brackets_are_refused_by_the_depth(brackets: str) -> None:
    with pytest.raises(ConfigError, match="line 1: nested deeper than 64 levels"):
        parse_yaml(brackets * 100_000)


def test_aliases_that_multiply_are_refused_before_they_are_written_out() -> None:
    lines = ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(ConfigError, match="line 6: expands to more than 8 MiB"):
        parse_yaml("\n".join(lines))  # 98 characters ten to the n times: 9.8 MB in the sixth line


def test_aliases_of_one_long_text_are_counted_by_its_length() -> None:
    text = "a: &a " + "x" * 2**20 + "\nb: [" + ", ".join(["*a"] * 9) + "]"
    with pytest.raises(ConfigError, match="line 2: expands to more than 8 MiB"):
        parse_yaml(text)
    assert parse_yaml("a: &a {x: 1}\nb: [*a, *a]")["b"] == [{"x": 1}, {"x": 1}]


def test_small_values_that_aliases_multiply_are_counted_as_eight_characters() -> None:
    text = "a: &a [" + "[]," * 1000 + "]\nb: [" + "*a," * 1048 + "]"
    with pytest.raises(ConfigError, match="line 2: expands to more than 8 MiB"):
        parse_yaml(text)  # 1049 times 1001 values of 8 bytes: 8.4 MB, and 8.39 MB are 8 MiB
    assert len(parse_yaml(text.replace("*a," * 1048, "*a," * 1040))["b"]) == 1040


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nx: [" + "[]," * 1000 + "]", 2),
        ("a: 1\nx: [" + "1," * 1000 + "]", 2),
        ("- \n" * 2000, 1000),  # a token each; the next line has not begun
        ("%a b\n" * 2000 + "--- 1", 1001),  # a token each, with its line end
        ("".join(f"- &a{n} b\n" for n in range(1000)), 334),  # three tokens each
    ],
    ids=("lists", "numbers", "entries", "directives", "anchors"),
)
def test_a_text_of_too_many_values_is_refused_where_it_exceeds_them(
    text: str, line: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert module.MAX_TOKENS == 2**18
    monkeypatch.setattr(module, "MAX_TOKENS", 1000)
    with pytest.raises(ConfigError, match=f"line {line}: has more than 1000 values"):
        parse_yaml(text)


def test_a_table_of_256_rows_and_columns_is_within_the_bounds() -> None:
    row = "[" + ",".join(["2.5e-5"] * 256) + "],"
    table = parse_yaml("map: [" + row * 256 + "]")["map"]
    assert np.array_equal(np.array(table, float), np.full((256, 256), 2.5e-5))


@pytest.mark.parametrize("character", ["\x01", "\x1b", "\x7f", "\ufffe", "\ud800"])
def test_a_character_that_yaml_does_not_allow_is_one_line_with_its_place(character: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_yaml(f"name: a\nabout: x{character}\n", file="p.yaml")
    assert str(caught.value) == (
        f"p.yaml: line 2: the character {character!a} is not allowed in YAML"
    )


def test_a_file_beyond_the_bound_is_refused_with_its_size_unread(tmp_path: Path) -> None:
    path = tmp_path / "long.yaml"
    with path.open("wb") as stream:
        stream.truncate(200 * 2**20)
    with pytest.raises(ConfigError, match=r"long\.yaml: has 200 MiB; at most 8 MiB are read"):
        read_yaml(path)
    assert MAX_TEXT_BYTES == 8 * 2**20


def test_a_pipe_a_device_and_a_folder_are_refused_unopened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    for path in (tmp_path / "pipe.yaml", Path("/dev/zero")):
        with pytest.raises(ConfigError, match="is a pipe or a device"):
            read_yaml(path)
    with pytest.raises(ConfigError, match="is a folder"):
        read_yaml(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_yaml(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="cannot be read: embedded null byte"):
        read_yaml(tmp_path / "zero\0.yaml")


def test_files_beside_a_missing_one_whose_names_hold_its_own_are_named(tmp_path: Path) -> None:
    for name in ("mnist_tiles.yaml", "cifar_tiles.yaml", "tiles.json", "stuck.yaml"):
        (tmp_path / name).touch()
    with pytest.raises(ConfigError) as found:
        read_yaml(tmp_path / "tiles.yaml")
    assert str(found.value).endswith(
        "No such file or directory; beside it: cifar_tiles.yaml, mnist_tiles.yaml"
    )
    with pytest.raises(ConfigError, match=r"No such file or directory$"):
        read_yaml(tmp_path / "endurance.yaml")
