"""How many small changes of the code the tests notice: mutmut on the parts that protect the array.

``python -m benchmarks.mutation [PART...] [--sample N] [--seed S]`` needs ``pip install mutmut`` and
an operating system with ``fork``. The packages are copied into a scratch folder and changed there.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "hwloop": ROOT / "hwloop",
    "hwloop_drivers": ROOT / "drivers" / "hwloop_drivers",
    "hwloop_sim": ROOT / "sim" / "hwloop_sim",
}
BESIDE = ("tests", "procedures", "stations", "benchmarks", "docs", "pyproject.toml")
SURVIVED, UNTESTED = 0, 33  # exit codes of mutmut; whatever else it gives is a mutant that fell
CONTROLLERS = "hwloop/steps/program/controllers"
NO_RUNS = "--deselect=tests/drivers/safety/test_safety.py::" + (
    "test_every_output_is_off_and_the_record_whole_whatever_happens"
)

SHOW = """
import sys
from mutmut.mutation.diff_apply import get_diff_for_mutant
for name in sys.argv[1:]:
    print(f"\\n{name}")
    for line in get_diff_for_mutant(name).splitlines()[2:]:
        if line[:1] in "+-":
            print(f"    {line}")
"""


@dataclass(frozen=True)
class Part:
    """Files that are mutated together, and the tests that have to notice it."""

    files: tuple[str, ...]
    tests: tuple[str, ...]


PARTS = {
    "guard": Part(
        ("hwloop/backend/guard.py", "hwloop/backend/shapes.py"),
        tuple(f"tests/hwloop/backend/test_{name}.py" for name in ("guard", "shapes", "ramp")),
    ),
    "array": Part(
        ("hwloop/array/limits.py", "hwloop/array/biasing.py"),
        ("tests/hwloop/array", "tests/hwloop/backend/test_guard.py"),
    ),
    "controllers": Part(
        tuple(
            f"{CONTROLLERS}/{name}.py"
            for name in ("base", "alibart", "ispp", "gate_stepped", "one_shot", "write_or_erase")
        ),
        (CONTROLLERS.replace("hwloop", "tests/hwloop", 1),),
    ),
    "routes": Part(
        ("hwloop_drivers/station/routes.py",), ("tests/drivers/station/test_routes.py",)
    ),
    "watchdog": Part(
        ("hwloop_drivers/safety/watchdog_process.py",),
        ("tests/drivers/safety/test_watchdog.py", "tests/drivers/safety/test_safety.py", NO_RUNS),
    ),
    "make_safe": Part(
        ("hwloop_drivers/safety/make_safe.py",), ("tests/drivers/safety/test_safety.py", NO_RUNS)
    ),
    "record": Part(
        tuple(
            f"hwloop/record/{name}.py"
            for name in ("file", "writer", "series", "operations", "reader", "recorder", "replay")
        ),
        ("tests/hwloop/record", "--ignore=tests/hwloop/record/test_record_kill_points.py"),
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each file, then the mutants that survived; 1 where a part cannot be run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutation", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--sample", type=int, help="mutants of each file; all if left out")
    parser.add_argument("--seed", type=int, default=1, help="which mutants are in the sample")
    parser.add_argument("--at-once", type=int, default=1, help="mutants that are tried at once")
    given = parser.parse_args(arguments)
    unknown = set(given.parts) - set(PARTS)
    if unknown:
        parser.error(f"unknown part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    print(f"{'file':<50}{'mutants':>9}{'killed':>8}{'survived':>10}{'share':>8}", flush=True)
    for name in given.parts or PARTS:
        with tempfile.TemporaryDirectory(prefix="hwloop-mutation-") as folder:
            scratch = Path(folder) / "checkout"
            _copy(scratch, PARTS[name])
            _report(_try(scratch, given.sample, given.seed, given.at_once), scratch)
    return 0


def _copy(scratch: Path, part: Part) -> None:
    """Copy packages side by side, as mutmut wants them, and what the tests read beside them."""
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for package, folder in PACKAGES.items():
        shutil.copytree(folder, scratch / package, ignore=ignored)
    for name in BESIDE:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, scratch / name, ignore=ignored)
        else:
            shutil.copyfile(ROOT / name, scratch / name)
    (package,) = {file.split("/", 1)[0] for file in part.files}
    lists = {
        "source_paths": [package],
        "only_mutate": part.files,
        "also_copy": [*(other for other in PACKAGES if other != package), *BESIDE],
        "pytest_add_cli_args_test_selection": part.tests,
    }
    text = "\n".join(f"{key} =\n" + "\n".join(f"    {v}" for v in lists[key]) for key in lists)
    (scratch / "setup.cfg").write_text(f"[mutmut]\n{text}\n", encoding="utf-8")


def _try(scratch: Path, sample: int | None, seed: int, at_once: int) -> dict[str, int]:
    """Return the exit code of each mutant that was tried."""
    # The first run makes the mutants and finds which test reaches which; it asks for none of them.
    log = _mutmut(scratch, "run", "--max-children", str(at_once), "none.such")
    codes = _codes(scratch)
    if not codes:
        raise SystemExit(f"mutmut made no mutant:\n{log}")
    chosen: list[str] = []
    for names in _by_file(codes).values():
        few = sample is not None and sample < len(names)
        chosen += random.Random(seed).sample(names, sample) if few and sample else names  # noqa: S311 - no secret
    log = _mutmut(scratch, "run", "--max-children", str(at_once), *chosen)
    codes = _codes(scratch)
    found = {name: code for name in chosen if (code := codes[name]) is not None}
    if len(found) < len(chosen):
        raise SystemExit(f"{len(chosen) - len(found)} mutants were not tried:\n{log[-3000:]}")
    return found


def _mutmut(scratch: Path, *arguments: str) -> str:
    return _python(scratch, "from mutmut.__main__ import cli; cli()", *arguments)


def _python(scratch: Path, program: str, *arguments: str) -> str:
    """Run a program where its children find the mutated packages before the installed ones."""
    mutants = str(scratch / "mutants")
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=scratch,
        env={**os.environ, "PYTHONPATH": mutants},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def _codes(scratch: Path) -> dict[str, int | None]:
    codes: dict[str, int | None] = {}
    for path in sorted((scratch / "mutants").rglob("*.meta")):
        codes |= json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
    return codes


def _by_file(names: Iterable[str]) -> dict[str, list[str]]:
    files: dict[str, list[str]] = {}
    for name in sorted(names):
        files.setdefault(name.rpartition(".")[0].replace(".", "/"), []).append(name)
    return files


def _report(codes: dict[str, int], scratch: Path) -> None:
    for file, names in _by_file(codes).items():
        count = Counter(codes[name] in (SURVIVED, UNTESTED) for name in names)
        share = count[False] / len(names)
        print(f"{file:<50}{len(names):>9}{count[False]:>8}{count[True]:>10}{share:>8.0%}")
    left = [name for name, code in codes.items() if code in (SURVIVED, UNTESTED)]
    if left:
        print(_python(scratch, SHOW, *left), flush=True)


if __name__ == "__main__":
    sys.exit(main())
