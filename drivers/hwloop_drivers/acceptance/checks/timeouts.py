"""A question without an answer ends in time, and no later question gets the answer of another."""

from __future__ import annotations

from collections.abc import Iterator

from hwloop.errors import InstrumentTimeout
from hwloop_drivers.acceptance.findings import DRIVER, Finding, Promise
from hwloop_drivers.acceptance.trial import Trial

NONSENSE = ":HWLOOP:NONSENSE?"
BOUND_S = 1.0
SOURCE = "links: every call is bounded in time, and a late answer is taken for no other"


def check(trial: Trial) -> Iterator[Finding]:
    """Yield for every instrument what a question does that it does not know."""
    with trial.bench.lend() as (drives, _):
        for name, instrument in drives.instruments.items():
            identity = instrument.id
            try:
                reply = instrument.link.query(NONSENSE, timeout_s=BOUND_S)
                seen = f"an answer: {reply!r}"
            except InstrumentTimeout:
                seen = "a time-out"
                instrument.link.recover(instrument.verify_identity)
            instrument.clear()
            known = instrument.id
            condition = f"after {NONSENSE}, which led to {seen}"
            promise = Promise("time-out", name, condition, SOURCE, DRIVER)
            yield promise.state(
                expected=f"identity {identity!r}",
                seen=f"identity {known!r}",
                kept=known == identity,
            )
