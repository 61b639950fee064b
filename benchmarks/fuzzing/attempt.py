"""Give a case to the command line in this process, and judge what it does.

``python -m benchmarks.fuzzing.attempt KIND SEED FIRST COUNT SOURCES`` tries several, a line of JSON
each.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

import numpy as np

from benchmarks.fuzzing.cases import KINDS, Case
from hwloop.errors import HwloopError
from hwloop.procedure.procedure import load_procedure
from hwloop.record import Record
from hwloop.settings.foreign_hdf5 import walk
from hwloop.station.station import load_station
from hwloop.types import LARGEST_INTEGER

HANG_S = 60
_KNOWN_CODES = frozenset({0, 2, 3, 4, 5, 6, 7, 8})
_MAX_MEMORY_BYTES = 2**30


class _Late(BaseException):
    pass


@dataclass(frozen=True)
class Attempt:
    """End of a case. ``fault``: "" where it is right; else what is wrong, and where."""

    index: int
    fault: str
    code: int | None
    arguments: tuple[str, ...]
    note: str
    seconds: float


def made(kind: str, seed: int, index: int, sources: Path, folder: Path) -> Case:
    """Make the case of a number; its files are in ``folder``."""
    return KINDS[kind][0](Random(f"{kind}-{seed}-{index}"), sources, folder)  # noqa: S311


def attempt(index: int, case: Case, folder: Path, sources: Path) -> Attempt:
    """Try a case in its folder, in this process."""
    began = time.monotonic()
    before_bytes = _peak_bytes()
    code, fault = None, ""
    errors = io.StringIO()
    with contextlib.chdir(folder), _alarm():
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
                code = _command(case.arguments)
        except _Late:
            fault = f"hang: {HANG_S} s of processor time"
        except BaseException as exc:  # noqa: BLE001 - whatever comes is what is looked for
            fault = f"traceback: {_where(exc)}"
    if not fault:
        fault = (
            _unlike_an_error(code, errors.getvalue()) if code else _judged(case, folder, sources)
        )
    if not fault and _peak_bytes() - before_bytes > _MAX_MEMORY_BYTES:
        fault = f"memory: {(_peak_bytes() - before_bytes) / 2**20:.0f} MiB"
    seconds = round(time.monotonic() - began, 3)
    return Attempt(index, fault, code, case.arguments, case.note[:400], seconds)


def _command(arguments: tuple[str, ...]) -> int:
    """Run a command as the console does; return its exit code."""
    from hwloop.cli import main as module

    sys.argv = ["hwloop", *arguments]
    try:
        module.main()
    except SystemExit as exc:
        return exc.code if isinstance(exc.code, int) else int(exc.code is not None)
    return 0


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        one for one in frames if "hwloop" in one.filename and "site-packages" not in one.filename
    ]
    last = (own or frames)[-1]
    return (
        f"{type(error).__name__}: {str(error)[:80]!r} in {Path(last.filename).name}:{last.lineno}"
    )


def _unlike_an_error(code: int, said: str) -> str:
    """Return what a failed command said or returned that it should not have; "" if nothing."""
    if code not in _KNOWN_CODES:
        return f"exit code {code}: {said[:100]}"
    lines = [line for line in said.splitlines() if "Warning" not in line]
    usage = "Usage:" in said  # of an option that typer refuses, in several lines
    if not usage and not any(line.startswith("hwloop: ") for line in lines):
        return f"exit code {code} without a reason: {said[:100]}"
    return ""


def _judged(case: Case, folder: Path, sources: Path) -> str:
    """Return what is wrong with a case that was accepted; "" if nothing is known."""
    command, first, *options = case.arguments
    try:
        if command == "replay":
            return _replayed(folder / first, sources, case.note)
        if command in {"check", "run"}:
            overrides = [value for key, value in _pairs(options) if key == "--set"]
            given = dict(_pairs(options))
            with contextlib.chdir(folder):
                loaded = load_procedure(
                    Path(first), overrides, calibration=given.get("--calibration")
                )
                data = [loaded.resolved]
                if "--station" in given:
                    data.append(load_station(Path(given["--station"])).model_dump())
            odd = next(_odd_numbers(data), None)
            return f"wrong acceptance: {odd}" if odd else ""
    except HwloopError as exc:
        return f"wrong acceptance: then {exc}"
    return ""


def _replayed(path: Path, sources: Path, note: str) -> str:
    """Return where a record that replays to the last bit has other results than its source."""
    with Record(path) as one, Record(sources / note.partition(":")[0]) as source:
        if one.status != "completed" or one.labels != source.labels:
            return "" if one.status != "completed" else "wrong acceptance: other steps"
        for label in source.labels:
            mine, theirs = one.results(label), source.results(label)
            for name, column in theirs.items():
                if name not in mine or np.asarray(mine[name]).tobytes() != column.tobytes():
                    return f"wrong acceptance: results/{label}/{name}"
    return ""


def _pairs(options: list[str]) -> Iterator[tuple[str, str]]:
    for index, option in enumerate(options[:-1]):
        if option.startswith("--") and "=" not in option:
            yield option, options[index + 1]


def _odd_numbers(value: Any) -> Iterator[str]:
    """Yield the numbers in data that no setting can mean."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for one in value:
            yield from _odd_numbers(one)
    elif isinstance(value, float) and math.isnan(value):
        yield "NaN"
    elif isinstance(value, int) and abs(value) > LARGEST_INTEGER:
        yield f"a whole number of {len(str(value))} digits"


@contextlib.contextmanager
def _alarm() -> Iterator[None]:
    """Bound the processor time of the block, where the system has a timer of it.

    What waits without using any is ended by who started the process.
    """
    if sys.platform == "win32":
        yield
        return

    def late(_number: int, _frame: FrameType | None) -> None:
        raise _Late

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, HANG_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _peak_bytes() -> int:
    """Return the most memory that this process has had, bytes; 0 where the system cannot tell."""
    if sys.platform == "win32":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def attempts(kind: str, seed: int, numbers: range, sources: Path) -> Iterator[Attempt]:
    """Try the cases of several numbers: their HDF5 files are walked together."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        folders = {index: Path(scratch) / str(index) for index in numbers}
        cases = {}
        for index, folder in folders.items():
            folder.mkdir()
            cases[index] = made(kind, seed, index, sources, folder)
        walk([path for folder in folders.values() for path in folder.glob("*.h5")])
        for index, case in cases.items():
            yield attempt(index, case, folders[index], sources)


def main(arguments: list[str]) -> None:
    """Try the cases that the command line names, and print each end."""
    kind, *numbers, sources = arguments
    seed, first, count = map(int, numbers)
    os.environ["COLUMNS"] = "200"
    for one in attempts(kind, seed, range(first, first + count), Path(sources)):
        print(json.dumps(asdict(one)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
