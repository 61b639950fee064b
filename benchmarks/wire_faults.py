"""Disturb the wire between runs and virtual instruments, and judge what they make of it.

``python -m benchmarks.wire_faults [--faults 640] [--seed 1] [--first 0]``: a proxy between a run
and one instrument of a virtual bench (over TCP, or a pseudo-terminal for a serial port) delays,
drops, doubles, reorders or corrupts one message, drawn over the whole run; the kinds are those of
``benchmarks/campaigns/mischief.py``, each on every station. Afterwards no run may hang, no output
may be on unsaid, no traceback be shown, and no number of the record differ from the undisturbed
run's, except where a digit or sign became another, which nothing on the wire can show: those are
counted and listed. ``--first N --faults 1`` repeats one. The exit code is 1 if there is a finding.
"""

from __future__ import annotations

import math
import random
import re
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.campaigns.hosted_bench import PROCEDURE, ROOT, end_run, hosted, start_run
from benchmarks.campaigns.mischief import KINDS, Kind
from benchmarks.campaigns.proxy import Mischief, Proxy, proxy_for
from benchmarks.campaigns.records import Judged, judge
from hwloop.errors import BackendError, NotConverged, StepError

SERIAL = ("virtual_serial_board",)
STATIONS = ("virtual_4x4", "virtual_2602b_707b", "virtual_2450_33500b_3706a", *SERIAL)
UPDATES = "steps.0.settings.max_updates=2"
TIMEOUT_S = 2.0
HANG_S, CALM_S = 120.0, 10.0
EXITS = {None, 0, BackendError.exit_code, StepError.exit_code, NotConverged.exit_code}
"""Exit codes that a bad wire may lead to; None, for a hang, is judged by itself."""
_SIGN = re.compile(rb"(?<![eE])[+-](?=\d)")  # of a number, not of its exponent
LOUD = "NOT EVERYTHING IS SAFE"


@dataclass(frozen=True)
class Fault:
    """One disturbance: of an instrument's messages, ``at`` of all that the run exchanges."""

    number: int
    station: str
    kind: Kind
    at: float
    draw: float

    @property
    def cuts_off(self) -> bool:
        """Whether the instrument cannot be reached after it."""
        return self.kind.cuts_off or (self.kind.of_link and self.station in SERIAL)

    def __str__(self) -> str:
        return f"{self.number}: {self.station}, {self.kind.name}"


def fault_of(number: int, seed: int) -> Fault:
    """Draw the fault of a number: every kind on every station in turn, at a random moment."""
    draw = random.Random(f"{seed}-{number}")  # noqa: S311 - no secret
    station = STATIONS[number % len(STATIONS)]
    kind = KINDS[number // len(STATIONS) % len(KINDS)]
    return Fault(number, station, kind, draw.uniform(0.0, 0.95), draw.random())


@dataclass(frozen=True)
class Seen:
    """What a run made of it; ``struck``: message and what went on instead, where it came to it."""

    exit_code: int | None
    duration_s: float
    judged: Judged
    errors: str
    alarms: tuple[str, ...]
    lost_pulses: int
    instrument: str
    struck: tuple[bytes, bytes] | None
    messages: dict[str, Counter[str]]

    @property
    def said(self) -> bool:
        """Whether the user was told that the instrument may be left on."""
        return LOUD in self.errors and self.instrument in self.errors

    @property
    def only_digits(self) -> bool:
        """Whether all that went wrong on the wire is a digit or sign that became another."""
        if self.struck is None:
            return False
        message, sent = (_SIGN.sub(b"", text.removesuffix(b"\n")) for text in self.struck)
        return len(message) == len(sent) and all(
            a == b or (chr(a).isdigit() and chr(b).isdigit())
            for a, b in zip(message, sent, strict=True)
        )

    @property
    def wrong_numbers(self) -> str:
        """Get what the record says that is not so; "" where there is nothing."""
        if self.judged.departs:
            return f"record departs at {self.judged.departs}"
        if abs(self.lost_pulses) > 1:
            return f"{self.lost_pulses} pulses more than recorded"
        return ""

    def findings(self, fault: Fault) -> list[str]:
        """Return everything that is not as it must be."""
        excused = self.said and fault.cuts_off
        checks = {
            f"still running after {HANG_S:g} s": self.exit_code is not None,
            f"left {', '.join(self.alarms)}": not self.alarms or excused,
            "traceback": "Traceback" not in self.errors,
            f"record cannot be read: {self.judged.unreadable}": not self.judged.unreadable,
            self.wrong_numbers: not self.wrong_numbers or self.only_digits,
            f"ended with {self.exit_code}, as if the wire were not at fault": self.exit_code
            in EXITS,
        }
        return [words for words, holds in checks.items() if not holds]


def attempt(fault: Fault | None, station: str, usual: Seen | None, folder: Path, seed: int) -> Seen:
    """Run on a bench of its own, with one wire disturbed; None for none: the undisturbed run."""
    folder.mkdir()
    record, errors = folder / "run.h5", folder / "errors.txt"
    proxies: dict[str, Proxy] = {}
    instrument, mischief = _mischief(fault, usual, seed)

    def through(name: str, address: str) -> str:
        proxies[name] = proxy_for(address, mischief if name == instrument else None)
        return proxies[name].address

    file = ROOT / "stations" / f"{station}.yaml"
    try:
        with hosted(file, folder, timeout_s=TIMEOUT_S, through=through) as host:
            began_s = time.monotonic()
            run = start_run(PROCEDURE, record, errors, "--set", UPDATES, station=host.station_file)
            code = end_run(run, HANG_S)
            duration_s = time.monotonic() - began_s
            said = errors.read_text(encoding="utf-8", errors="replace")
            host.await_safe(0.5 if LOUD in said else CALM_S)
            alarms = tuple(host.alarms())
            usual_record = folder.parent / f"usual-{station}" / "run.h5"
            judged = judge(record, usual_record, up_to_flags=True)
            lost = host.bench.circuit.pulses - judged.pulses
    finally:
        for proxy in proxies.values():
            proxy.close()
    return Seen(
        code,
        duration_s,
        judged,
        said,
        alarms,
        int(lost.flat[np.abs(lost).argmax()]),
        instrument,
        mischief.struck if mischief is not None else None,
        {name: proxy.seen for name, proxy in proxies.items()},
    )


def _mischief(fault: Fault | None, usual: Seen | None, seed: int) -> tuple[str, Mischief | None]:
    """Return the instrument that is disturbed, and how."""
    if fault is None or usual is None:
        return "", None
    rng = random.Random(f"{seed}-{fault.number}-message")  # noqa: S311 - no secret
    names = sorted(usual.messages)
    name = names[int(fault.draw * len(names))]
    at = int(fault.at * usual.messages[name][fault.kind.side])
    return name, Mischief(fault.kind, at, rng, TIMEOUT_S)


def campaign(
    faults: list[Fault], folder: Path, *, seed: int, at_once: int, most_s: float = math.inf
) -> Iterator[tuple[Fault, Seen]]:
    """Yield faults with what the runs made of them, in order; none is begun after ``most_s``.

    ``at_once``: how many run side by side.
    """
    end_s = time.monotonic() + most_s
    usual = {
        station: attempt(None, station, None, folder / f"usual-{station}", seed)
        for station in sorted({fault.station for fault in faults})
    }
    for station, seen in usual.items():
        if seen.exit_code not in {0, 6} or seen.alarms or seen.wrong_numbers:
            raise SystemExit(f"{station}, undisturbed: {seen}")

    def disturb(fault: Fault) -> Seen | None:
        if time.monotonic() > end_s:
            return None
        inside = folder / str(fault.number)
        return attempt(fault, fault.station, usual[fault.station], inside, seed)

    with ThreadPoolExecutor(at_once) as pool:
        futures = [pool.submit(disturb, fault) for fault in faults]
        for fault, future in zip(faults, futures, strict=True):
            made = future.result()
            if made is None:
                return
            yield fault, made


def main(
    faults: Annotated[int, typer.Option(help="How many messages are disturbed.")] = 640,
    seed: Annotated[int, typer.Option(help="Of moments and of what becomes of messages.")] = 1,
    first: Annotated[int, typer.Option(help="Number of the first; each number is its own.")] = 0,
    at_once: Annotated[int, typer.Option(help="How many runs go on side by side.")] = 2,
    minutes: Annotated[float, typer.Option(help="Begin none after these.")] = math.inf,
) -> None:
    """Disturb messages in every way, print what is not as it must be, and count."""
    chosen = [fault_of(number, seed) for number in range(first, first + faults)]
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for fault, seen in campaign(
            chosen, Path(folder), seed=seed, at_once=at_once, most_s=60 * minutes
        ):
            findings = seen.findings(fault)
            digits = bool(seen.wrong_numbers) and seen.only_digits
            counts.update(
                {
                    "done": 1,
                    "struck": seen.struck is not None,
                    "hangs": seen.exit_code is None,
                    "outputs on unsaid": bool(seen.alarms) and not seen.said,
                    "outputs on, said": bool(seen.alarms) and seen.said,
                    "tracebacks": "Traceback" in seen.errors,
                    "wrong numbers": bool(seen.wrong_numbers) and not digits,
                    "changed digits": digits,
                    f"exit {seen.exit_code}": 1,
                    **({"done, on serial ports": 1} if fault.station in SERIAL else {}),
                    "findings": bool(findings),
                }
            )
            if findings or digits:
                what = "; ".join(findings) or f"changed digit: {seen.wrong_numbers}"
                print(f"{fault}, {seen.instrument}: {what}\n  {seen.struck!r:.300}", flush=True)
            if findings:
                print(f"  exit {seen.exit_code}; {seen.errors[-400:]}", flush=True)
    print(f"{counts['done']} faults from {first}, seed {seed}:")
    for name, count in sorted(counts.items()):
        print(f"  {name:20} {count:4}")
    raise typer.Exit(1 if counts["findings"] else 0)


if __name__ == "__main__":
    typer.run(main)
