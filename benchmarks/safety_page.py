"""The page of the safety table: its words, its rows, and those that stay as they are."""

from __future__ import annotations

from pathlib import Path

from benchmarks.safety_seen import Incident, Seen
from hwloop.errors import BackendError

WORDS = """\
# State of a bench after each incident

Written by `make safety` (`python -m benchmarks.safety`); do not edit. `--stations` and `--rows` try
a part of it and leave the other rows as they are.

For each row a virtual bench is started, `procedures/manhattan_4x4.yaml` is run on it for
{updates} updates through the real drivers and VISA, and an incident happens in the middle of
the training, at a moment drawn from seed {seed}. Then the virtual bench is asked for the state of
every output and every line, and for every change since it was switched on. Links time out after
{timeout_s:g} s here, after 5 s by default.

- *outputs*, *lines*: at the end. A line is *grounded* by a relay to ground or held at 0 V by an
  output that is off, as the off mode ZERO does.
- *off after*: from the incident to the moment at which the last output went off.
- *floated*: lines that neither ground nor an output held at any moment after the first output
  had been switched on; *at 0 V* where every output was at 0 V or off, *at read voltage* where none
  was above it: so the wiring is checked, line by line, in a run. A pulse generator that is off
  is disconnected: its line floats, undriven, until the matrix has grounded it.
- *hot*: relay movements while any output was not at 0 V.
- *record*: its status and how many operations read back. Every pulse that the array has had is in
  it, except for the operation in flight.
- *exit*: of the run; by signal if negative.

An instrument that never answers again cannot be switched off by anyone but its user. Then all
others are off, the lines are grounded if the matrix still responds, though its relays move under
the voltage of the lost source, and the error, the record's log and
`<record>.watchdog.txt` name the instrument that may still be on.

A serial board that hears nothing of its run for the time of its own watchdog, 2 s on this station,
grounds every line by itself, whatever the sources are at: so its relays move while a run is stopped
in the middle of a pulse, before hwloop's watchdog switches the source off.
"""
HEAD = (
    "| incident | outputs | lines | off after | floated | hot | record | exit | in order |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)
NOT_TRIED = "*not tried*"


def is_wrong(incident: Incident, seen: Seen | BackendError) -> bool:
    """Return whether anything is not as it must be after an incident."""
    return isinstance(seen, BackendError) or bool(seen.faults(incident))


def row(incident: Incident, seen: Seen | BackendError) -> str:
    """Return one row of the table."""
    if isinstance(seen, BackendError):
        return f"| {incident.words} | **{seen}** ||||||||"
    wrong = seen.faults(incident)
    on = ", ".join(seen.left_on)
    outputs = f"**{on} out of reach**, others off" if on else "all off"
    grounded = "all at 0 V" if seen.line_v <= 1e-9 else f"**{seen.line_v:g} V**"
    if seen.not_grounded:
        grounded += ", **as the matrix left them**"
    after = "" if seen.off_after_s is None else f"{max(seen.off_after_s, 0):.1f} s"
    cells = [
        incident.words,
        outputs,
        grounded,
        after,
        ", ".join(
            [f"**{x}**" for x in seen.floating]
            + [f"{x} at 0 V" for x in sorted({*seen.floating_cold} - {*seen.floating_read})]
            + (["lines at read voltage"] if seen.floating_read else [])
        )
        or "none",
        f"**{seen.hot_moves}**" if seen.hot_moves else "none",
        f"{seen.status}, {seen.operations} operations",
        str(seen.exit_code) + (", says what is left" if incident.dead and seen.said else ""),
        "**" + "; ".join(wrong) + "**" if wrong else "yes",
    ]
    return f"| {' | '.join(cells)} |"


class Page:
    """The page as it was, into which rows are put.

    Stations and rows that were not tried again stay as they are; a row that has never been tried
    says so, and one that is no incident any more goes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: dict[str, dict[str, str]] = {}
        name = ""
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
            if line.startswith("## "):
                name = line.removeprefix("## ")
                self._rows[name] = {}
            elif name and line.startswith("| ") and line not in HEAD:
                self._rows[name][line.split(" | ")[0].removeprefix("| ")] = line

    def begin(self, station: str, incidents: list[str]) -> None:
        """Take the incidents of a station, in their order, with the rows that they had."""
        before = self._rows.get(station, {})
        self._rows[station] = {
            words: before.get(words, f"| {words} | {NOT_TRIED} ||||||||") for words in incidents
        }

    def is_untried(self, station: str, words: str) -> bool:
        """Return whether an incident has no row yet."""
        return NOT_TRIED in self._rows[station][words]

    def put(self, station: str, words: str, line: str) -> None:
        """Replace the row of an incident."""
        self._rows[station][words] = line

    def write(self, *, updates: int, seed: int, timeout_s: float) -> None:
        """Write the page, its stations by name."""
        text = [WORDS.format(updates=updates, seed=seed, timeout_s=timeout_s)]
        for station, rows in sorted(self._rows.items()):
            text += [f"\n## {station}\n", HEAD, *rows.values()]
        self._path.write_text("\n".join(text) + "\n", encoding="utf-8")
