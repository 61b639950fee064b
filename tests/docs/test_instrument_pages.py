"""The pages of instruments: every command that a driver sends has a source, and no other has."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from benchmarks.instrument_pages.page import (
    Session,
    commands_of,
    contents,
    differences,
    makes_pulses,
    page,
    sessions,
)
from benchmarks.instrument_pages.sessions import LIBRARIES, SUBJECTS, Sent, Subject
from benchmarks.instrument_pages.sources import FOLDER, PAGES, ROOT, Sources, load
from benchmarks.instrument_pages.wire import Dialect, scpi_commands
from hwloop import plugins
from hwloop.errors import ConfigError

MISSING = [library for library in LIBRARIES if find_spec(library) is None]
everything = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
COMMAND = re.compile(
    r"[:*][A-Z]{3,}|[A-Z]{3,4}(:[A-Z]+)+\b|(smu|channel|event|error|format|localnode)\w*[.(]|\.[a-z]+\."
)
CHANNEL = re.compile(r"(?<=[A-Z])[12](?=[:? ]|$)", re.MULTILINE)
HERE = [n for n, subject in SUBJECTS.items() if subject.setups[0].library not in MISSING]
names = pytest.mark.parametrize("name", HERE)
ONE = Subject(Dialect("scpi"), ())
SENT = [Session("", (Sent("reset()", ("*RST",)), Sent("read_back()", (":SOUR:VOLT?",))))]
ENTRY = {
    "commands": ["*RST"],
    "mark": "confirmed",
    "source": "manual",
    "page": "15-1",
    "does": "Resets.",
}


@pytest.fixture(scope="module")
def found() -> dict[str, list[Session]]:
    return {name: sessions(SUBJECTS[name]) for name in HERE}


def command_texts(source: str) -> Iterator[str]:
    """Yield the pieces of text in a driver's source that begin as a command does."""
    tree = ast.parse(source)
    docstrings = {
        ast.get_docstring(node, clean=False)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value.strip()
            if COMMAND.match(text) and node.value not in docstrings:
                yield text.removesuffix("?")


def sources(*entries: dict[str, object]) -> Sources:
    return Sources.parse({"title": "A box", "texts": {"manual": "M"}, "commands": entries})


@names
def test_every_command_that_is_sent_has_a_source_and_every_source_a_command(
    name: str, found: dict[str, list[Session]]
) -> None:
    sent = commands_of(SUBJECTS[name], found[name])
    assert differences(name, load(name), sent) == []


@names
def test_page_is_what_the_command_makes(name: str, found: dict[str, list[Session]]) -> None:
    made = page(name, SUBJECTS[name], load(name), found[name])
    assert (PAGES / f"{name}.md").read_text(encoding="utf-8") == made, "run `make instruments`"


@everything
def test_contents_are_what_the_command_makes(found: dict[str, list[Session]]) -> None:
    made = contents({n: (SUBJECTS[n], load(n), found[n]) for n in SUBJECTS})
    assert (PAGES / "contents.md").read_text(encoding="utf-8") == made, "run `make instruments`"


@names
def test_page_of_an_instrument_that_makes_pulses_states_their_widths(
    name: str, found: dict[str, list[Session]]
) -> None:
    assert bool(load(name).widths) == makes_pulses(found[name])


def test_every_driver_and_no_other_has_a_page() -> None:
    kinds = {setup.kind for subject in SUBJECTS.values() for setup in subject.setups}
    assert kinds == set(plugins.names(plugins.INSTRUMENTS))
    assert {path.stem for path in PAGES.glob("*.md")} == {*SUBJECTS, "contents"}
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(SUBJECTS)


def test_the_script_of_calls_makes_every_command_of_the_drivers_be_sent(
    found: dict[str, list[Session]],
) -> None:
    messages = [
        m for parts in found.values() for part in parts for s in part.sent for m in s.messages
    ]
    sent = CHANNEL.sub("", "\n".join(messages))
    files = sorted((ROOT / "drivers" / "hwloop_drivers" / "instruments").rglob("*.py"))
    texts = {file: set(command_texts(file.read_text(encoding="utf-8"))) for file in files}
    assert len(set().union(*texts.values())) > 100
    unsent = {file.name: sorted(t for t in told if t not in sent) for file, told in texts.items()}
    assert {name: texts for name, texts in unsent.items() if texts} == {}


def test_a_command_without_a_source_is_named() -> None:
    told = differences("box", sources(ENTRY), commands_of(ONE, SENT))
    assert told == ["box.yaml: no entry for :SOUR:VOLT?"]


def test_a_source_that_no_command_needs_is_named() -> None:
    told = differences("box", sources(ENTRY), ["*CLS", "*RST"])
    assert told == ["box.yaml: no entry for *CLS"]
    assert differences("box", sources(ENTRY), []) == ["box.yaml: nothing sends *RST"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"page": ""}, "by no source and page"),
        ({"source": "another"}, "none of the texts"),
        ({"mark": "unconfirmed"}, "say what to try in try_first"),
        ({"mark": "guessed"}, "mark"),
        ({"commands": ["*RST", "*RST"]}, "more than one entry for"),
        ({"limit": "0 to 1"}, "limit"),
    ],
)
def test_an_entry_that_proves_nothing_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        sources({**ENTRY, **change})


def test_unconfirmed_commands_come_first_on_the_page() -> None:
    unsure = {
        "commands": [":SOUR:VOLT?"],
        "mark": "unconfirmed",
        "does": "Answers the level.",
        "try_first": "ask it after a reset; 0 is right.",
    }
    made = page("box", ONE, sources(ENTRY, unsure), SENT)
    head, _, rest = made.partition("## In the order of sending")
    assert "- `:SOUR:VOLT?`: ask it after a reset; 0 is right." in head
    assert "*RST" not in head
    assert "| `:SOUR:VOLT?` | **unconfirmed** |" in rest
    assert "2 commands: 1 confirmed, 1 unconfirmed." in head


@pytest.mark.parametrize(
    ("message", "commands"),
    [
        (":SOUR1:VOLT -0.5;*OPC?", [":SOUR<c>:VOLT <n>", "*OPC?"]),
        (":SOUR:LIST:VOLT 0.1,1e-3,0", [":SOUR:LIST:VOLT <n>,…"]),
        (':SENS:FUNC "VOLT;CURR"', [':SENS:FUNC "VOLT;CURR"']),
        (":ROUT:CLOS (@10101,10204)", [":ROUT:CLOS (@<channels>)"]),
        (":OUTP2?;:OUTP2:POL INV", [":OUTP<c>?", ":OUTP<c>:POL INV"]),
        (":ROUT:CONN:SEQ 1,MBBR", [":ROUT:CONN:SEQ <n>,MBBR"]),
    ],
)
def test_a_message_in_scpi_is_its_headers_and_words(message: str, commands: list[str]) -> None:
    assert scpi_commands(message) == commands


def test_a_message_in_tsp_is_the_instruments_names_in_it() -> None:
    dialect = Dialect("tsp", {r"\bsmu[ab]?\b": "smuX", r"\bothers\[n\]": "smuX"})
    script = [
        "function hwloop.run(smu, body, others)",
        "local ok, message = pcall(body)",
        "for n = 1, 2 do others[n].source.levelv = 0 end",
        "if ok then print('smua.source.leveli', message) end",
        "end",
        "print(smub.measure.i() < 1e30, slot[3].idn)",
    ]
    assert list(dict.fromkeys(dialect.commands(script))) == [
        "pcall",
        "smuX.source.levelv",
        "print",
        "smuX.measure.i",
        "slot[<n>].idn",
    ]


def test_a_frame_is_taken_off_before_a_command_is_read() -> None:
    dialect = Dialect("words", framed=True)
    assert dialect.commands(["7 SET r1c1,r2c2 A1B2", "8 STAT? 0C0D"]) == ["SET", "STAT?"]


def test_a_driver_that_sends_a_new_command_makes_the_check_fail(
    found: dict[str, list[Session]],
) -> None:
    changed = [*found["keithley_7001"], Session("", (Sent("reset()", (":NEW:HEAD 1",)),))]
    told = differences(
        "keithley_7001",
        load("keithley_7001"),
        commands_of(SUBJECTS["keithley_7001"], changed),
    )
    assert told == ["keithley_7001.yaml: no entry for :NEW:HEAD <n>"]
