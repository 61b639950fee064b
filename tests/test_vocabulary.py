"""Names, docstrings and sentences use the terms of the field and plain engineer's English."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("hwloop", "drivers/hwloop_drivers", "sim/hwloop_sim")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
TEXTS = [
    *SOURCES,
    *(page for page in PAGES if page.name != "CHANGELOG.md"),
    *sorted(
        path
        for folder in ("benchmarks", "tests", "docs")
        for path in (ROOT / folder).rglob("*.py")
        if path != Path(__file__)
    ),
    *sorted(
        path
        for folder in ("procedures", "stations", "docs", *PACKAGES)
        for path in (ROOT / folder).rglob("*.yaml")
    ),
]

# A whole name, and that of a private class without its underscore → the term.
NAMES = {
    "AffectedDevice": "device with non-idealities",
    "Boxes": "instruments, or drives",
    "Drive": "stimulus",
    "Erasing": "reset depth",
    "Goals": "targets and windows",
    "Ledger": "cell table",
    "Look": "read",
    "NothingInIt": "EmptyRecord",
    "Parrot": "fixed-reply link",
    "Slot": "configured instrument",
    "Span": "ConductanceRange",
    "counted": "counter-based random numbers",
    "deep": "reset depth",
    "naming": "messages",
    "travel": "state integration",
    "words": "message or summary",
    "_words": "message or summary",
}
# The same letters with another meaning: file and name → what it means there.
OTHER_MEANINGS = {
    ("drivers/hwloop_drivers/instruments/serial_board.py", "words"): "words of a reply",
    ("sim/hwloop_sim/circuit/ladders.py", "words"): "word lines",
    ("sim/hwloop_sim/virtual/circuit/nodal.py", "Drive"): "a voltage that is driven",
}
# A part of a name in snake case → the term.
PARTS = {
    "affected": "non-ideal",
    "bent": "nonlinear",
    "leftover": "residual",
    "ledger": "cell table",
    "make_safe_afresh": "reconnect and make safe",
    "meeting_point": "rendezvous file",
    "own_loop": "on-instrument verify loop",
    "rehearse": "dry run",
    "restless": "time-varying",
    "shares": "bias fractions",
    "standing": "held levels",
    "waypoint": "next break point",
}
# A sentence, or as much of it as tells it from others → what an engineer would write.
SENTENCES = {
    "What one array bears": "Absolute maximum ratings of the array.",
    "is used up by this": "is overwritten in place.",
    "goes before the file's device": "replaces the file's device entirely.",
    "they go before what the file says": "They override the file; conflicts are reported.",
    "go before those of the file": "override those of the file",
    "one says what is in its way": "Pass --reader NAME to see why that reader rejects the file.",
    "what is in its way": "why it rejects the file",
    "Let the watchdog go": "Stop the watchdog.",
    "had its turn": "let it run its shutdown first",
    "at compliance, infinite": "inf when the meter is in compliance.",
    "too high and too low count alike": "The residual is symmetric in log current.",
    "nothing is left in series that could grow": "Lower bound of 1 - G R_s.",
    "is a bound but for its last digits": "Snap values within rounding error of a bound to it.",
    "that a person should know of": "Return and clear pending log events.",
    "What happened since the last": "Return and clear pending log events.",
    "They bear every pulse": "no docstring; @override",
    "is being written by a run that goes on": "the run is still in progress; wait for its end",
    "what the array bears": "the ratings of the array",
}
RELATIVE = re.compile(r"(What|Of|As|Where|Which|Whose)\b")
QUESTION = re.compile(r"(How|Whether|Why|When)\b")
FEW_WORDS = 4


def relative_path(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def trees() -> list[tuple[str, ast.Module]]:
    return [(relative_path(path), ast.parse(path.read_text(encoding="utf-8"))) for path in SOURCES]


def defined_names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and name of every class, function, field, class variable and import alias."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(name=name, body=body):
                yield node.lineno, name
                yield from ((line.lineno, line.target.id) for line in _fields(body))
            case ast.FunctionDef(name=name):
                yield node.lineno, name
            case ast.alias(asname=str(name)):
                yield node.lineno, name


def _fields(body: list[ast.stmt]) -> Iterator[ast.AnnAssign]:
    for line in body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            yield line


def plain(name: str) -> str:
    """Return the name of a private class without its underscore, any other as it is."""
    bare = name.lstrip("_")
    return bare if bare[:1].isupper() else name


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for node in ast.walk(tree):
        if isinstance(node, documented) and (text := ast.get_docstring(node)):
            yield node.body[0].lineno, text


@cache
def running_text(path: Path) -> str:
    """Return a file as one line, strings and comments joined over their line breaks."""
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"\"\s*\n\s*[fr]?\"", "", text)
    text = re.sub(r"\n\s*#", "\n", text)
    return " ".join(text.split())


def test_names_are_terms_of_the_field() -> None:
    found = [
        f"{path}:{line}: {name} → {NAMES[plain(name)]}"
        for path, tree in trees()
        for line, name in [(1, Path(path).stem), *defined_names(tree)]
        if plain(name) in NAMES and (path, name) not in OTHER_MEANINGS
    ]
    assert found == []


@pytest.mark.parametrize("part", PARTS)
def test_no_name_is_made_with_a_word_that_is_no_term(part: str) -> None:
    whole = re.compile(rf"(^|_){part}($|_)")
    found = [
        f"{path}:{line}: {name} → {PARTS[part]}"
        for path, tree in trees()
        for line, name in [(1, Path(path).stem), *defined_names(tree)]
        if whole.search(name.lower())
    ]
    assert found == []


@pytest.mark.parametrize("sentence", SENTENCES)
def test_no_text_has_a_sentence_that_an_engineer_would_not_write(sentence: str) -> None:
    looked_for = sentence.casefold()
    found = [
        f"{relative_path(path)}: {sentence} → {SENTENCES[sentence]}"
        for path in TEXTS
        if looked_for in running_text(path).casefold()
    ]
    assert found == []


def test_docstrings_do_not_begin_with_a_relative_clause() -> None:
    found = [
        f"{path}:{line}: {text.splitlines()[0]}"
        for path, tree in trees()
        for line, text in docstrings(tree)
        if RELATIVE.match(text) or QUESTION.match(text)
    ]
    assert found == []


def test_docstrings_have_more_than_four_words() -> None:
    found = [
        f"{path}:{line}: {text}"
        for path, tree in trees()
        for line, text in docstrings(tree)
        if len(text.split()) <= FEW_WORDS
    ]
    assert found == []


@pytest.mark.parametrize("page", PAGES, ids=relative_path)
def test_headings_of_pages_are_not_relative_clauses(page: Path) -> None:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert [heading for heading in headings if RELATIVE.match(heading)] == []


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("class Look:\n    words: str", {"Look", "words"}),
        ("def _standing_v(): ...", {"_standing_v"}),
        ("from hwloop import messages as naming", {"naming"}),
        ("words = 1", set()),
    ],
)
def test_the_names_that_a_source_defines_are_found(source: str, names: set[str]) -> None:
    assert {name for _, name in defined_names(ast.parse(source))} == names


def test_a_sentence_is_found_over_the_line_breaks_of_a_string(tmp_path: Path) -> None:
    source = tmp_path / "source.py"
    source.write_text('text = (\n    "named, one says"\n    " what is in its way"\n)\n')
    assert "one says what is in its way" in running_text(source)
