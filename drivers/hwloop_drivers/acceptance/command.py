"""``hwloop accept``: test a bench on known resistors; imports what it needs only when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwloop.terminal import say


def accept(
    station: Annotated[Path, typer.Argument(help="The station, a YAML file.")],
    *,
    resistors: Annotated[
        str | None,
        typer.Option(
            metavar="R|FILE",
            help="The resistors in the array's place: '10 kohm' for all, or a YAML file with the"
            " key ohm, (rows, cols); left out: self_test.dummy_ohm of the station.",
        ),
    ] = None,
    witness: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="The oscilloscope that watches, in place of the station's."
        ),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Run only this test; may be given several times.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the record and the page.")] = Path(
        "acceptance"
    ),
) -> None:
    """Test a bench on resistors in the array's place: what its instruments and relays promise."""
    from hwloop.errors import ConfigError, InstrumentFault
    from hwloop_drivers.acceptance.findings import Finding
    from hwloop_drivers.acceptance.hosting import station_on_trial
    from hwloop_drivers.acceptance.page import page
    from hwloop_drivers.acceptance.run import TESTS, run_acceptance

    chosen = tuple(only or TESTS)
    if unknown := [name for name in chosen if name not in TESTS]:
        raise ConfigError(f"--only {unknown[0]}: the tests are {', '.join(TESTS)}")

    def note(finding: Finding) -> None:
        if finding.failed:
            say(f"out of tolerance: {finding}")

    with station_on_trial(station, resistors=resistors, witness=witness) as tried:
        outcome = run_acceptance(tried, checks=chosen, note=note)
    out.mkdir(parents=True, exist_ok=True)
    stem = f"{outcome.station}-{outcome.began_utc[:19].replace(' ', '-').replace(':', '')}"
    outcome.write(out / f"{stem}.json")
    (out / f"{stem}.html").write_text(page(outcome), encoding="utf-8")
    say(outcome.message())
    say(f"record: {out / stem}.json")
    say(f"page: {out / stem}.html")
    if not outcome.passed:
        first = f"; first: {outcome.failed[0]}" if outcome.failed else ""
        raise InstrumentFault(f"{outcome.message()}{first}")
