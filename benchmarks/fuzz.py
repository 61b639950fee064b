"""Damaged files of every kind, given to the command line: tracebacks, hangs, wrong acceptances.

``python -m benchmarks.fuzz [--files N] [--seed S] [--kinds KIND,…] [--workers W] [--minutes M]``
makes copies of sound procedures, stations, calibrations, records, datasets and networks, damages
them, and gives each to `hwloop check`, `run`, `show`, `replay` and so on. It prints what ended in
another way than in a result or in one line with an exit code of its own, and exits with 1 if
anything did. After ``--minutes`` it begins no more. A case is made again by its kind, seed and
number: ``python -m benchmarks.fuzzing.attempt``.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.fuzzing.attempt import HANG_S
from benchmarks.fuzzing.cases import KINDS, make_sources

_AT_ONCE = 100
_START_S = 60.0


def batches(files: int, kinds: list[str]) -> list[tuple[str, range]]:
    """Share out a number of files over the kinds by their weight, in batches of numbers."""
    whole = sum(KINDS[kind][1] for kind in kinds)
    found = []
    for kind in kinds:
        count = max(round(files * KINDS[kind][1] / whole), 1)
        found += [
            (kind, range(first, min(first + _AT_ONCE, count)))
            for first in range(0, count, _AT_ONCE)
        ]
    return found


def tried(kind: str, seed: int, numbers: range, sources: Path) -> list[dict[str, Any]]:
    """Try a batch in a process of its own; one that ends or stands still is followed by another."""
    found: list[dict[str, Any]] = []
    while len(found) < len(numbers):
        left = numbers[len(found) :]
        command = [sys.executable, "-m", "benchmarks.fuzzing.attempt", kind, str(seed)]
        command += [str(left.start), str(len(left)), str(sources)]
        lines, ending = _lines(command, _START_S + 10 * HANG_S + 5 * len(left))
        found += [json.loads(line) for line in lines]
        if len(found) < len(numbers):
            found.append({"index": numbers[len(found)], "fault": ending, "note": ""})
    return found


def _lines(command: list[str], within_s: float) -> tuple[list[str], str]:
    """Return the whole lines that a process writes, and how it ended."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", cwd=_ROOT
    ) as process:
        try:
            said, errors = process.communicate(timeout=within_s)
            ending = f"crash: exit code {process.returncode}: {errors[-200:]}"
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()
            ending = f"hang: the process of the batch, after {within_s:.0f} s"
    return [line for line in said.splitlines() if line.endswith("}")], ending


_ROOT = Path(__file__).parents[1]


def report(found: dict[str, list[dict[str, Any]]], seed: int) -> Iterator[str]:
    """Yield the table of all kinds, then each fault with an example."""
    sorts = ("traceback", "hang", "crash", "memory", "wrong acceptance", "exit code")
    yield f"{'kind':<12}{'files':>7}{'accepted':>10}" + "".join(f"{one:>18}" for one in sorts)
    for kind, attempts in found.items():
        counts = Counter(one["fault"].partition(":")[0] for one in attempts)
        counts["exit code"] = sum(n for key, n in counts.items() if key.startswith("exit code"))
        accepted = sum(one.get("code") == 0 for one in attempts)
        faults = "".join(f"{counts[one]:>18}" for one in sorts)
        yield f"{kind:<12}{len(attempts):>7}{accepted:>10}{faults}"
    for kind, attempts in found.items():
        by_fault = defaultdict(list)
        for one in attempts:
            by_fault[one["fault"]].append(one)
        for fault, members in sorted(by_fault.items(), key=lambda item: -len(item[1])):
            if fault:
                numbers = [one["index"] for one in members]
                yield f"{kind} × {len(members)}: {fault}"
                yield f"    seed {seed}, numbers {numbers[:4]}: {members[0]['note'][:200]}"


def main() -> int:
    """Try the files that the command line asks for; return 1 if any went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=11000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    asked = parser.parse_args()
    until_s = time.monotonic() + 60 * asked.minutes
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(asked.workers) as pool:
        make_sources(Path(folder))
        work = batches(asked.files, asked.kinds.split(","))
        random.Random(asked.seed).shuffle(work)  # noqa: S311 - so that every kind is tried early

        def in_time(one: tuple[str, range]) -> list[dict[str, Any]]:
            if time.monotonic() > until_s:
                return []
            return tried(one[0], asked.seed, one[1], Path(folder))

        ends = pool.map(in_time, work)
        for (kind, _), attempts in zip(work, ends, strict=True):
            found[kind] += attempts
            faults = sum(bool(one["fault"]) for one in attempts)
            print(f"{kind}: {len(attempts)} files, {faults} faults", file=sys.stderr, flush=True)
    for line in report(found, asked.seed):
        print(line)
    return int(any(one["fault"] for attempts in found.values() for one in attempts))


if __name__ == "__main__":
    sys.exit(main())
