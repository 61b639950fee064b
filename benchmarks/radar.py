"""Program-and-verify on the shipped 1T1R twin beside what was measured on such cells.

``python -m benchmarks.radar ../shared/data`` writes the table of ``docs/reference/1t1r-twin.md``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import typer

from benchmarks.shipped.one_transistor import NAME
from hwloop.array.operations import PulseMap
from hwloop.array.settings import ArraySettings
from hwloop.backend.guard import Guard
from hwloop.backend.kind import OpenRequest
from hwloop.steps.array import Array
from hwloop.steps.program.program_verify import PROGRAM_VERIFY, ProgramVerifySettings
from hwloop.steps.program.rows import CellsRow
from hwloop.types import FloatArray
from hwloop_sim.calibration.file import Calibration, load_calibration
from hwloop_sim.emulator.backend import SimSettings, open_sim

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "1t1r-twin.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
CELLS, SEED = 512, 1
BIT_V, RESET_GATE_V, WIDTH_S = 2.0, 4.0, 2e-7
MOST_RESETS = 200
_MOST_PULSES = 10000
_HIGHEST_CONDUCTANCE_S = 1e-3
"""Where a level is open above; no cell conducts as much."""


@dataclass(frozen=True)
class Test:
    """A file of results, and the gate step that it was made with."""

    name: str
    file: str
    step_v: float


TESTS = (
    Test("ISPP, 10 mV", "ispp-wl0.010-7-24-20.csv", 0.01),
    Test("ISPP, 100 mV", "ispp-wl0.100-7-24-20.csv", 0.1),
    Test("ISPP, 100 mV, after 8,000 cycles", "ispp-4wl-eval-chip1-8k-8-9-20.csv.gz", 0.1),
)


@dataclass(frozen=True)
class Bench:
    """What the files do not say: first and last gate voltage of a train, source line of a RESET.

    ``day``: place of the chip among the twin's days, the last of which is that of the tests.
    ``twin``: keys of the twin that are changed.
    """

    start_v: float = 1.8
    stop_v: float = 3.5
    reset_v: float = -3.0
    day: int = -1
    twin: Mapping[str, Any] = field(default_factory=dict)


ASSUMED = Bench()
OTHERWISE = {
    "train from 1.85 to 3.55 V": Bench(start_v=1.85, stop_v=3.55),
    "the chip of 7-30": Bench(day=0),
    "the chip of 9-21": Bench(day=1),
}


@dataclass(frozen=True)
class Result:
    """Of one level, a window of resistance: ``pulses`` and ``resets`` of each cell, ``success``.

    Counted as the source counts: the RESET that every cell begins with is not a pulse.
    """

    low_ohm: float
    high_ohm: float
    pulses: FloatArray
    resets: FloatArray
    success: float

    @property
    def first(self) -> float:
        """Of the cells, that were done without a further RESET."""
        return float((self.resets == 0).mean())


def measured(folder: Path, test: Test) -> list[Result]:
    """Every level of a file, from the lowest resistance on."""
    table = np.loadtxt(folder / "rram_1t1r_mlc" / test.file)
    found = []
    for low_ohm in np.unique(table[:, 6]):
        rows = table[table[:, 6] == low_ohm]
        resets = rows[:, 3] - 1
        success = float(rows[:, 8].mean())
        found.append(Result(low_ohm, rows[0, 7], rows[:, 2] + resets, resets, success))
    return found


def chip(day: int) -> dict[str, float]:
    """Return an entry of the twin's days: the cells of a test are of one chip."""
    found = load_calibration(NAME, Path())
    if not isinstance(found, Calibration):
        raise TypeError(f"{NAME} holds a measured table: expected parameters of a model")
    return dict(found.parameters["days"][day])


def array_settings() -> ArraySettings:
    """One cell, as the bench programs them: each to its end before the next."""
    limits = {
        "positive_v": 2.5,
        "negative_v": -3.5,
        "read_v": 0.2,
        "half_select_v": 2.0,
        "gate_v": 4.5,
        "current_a": 1e-3,
        "pulse_width_s": 1e-6,
        "pulse_energy_j": 1e-6,
        "pulses_per_device": 10**7,
    }
    return ArraySettings.parse(
        {
            "rows": 1,
            "cols": 1,
            "cell": "1T1R",
            "biasing": "1T1R",
            "limits": limits,
            "read": {"read_v": 0.2, "both_polarities": False},
        }
    )


def algorithm(step_v: float, level: Result, bench: Bench) -> ProgramVerifySettings:
    """ISPP by the gate, with a RESET where a cell has gone over or a train has ended short."""
    low_conductance_s, high_conductance_s = (
        1 / level.high_ohm,
        1 / level.low_ohm if level.low_ohm else _HIGHEST_CONDUCTANCE_S,
    )
    resets_only = level.high_ohm > 1e9
    window = (
        {"low_conductance_s": 0.0, "high_conductance_s": high_conductance_s}
        if resets_only
        else {"low_conductance_s": low_conductance_s, "high_conductance_s": high_conductance_s}
    )
    settings = {
        "target": {"kind": "levels", "levels": {"all": window}},
        "tolerance": {"kind": "windows"},
        "algorithm": {
            "name": "ispp",
            "write": {
                "amplitude": BIT_V,
                "gate": {"start_v": bench.start_v, "stop_v": bench.stop_v, "step_v": step_v},
                "width_s": WIDTH_S,
            },
            "erase": {"amplitude": bench.reset_v, "gate": RESET_GATE_V, "width_s": WIDTH_S},
            "attempts": MOST_RESETS,
            "begin_again": True,
            "most_erases": MOST_RESETS - 1,
        },
        "pulses_per_cell": _MOST_PULSES,
        "patience": _MOST_PULSES,
        "least_yield": 0.0,
    }
    return ProgramVerifySettings.parse(settings)


def programmed(
    settings: ProgramVerifySettings, *, cells: int = CELLS, bench: Bench = ASSUMED
) -> CellsRow:
    """How so many cells of the twin end, from a RESET on."""
    array = array_settings()
    own = {"days": [chip(bench.day)], **bench.twin}
    whole = {"effects": own.pop("effects")} if "effects" in own else {}
    sim = SimSettings.parse({"calibration": NAME, **whole, "device": own})
    device_rng, step_rng = np.random.default_rng(SEED).spawn(2)
    backend = Guard(open_sim(sim, OpenRequest(array, cells, device_rng)), array)
    one = np.ones((1, 1))
    backend.pulse(PulseMap(BIT_V * one, WIDTH_S, gate_v=bench.stop_v))
    backend.pulse(PulseMap(bench.reset_v * one, WIDTH_S, gate_v=RESET_GATE_V))
    rows = PROGRAM_VERIFY(settings, Array(backend, array, step_rng))
    (row,) = (one for one in rows if isinstance(one, CellsRow))
    return row


def predicted(
    step_v: float, level: Result, *, cells: int = CELLS, bench: Bench = ASSUMED
) -> Result:
    """What so many cells of the twin do where a level was measured."""
    row = programmed(algorithm(step_v, level, bench), cells=cells, bench=bench)
    return Result(
        level.low_ohm,
        level.high_ohm,
        (row.pulses_up + row.pulses_down).ravel().astype(float),
        row.pulses_down.ravel().astype(float),
        float((row.status == 1).mean()),
    )


def mean_pulses(results: list[Result]) -> float:
    """Of all levels but the highest resistance, as the source means it."""
    return float(np.mean([one.pulses.mean() for one in results[:-1]]))


def success(results: list[Result]) -> float:
    """Of all levels."""
    return float(np.mean([one.success for one in results]))


def lines(folder: Path, *, cells: int = CELLS) -> Iterator[str]:
    """A table of the tests, and one of their levels."""
    both = [
        (test, seen, [predicted(test.step_v, level, cells=cells) for level in seen])
        for test in TESTS
        for seen in [measured(folder, test)]
    ]
    yield "| test | mean pulses, measured | twin | off by | success, measured | twin | off by |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for test, seen, told in both:
        pulses, share = mean_pulses(seen), success(seen)
        yield (
            f"| {test.name} | {pulses:.1f} | {mean_pulses(told):.1f} |"
            f" {mean_pulses(told) / pulses - 1:+.0%} | {share:.1%} | {success(told):.1%} |"
            f" {100 * (success(told) - share):+.1f} points |"
        )
    yield ""
    yield (
        "| test | level, kΩ | mean pulses | twin | median | twin | without a further RESET | twin |"
        " success | twin |"
    )
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for test, seen, told in both:
        for one, other in zip(seen, told, strict=True):
            yield _level_line(test, one, other)


def otherwise(folder: Path, *, cells: int = CELLS // 2) -> Iterator[str]:
    """What becomes of both ISPP tests of one day where an assumption is another one."""
    yield "| what is otherwise | 10 mV: mean pulses | success | 100 mV: mean pulses | success |"
    yield "| --- | --- | --- | --- | --- |"
    for name, bench in {"nothing": ASSUMED, **OTHERWISE}.items():
        numbers = []
        for test in TESTS[:2]:
            levels = measured(folder, test)
            told = [predicted(test.step_v, one, cells=cells, bench=bench) for one in levels]
            numbers += [f"{mean_pulses(told):.1f}", f"{success(told):.1%}"]
        yield f"| {name} | {' | '.join(numbers)} |"


def _level_line(test: Test, seen: Result, told: Result) -> str:
    low, high = seen.low_ohm / 1e3, seen.high_ohm / 1e3
    level = (
        f"{low:g} to {high:g}" if low and high < 1e6 else f"< {high:g}" if not low else f"> {low:g}"
    )
    pairs = (
        f"{seen.pulses.mean():.1f} | {told.pulses.mean():.1f}",
        f"{np.median(seen.pulses):.0f} | {np.median(told.pulses):.0f}",
        f"{seen.first:.0%} | {told.first:.0%}",
        f"{seen.success:.1%} | {told.success:.1%}",
    )
    return f"| {test.name} | {level} | {' | '.join(pairs)} |"


def write(folder: Path, page: Path = PAGE) -> None:
    """Put both tables between the marks of the page."""
    before, rest = page.read_text("utf-8").split(BEGIN)
    _, after = rest.split(END)
    table = "\n".join([*lines(folder), "", *otherwise(folder)])
    page.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


def main(folder: Path, *, write_page: bool = True) -> None:
    """Predict every test whose results are in ``folder`` and write the page's tables."""
    if write_page:
        write(folder)
    else:
        for line in [*lines(folder), "", *otherwise(folder)]:
            print(line)


if __name__ == "__main__":
    typer.run(main)
