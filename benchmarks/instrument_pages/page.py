"""A page of docs/reference/instruments from sessions and sources."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from benchmarks.instrument_pages.sessions import Sent, Subject, session
from benchmarks.instrument_pages.sources import Entry, Mark, Sources
from benchmarks.instrument_pages.wire import BEGIN, END

MOST_SHOWN = 110  # characters of a message
MARKS: dict[Mark, str] = {
    "confirmed": "confirmed",
    "seen": "seen",
    "unconfirmed": "**unconfirmed**",
}
NO_ENTRY = Entry(
    commands=("?",), mark="unconfirmed", does="Nothing is written yet.", try_first="find its text"
)
LEGEND = """Made by `make instruments` from what the driver sends to its virtual instrument and from
[its sources](sources/{name}.yaml); do not edit. *confirmed*: the maker's text says so. *seen*: no
public text of the maker was found, but a driver that has met hardware sends it. *unconfirmed*:
neither was found. No driver of hwloop has met hardware yet.
"""
CONTENTS = """# Instruments: every command, and where it is written

Made by `make instruments`. Each page lists what a driver sends, call by call, and for each command
the page of the maker's text that says what it does. *Unconfirmed* commands stand at the top of
their page: what a lab should try first when it has the instrument.

| instrument | commands | confirmed | seen in a driver | unconfirmed |
| --- | --- | --- | --- | --- |
"""
FIELDS = {
    "limits": "Limits",
    "after_reset": "After reset",
    "side_effects": "Side effects",
    "timing": "Timing",
    "doubt": "In doubt",
    "try_first": "Try first",
}


@dataclass(frozen=True)
class Session:
    """The calls of one instrument of a page; ``also``: why it is there beside the first."""

    also: str
    sent: tuple[Sent, ...]


def sessions(subject: Subject) -> list[Session]:
    """Return the sessions of a page; of those after the first, the calls that differ from it."""
    found: list[Session] = []
    for setup in subject.setups:
        sent = session(setup)
        known = [_told(subject, one) for one in found[0].sent] if found else []
        found.append(
            Session(setup.also, tuple(one for one in sent if _told(subject, one) not in known))
        )
    return found


def _told(subject: Subject, sent: Sent) -> tuple[str, tuple[str, ...]]:
    return sent.call, tuple(dict.fromkeys(subject.dialect.commands(sent.messages)))


def commands_of(subject: Subject, found: Sequence[Session]) -> list[str]:
    """Return every command that was sent, in the order of the first time."""
    sent = [one for part in found for one in part.sent]
    return list(dict.fromkeys(c for one in sent for c in subject.dialect.commands(one.messages)))


def differences(name: str, sources: Sources, sent: Sequence[str]) -> list[str]:
    """Return a line for each command without an entry, and for each entry that nothing sends."""
    entries = sources.by_command()
    missing = [f"{name}.yaml: no entry for {command}" for command in sent if command not in entries]
    unsent = [f"{name}.yaml: nothing sends {command}" for command in entries if command not in sent]
    return missing + unsent


def makes_pulses(found: Sequence[Session]) -> bool:
    """Return whether any call made a train or pulses."""
    return any(sent.call.startswith("apply_") for part in found for sent in part.sent)


def page(name: str, subject: Subject, sources: Sources, found: Sequence[Session]) -> str:
    """Return the whole page."""
    sent = commands_of(subject, found)
    entries = _entries(sources, sent)
    ordered = list({id(entries[command]): entries[command] for command in sent}.values())
    parts = [f"# {sources.title}\n", LEGEND.format(name=name), _count(ordered)]
    parts += ["## Texts\n", "".join(f"- *{k}*: {text}\n" for k, text in sources.texts.items())]
    parts += ["## To be tried first on hardware\n", _to_try(sources, ordered)]
    if sources.widths:
        parts += ["## Widths that the driver makes\n", " ".join(sources.widths.split()) + "\n"]
    if sources.rules:
        parts += ["## Rules beyond single commands\n", _bullets(sources.rules)]
    parts += ["## In the order of sending\n", *_sessions(subject, entries, found)]
    parts += ["## Commands\n", *(_entry(entry) for entry in ordered)]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def contents(pages: Mapping[str, tuple[Subject, Sources, Sequence[Session]]]) -> str:
    """Return the page that lists the pages, with how many of their commands have which mark."""
    rows = []
    for name, (subject, sources, found) in pages.items():
        sent = commands_of(subject, found)
        counts = Counter(entry.mark for entry in _entries(sources, sent).values())
        shown = " | ".join(str(counts[mark]) for mark in MARKS)
        rows.append(f"| [{sources.title}]({name}.md) | {len(sent)} | {shown} |\n")
    return CONTENTS + "".join(rows)


def _entries(sources: Sources, sent: Sequence[str]) -> dict[str, Entry]:
    """Return the entry of each command that is sent."""
    written = sources.by_command()
    return {c: written.get(c) or NO_ENTRY.model_copy(update={"commands": (c,)}) for c in sent}


def _count(entries: Sequence[Entry]) -> str:
    counts = {mark: sum(len(e.commands) for e in entries if e.mark == mark) for mark in MARKS}
    told = ", ".join(f"{count} {mark}" for mark, count in counts.items() if count)
    return f"{sum(counts.values())} commands: {told}.\n"


def _to_try(sources: Sources, entries: Sequence[Entry]) -> str:
    lines = [f"{_codes(e.commands)}: {e.try_first}" for e in entries if e.try_first]
    everything = [*sources.try_first, *lines]
    return _bullets(everything) or "Nothing: every command is in a text or has been seen.\n"


def _bullets(lines: Sequence[str]) -> str:
    return "".join(f"- {' '.join(line.split())}\n" for line in lines)


def _sessions(
    subject: Subject, entries: dict[str, Entry], found: Sequence[Session]
) -> Iterator[str]:
    for part in found:
        if part.also:
            yield f"### Also {part.also}\n"
            if not part.sent:
                yield "The same commands.\n"
        for sent in part.sent:
            rows = "".join(_rows(subject, entries, sent.messages))
            yield f"`{sent.call}`\n\n| sent | mark |\n| --- | --- |\n{rows}"


def _rows(subject: Subject, entries: dict[str, Entry], messages: Sequence[str]) -> Iterator[str]:
    everything = list(messages)
    marks = {c: entries[c].mark for c in subject.dialect.commands(everything)}
    shown = [
        (_shown(subject.dialect.unframed(text)), _mark(marks, _own(subject, everything, text)))
        for text in _without_scripts(everything)
    ]
    for (text, mark), _ in groupby(shown):
        yield f"| {text} | {mark} |\n"


def _own(subject: Subject, messages: Sequence[str], text: str) -> list[str]:
    """Return the commands of one message, without the names that others of the call declare."""
    if text.startswith("("):
        return [BEGIN, END]
    known = set(subject.dialect.commands(messages))
    return [command for command in subject.dialect.commands([text]) if command in known]


def _mark(marks: dict[str, Mark], commands: Sequence[str]) -> str:
    found: list[Mark] = [marks[c] for c in commands] or ["confirmed"]
    worst = max(found, key=list(MARKS).index)
    return MARKS[worst]


def _without_scripts(messages: Sequence[str]) -> Iterator[str]:
    inside = 0
    for text in messages:
        if text == BEGIN:
            inside = 1
        elif inside and text == END:
            yield f"({BEGIN}, the script of {inside - 1} lines, {END})"
            inside = 0
        elif inside:
            inside += 1
        else:
            yield text


def _shown(text: str) -> str:
    if text.startswith("("):
        return text.strip("()")
    short = text if len(text) <= MOST_SHOWN else text[:MOST_SHOWN] + " …"
    return _code(short).replace("|", "\\|")


def _code(text: str) -> str:
    return f"`{text}`"


def _codes(commands: Sequence[str]) -> str:
    return ", ".join(map(_code, commands))


def _entry(entry: Entry) -> str:
    source = f"; {entry.source}, {entry.page}" if entry.source else ""
    text = f"### {_codes(entry.commands)}\n\n{MARKS[entry.mark]}{source}. {entry.does}\n"
    details = [(label, getattr(entry, key)) for key, label in FIELDS.items()]
    lines = [f"- {label}: {value}\n" for label, value in details if value]
    return text + ("\n" + "".join(lines) if lines else "")
