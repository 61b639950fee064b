"""Count the example scripts of a maker that run in the virtual instruments without an error.

``python -m benchmarks.vendor_scripts FOLDER`` loads each ``.tsp`` file below the folder, a copy of
the examples (tektronix/keithley), into a fresh virtual instrument of the kind that its folders
name, runs it, and prints its first error or "runs". Scripts that ask a user are counted apart.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from pathlib import Path
from typing import Any

from hwloop import plugins
from hwloop_sim.virtual.bench.one_box import OneBox

ASKS = re.compile(r"display\.(input|prompt|menu|getannunciators|waitkey)|io\.read|tspnet\.|node\[")
KINDS: tuple[tuple[str, str, str, dict[str, object]], ...] = (
    # part of the path, kind, channel, settings
    ("2651A", "keithley_2600b", "a", {"model": "2651A"}),
    ("2657A", "keithley_2600b", "a", {"model": "2657A"}),
    ("Series_2600", "keithley_2600b", "a", {"model": "2602B"}),
    ("2450", "keithley_2450", "", {"language": "tsp"}),
    ("Series_2400_Graphical/", "keithley_2450", "", {"language": "tsp"}),
    ("Series_3706A", "keithley_3706a", "", {"cards": {1: "3720"}}),
    ("Series_700", "keithley_707b", "", {}),
)
OTHERS = re.compile(r"246\d|2470|2461|DAQ6510|DMM\d|2280")
EDGES, BETWEEN_EDGES_S = 100, 0.1  # on every digital line of a mainframe for switches
AFTER = {"current_sine_wave_use.tsp": "current_sine_wave_define.tsp"}
"""Scripts that call functions of another one, which is loaded before."""


def kind_of(path: Path) -> tuple[str, str, dict[str, object]] | None:
    """Return kind, channel and settings of the instrument that a script is for; None for others."""
    text = path.as_posix()
    if OTHERS.search(text):
        return None
    found = (rest for part, *rest in KINDS if part in text)
    kind: Any = next(found, None)
    return None if kind is None else tuple(kind)


def first_error(path: Path, kind: str, channel: str, settings: dict[str, object]) -> str:
    """Run a script in a fresh instrument; return its first error, "" where there is none."""
    instrument: Any = plugins.load("hwloop.virtual_instruments", kind)
    drive = f"box.{channel}" if channel else "box"
    try:
        box = OneBox(instrument, drive=drive, settings=settings)
    except Exception as exc:  # noqa: BLE001 - a model that there is not
        return f"no such instrument: {exc}"
    for line in getattr(getattr(box.instrument, "port", None), "lines", {}).values():
        for n in range(1, EDGES + 1):  # for scripts that wait for one from outside
            line.pulse(n * BETWEEN_EDGES_S)
    for script in (AFTER.get(path.name), path.name):
        if script is not None:
            _run(box, path.with_name(script))
    question = "eventlog.next(eventlog.SEV_ERROR)" if "2450" in kind else "errorqueue.next()"
    answer = str(box.instrument.receive(f"print({question})")).splitlines()[0]
    code, _, rest = answer.partition("\t")
    return "" if float(code) == 0 else f"{code} {rest}".replace("\t", " ")


def _run(box: OneBox, path: Path) -> None:
    text = path.read_text("latin-1").removeprefix("\xef\xbb\xbf")
    box.instrument.receive("loadandrunscript")
    for line in text.splitlines():
        box.instrument.receive(line or " ")
    box.instrument.receive("endscript")


def main() -> None:
    """Run every script, print one line each, and the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="a copy of the maker's examples")
    counts: Counter[str] = Counter()
    folder = parser.parse_args().folder
    for path in sorted(folder.rglob("*.tsp")):
        kind = kind_of(path.relative_to(folder))
        if kind is None:
            continue
        asks = ASKS.search(path.read_text("latin-1")) is not None
        error = first_error(path, *kind)
        group = "asks a user or another instrument" if asks else kind[0]
        counts[f"{group}: {'fails' if error else 'runs'}"] += 1
        print(f"{path.relative_to(folder)}: {error or 'runs'}", flush=True)
    for name, count in sorted(counts.items()):
        print(f"{name} {count}")


if __name__ == "__main__":
    main()
