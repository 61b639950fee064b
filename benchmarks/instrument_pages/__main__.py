"""Write docs/reference/instruments: every command that a driver sends, by `make instruments`."""

from __future__ import annotations

import sys

from benchmarks.instrument_pages.page import commands_of, contents, differences, page, sessions
from benchmarks.instrument_pages.sessions import SUBJECTS
from benchmarks.instrument_pages.sources import PAGES, load


def main() -> int:
    """Write every page; name the commands that have no entry, and entries that nothing sends."""
    wrong, pages = [], {}
    for name, subject in SUBJECTS.items():
        sources, found = load(name), sessions(subject)
        pages[name] = subject, sources, found
        wrong += differences(name, sources, commands_of(subject, found))
        (PAGES / f"{name}.md").write_text(page(name, subject, sources, found), encoding="utf-8")
    (PAGES / "contents.md").write_text(contents(pages), encoding="utf-8")
    print("\n".join(wrong) if wrong else f"{len(SUBJECTS)} pages written to {PAGES}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
