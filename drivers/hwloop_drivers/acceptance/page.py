"""The page of an acceptance test, self-contained, for a lab to send back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.metadata import version

from hwloop.report.html import Html, document, grid_of, table_of, text_of
from hwloop_drivers.acceptance.findings import Finding
from hwloop_drivers.acceptance.record import AcceptanceRecord

HEADS = (
    ("place", "instrument, line, cell"),
    ("condition", "what was done there"),
    ("expected", ""),
    ("seen", ""),
    ("tolerance", ""),
)
LONG = 24  # letters from which a text may break


def page(outcome: AcceptanceRecord) -> str:
    """Return the whole page as HTML text."""
    return document(f"Acceptance of {outcome.station}, {outcome.began_utc}", _body(outcome))


def _body(outcome: AcceptanceRecord) -> Iterator[str]:
    yield f"<h1>Acceptance of {text_of(outcome.station)}</h1>"
    kind = "good" if outcome.passed else "bad"
    yield f'<p class="outcome {kind}">{text_of(outcome.message())}.</p>'
    if outcome.virtual:
        yield (
            '<p class="outcome bad">The instruments are <b>virtual</b>: this page is evidence'
            " about no box.</p>"
        )
    yield "<h2>The bench</h2>"
    yield table_of(_bench(outcome))
    if outcome.failed:
        yield "<h2>Out of tolerance</h2>"
        yield _grid(outcome.failed, with_test=True)
    if outcome.unseen:
        yield "<h2>Not witnessed</h2>"
        yield "<p>Nothing on this bench could see whether these promises are kept.</p>"
        yield _grid(outcome.unseen, with_test=True)
    for test in dict.fromkeys(finding.test for finding in outcome.findings):
        found = [finding for finding in outcome.findings if finding.test == test]
        yield f"<h2>{text_of(test[:1].upper() + test[1:])}</h2>"
        yield f"<p>{text_of(_provenance(found))}</p>"
        yield _grid(found, with_test=False)
    yield "<h2>The station file</h2>"
    yield f"<pre>{text_of(outcome.station_text)}</pre>"


def _bench(outcome: AcceptanceRecord) -> Iterator[tuple[str, object]]:
    for name, said in outcome.instruments.items():
        settings = ", ".join(f"{key} {value}" for key, value in said.items() if key != "id")
        driver = outcome.drivers.get(name, "no driver")
        identity = f"driver {driver} has met {said.get('id', 'no answer')}"
        yield name, identity + (f"; {settings}" if settings else "")
    yield "Oscilloscope", outcome.oscilloscope or "none"
    rows = [", ".join(f"{ohm:g}" for ohm in row) for row in outcome.resistor_ohm]
    yield "Resistors, ohm", Html("<br>".join(text_of(row) for row in rows))
    yield "hwloop", version("hwloop")
    yield "Began", outcome.began_utc
    yield "Ended", outcome.ended_utc


def _provenance(found: list[Finding]) -> str:
    """Return where the promises of a test come from, and who saw whether they are kept."""
    sources = dict.fromkeys(finding.source for finding in found if finding.source)
    seen_by = dict.fromkeys(finding.witness for finding in found if finding.witness)
    parts = {"Promise and tolerance": sources, "Seen by": seen_by}
    return " ".join(f"{head}: {'; '.join(texts)}." for head, texts in parts.items() if texts)


def _grid(findings: Iterable[Finding], *, with_test: bool) -> str:
    heads = [("test", ""), *HEADS] if with_test else [*HEADS, ("verdict", "")]
    rows = [
        [finding.test, *_cells(finding)] if with_test else [*_cells(finding), _verdict(finding)]
        for finding in findings
    ]
    return f'<div class="wide">{grid_of(heads, rows)}</div>'


def _cells(finding: Finding) -> list[object]:
    texts = (finding.place, finding.condition, finding.expected, finding.seen, finding.tolerance)
    return [_sentence(text) for text in texts]


def _verdict(finding: Finding) -> object:
    return Html(f"<b>{finding.verdict}</b>") if finding.failed else finding.verdict


def _sentence(text: str) -> object:
    if len(text) <= LONG:
        return text
    return Html(f'<span class="sentence">{text_of(text)}</span>')
