"""Damage of trees, texts and bytes, drawn from a generator of random numbers."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from random import Random
from typing import Any

import yaml

VALUES: tuple[Any, ...] = (
    *(None, True, False, "", " ", "x" * 300, -1, 0, -0.0, 1, 2, 3, 1.5, 1000, 10000, 65536),
    *(1e308, -1e308, 1e-320, float("nan"), float("inf"), float("-inf")),
    *(2**31, 2**63, 2**64, -(2**63), 10**400, "1e999", "1e-999", "9" * 400, "١٢"),
    *([], {}, [[[]]], {"a": 1}, [None], [1, "a", None], ["0001", "2"], [[0, 1], [1]]),
    *("../../../etc/passwd", "/etc/passwd", "C:\\x", "con", "/", ".", "..", "~", "$HOME"),
    *({"file": "/etc/passwd"}, {"file": "/dev/null"}, {"file": "."}, {"file": ""}),
    *("\x00", "a\nb", "\u2028", "💥", "[/]", "[red]x", "%s%n", "{}", "<script>", "' OR 1=1"),
    *("5 mV", "5 parsec", "1,5 V", "50 ms", "1e5", "nan", ".inf", "NaN V", "٣ V", "1_000"),
    *("0x10", "1e400 V", "1" + "0" * 400 + " V", "0 V", "-0 V", "1e-320 V"),
    *("V/3", "grounded", "floating", "1T1R", "1R"),
)
"""Values that a key may be given in place of its own."""

TOKENS = (
    *("&a", "*a", "!!python/object/apply:os.system ['touch PWNED']", "<<: *a", "? [1,2]\n: 3"),
    *("? {a: b}\n: c", "---", "...", "\t", "\x00", "%YAML 9.9\n---", '!!binary "x"', "2001-99-99"),
    *("!!timestamp x", "!!int x", "!!float x", '!!int ""', "!!bool x", "!!set {a, b}"),
    *("!!omap [a: 1]", "!!pairs [a: 1]", "9" * 5000, "1:99:99", "[" * 3000, "{" * 500, "'", '"'),
    *("|", ">", "\u2028", "0b", "0o9", "0x", "1_000", ".inf", ".nan", "- " * 1500, "!!null x"),
    *("!!str [a]", "!!map [a]", "!!seq {a: 1}", "@", "`", "\ufeff", "\x85", "- &a [*a]", "~", "="),
    *("<<: 3", "<<: [1]", "<<: {x: 1}", "!!python/name:os.system", "\xff", "\x1b[31m"),
)
"""Pieces of YAML that mean something, or nothing."""

NUMBERS = (
    "1e308",
    "-1",
    "0",
    "1e-320",
    "9" * 20,
    "nan",
    "1e999",
    "2,5",
    "-0.0",
    "1:2",
    "0x1p3",
    "",
)


def paths_in(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every node of a tree of dicts and lists."""
    yield path
    if isinstance(tree, dict | list):
        keys = list(tree) if isinstance(tree, dict) else range(len(tree))
        for key in keys:
            yield from paths_in(tree[key], (*path, key))


def at(tree: Any, path: tuple[Any, ...]) -> Any:
    """Return the node of a tree at a path."""
    for key in path:
        tree = tree[key]
    return tree


def damaged_tree(random: Random, tree: Any) -> tuple[Any, str]:
    """Return a damaged copy of a tree, and a note of what was done."""
    tree, notes = copy.deepcopy(tree), []
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        paths = [path for path in paths_in(tree) if path]
        if not paths:
            break
        path = random.choice(paths)
        parent = at(tree, path[:-1])
        notes.append(f"{path}: {_change(random, tree, parent, path[-1], paths)}")
    return tree, "; ".join(notes)


def _change(random: Random, tree: Any, parent: Any, key: Any, paths: list[Any]) -> str:
    """Change one entry of a node; return what was done."""
    kind = random.random()
    if kind < 0.55:
        parent[key] = copy.deepcopy(random.choice(VALUES))
        return f"is {parent[key]!r}"[:60]
    if kind < 0.65:
        del parent[key]
        return "is left out"
    if kind < 0.75:
        other = random.choice(paths)
        parent[key] = copy.deepcopy(at(tree, other))
        return f"is as {other}"
    if kind < 0.85:
        parent[key] = _bent(random, parent[key])
        return "is bent"
    if kind < 0.93 and isinstance(parent, dict):
        name = random.choice(("x", "file", "model", "kind", f"{key}_", 5, None, True))
        parent[name] = copy.deepcopy(random.choice(VALUES))
        return f"has a neighbour {name!r}"
    for _ in range(random.choice((3, 30, 90))):
        parent[key] = [parent[key]] if random.random() < 0.5 else {"a": parent[key]}
    return "lies deep"


def _bent(random: Random, value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return random.choice((-value, value * 10**6, value * 1e-9, value + 1, str(value), [value]))
    if isinstance(value, str):
        return random.choice((value[::-1], value * 50, value.upper(), value + " V", "-" + value))
    if isinstance(value, list):
        return random.choice((value * 30, value[::-1], value[:1], [value], [*value, None]))
    return [value]


def damaged_text(random: Random, text: str) -> str:
    """Return a text with tokens put in, lines exchanged, characters and numbers changed."""
    for _ in range(random.choice((1, 1, 2, 4))):
        place, kind = random.randrange(len(text) + 1), random.random()
        if kind < 0.35:
            colons = [found.end() for found in re.finditer(": ", text)]
            if colons and random.random() < 0.5:
                place = random.choice(colons)
            text = text[:place] + random.choice(TOKENS) + text[place:]
        elif kind < 0.5:
            text = text[:place]
        elif kind < 0.65:
            text = text[:place] + chr(random.randrange(1, 256)) + text[place + 1 :]
        elif kind < 0.9:
            lines = text.split("\n")
            one, other = random.randrange(len(lines)), random.randrange(len(lines))
            lines[one : one + 1] = [lines[other], lines[one]][: random.choice((1, 2))]
            text = "\n".join(lines)
        else:
            numbers = list(re.finditer(r"-?\d+\.?\d*(?:[eE][-+]?\d+)?", text))
            if numbers:
                start, end = random.choice(numbers).span()
                text = text[:start] + random.choice(NUMBERS) + text[end:]
    return text


def damaged_yaml(random: Random, text: str) -> tuple[bytes, str]:
    """Return a YAML file with damage of what it means, or of its text and bytes, and a note."""
    note = "text"
    if random.random() < 0.65:
        tree, note = damaged_tree(random, yaml.safe_load(text))
        text = yaml.safe_dump(tree, allow_unicode=True, sort_keys=False)
    else:
        text = damaged_text(random, text)
    raw = text.encode("utf-8", "surrogatepass")
    return (damaged_bytes(random, raw)[0] if random.random() < 0.1 and raw else raw), note


def damaged_bytes(random: Random, raw: bytes) -> tuple[bytes, str]:
    """Return bytes of which some are changed, zero, left out or put in, and a note."""
    changed, kind = bytearray(raw), random.random()
    place = random.randrange(len(changed))
    if kind < 0.35:
        for _ in range(random.choice((1, 2, 4, 8, 20))):
            changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
        return bytes(changed), "bits"
    if kind < 0.5:
        for _ in range(random.choice((1, 2, 4))):
            changed[random.randrange(min(len(changed), 4096))] = random.randrange(256)
        return bytes(changed), "head"
    if kind < 0.7:
        return bytes(changed[:place]), "cut off"
    length = random.choice((4, 8, 64, 512, 4096))
    if kind < 0.87:
        fill = random.choice((b"\0", b"\xff"))
        changed[place : place + length] = fill * len(changed[place : place + length])
        return bytes(changed), "filled"
    if kind < 0.93:
        del changed[place : place + random.choice((1, 7, 512))]
        return bytes(changed), "left out"
    changed[place:place] = random.randbytes(random.choice((1, 7, 512)))
    return bytes(changed), "put in"
