"""Page of a survey, line by line."""

from __future__ import annotations

from collections.abc import Iterator

from hwloop_drivers.discovery.found import Found, Survey


def page(seen: Survey) -> Iterator[str]:
    """Yield the lines of a survey: what was found by its place, then where was looked."""
    where = ""
    for one in seen.found:
        if one.where != where:
            yield (where := one.where)
        yield from _finding(one)
    if not seen.found:
        yield "nothing found"
    for line in seen.looked:
        yield f"looked for  {line}"
    for line in seen.missed:
        yield f"could not look for  {line}"


def _finding(one: Found) -> Iterator[str]:
    yield "  " + "  ".join(filter(None, (one.address, one.name, one.identity, one.note)))
    if not one.identity:
        return
    if one.drivers:
        yield f"      driver: {', '.join(one.drivers)}"
    for line in one.near:
        yield f"      near, never tried: {line}"
    if not one.drivers and not one.near:
        yield "      driver: none; see docs/how-to/use-a-bench.md"
