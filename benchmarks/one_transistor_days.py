"""The shipped 1T1R twin beside the measurements of both days: onset of RESET, read noise, bake.

``python -m benchmarks.one_transistor_days ../shared/data`` prints the tables of
``docs/reference/1t1r-twin.md``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import typer

from benchmarks.shipped.one_transistor import NAME, imported, relaxed
from hwloop.array.operations import PulseMap
from hwloop.types import FloatArray
from hwloop_sim.calibrate.one_transistor.calibrate import settings_of_day
from hwloop_sim.calibrate.one_transistor.emulation import emulate
from hwloop_sim.calibrate.one_transistor.read_noise import SweepNoise
from hwloop_sim.calibrate.one_transistor.sweeps import Sweeps, load_sweeps
from hwloop_sim.calibration.file import Calibration, load_calibration
from hwloop_sim.effects.random_telegraph import RandomTelegraph, RandomTelegraphSettings
from hwloop_sim.effects.relaxation import Relaxation, RelaxationSettings

DAYS = ("7-30-20", "9-21-20")
_DRAWS, _CELLS = 8, 40_000
_FALLEN = (0.85, 0.5, 0.2)
_BINS_CONDUCTANCE_US = ((1, 60), (60, 150), (150, 200), (200, 300))
_LEVELS = (3, 9, 14, 16, 19, 20, 23)
_BAKE_S, _READ_INTERVAL_S = 1800.0, 0.047


def shipped() -> Calibration:
    """Return the shipped calibration."""
    found = load_calibration(NAME, Path())
    if not isinstance(found, Calibration):
        raise TypeError(f"{NAME} holds a measured table: expected parameters of a model")
    return found


def effect(twin: Calibration, name: str, place: int = 0) -> dict[str, Any]:
    """Return the settings of one of the effects of that name."""
    every = [dict(one) for one in twin.effects or () if one["effect"] == name]
    found = every[place]
    del found["effect"]
    return found


def onsets(twin: Calibration, lines: list[Sweeps]) -> Iterator[str]:
    """Yield the source-line voltages at which the median sweep has fallen to parts of its start."""
    yield "| day | start, µS | to 85 %: measured, V | twin | to 50 % | twin | to 20 % | twin |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for number, (day, line) in enumerate(zip(DAYS, lines, strict=True)):
        rng = np.random.default_rng(1)
        own = settings_of_day(twin.parameters, number)
        shown = emulate(
            own, line, rng, draws=_DRAWS, of_gate=False, noise=SweepNoise(0.0, 1.0)
        ).reshape(-1, line.volts.size)
        pairs = []
        for part in _FALLEN:
            for one in (line.after_conductance_s, shown):
                middle = np.nanmedian(one, axis=0)
                pairs.append(f"{line.volts[int(np.argmax(middle < part * middle[0]))]:.2f}")
        start = 1e6 * np.median(line.first_conductance_s)
        yield f"| {day} | {start:.0f} | {' | '.join(pairs)} |"


def noise(twin: Calibration, every: list[Sweeps]) -> Iterator[str]:
    """Yield the differences of ln G between two reads, measured and emulated, by conductance."""
    pairs = [one.read_pairs() for one in every]
    logs, off = (np.concatenate(one) for one in zip(*pairs, strict=True))
    yield "| conductance, µS | sd: measured | twin | robust | twin | kurtosis | twin |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for low, high in _BINS_CONDUCTANCE_US:
        inside = (np.exp(logs) >= 1e-6 * low) & (np.exp(logs) < 1e-6 * high)
        shown = read_differences(twin, np.exp(logs[inside]))
        row = [
            f"{of(one):.3g}" for of in (np.std, _robust, _kurtosis) for one in (off[inside], shown)
        ]
        yield f"| {low} to {high} | {' | '.join(row)} |"


def read_differences(twin: Calibration, conductance_s: FloatArray) -> FloatArray:
    """Emulate the difference of ln G between two reads of cells of these conductances."""
    rng = np.random.default_rng(1)
    held = rng.choice(conductance_s, (1, _CELLS))
    settings = RandomTelegraphSettings.parse(effect(twin, "random_telegraph"))
    traps = RandomTelegraph(settings, held.shape, rng)
    of_white = effect(twin, "white_noise")
    white = SweepNoise(of_white["fraction"], of_white["series_exponent"])
    logs = []
    for _ in range(2):
        traps.elapsed(held, _READ_INTERVAL_S)
        sigma = white.sigma(held, of_white["series_ohm"])
        logs.append(np.log(traps.seen(held)) + sigma * rng.standard_normal(held.shape))
    return np.asarray(logs[1] - logs[0]).ravel()


def bakes(twin: Calibration, folder: Path) -> Iterator[str]:
    """Yield spread and change of levels by the bake, measured and emulated."""
    levels = dict(enumerate(relaxed(folder), 1))
    yield (
        "| level, µS | deviation before, of the level: measured | twin | change by the bake:"
        " measured | twin | its deviation: measured | twin |"
    )
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for number in _LEVELS:
        before, after = levels[number]
        middle = float(np.median(before))
        shown_before, shown_after = baked(twin, middle)
        row = []
        for measured, shown in (
            (before.std(ddof=1) / middle, shown_before.std() / middle),
            (np.median(after / before) - 1, np.median(shown_after / shown_before) - 1),
            (_robust(after / before), _robust(shown_after / shown_before)),
        ):
            row += [f"{measured:.3f}", f"{shown:.3f}"]
        yield f"| {1e6 * middle:.0f} | {' | '.join(row)} |"


def baked(twin: Calibration, conductance_s: float) -> tuple[FloatArray, FloatArray]:
    """Emulate cells of a window of 7.5 µS, minutes after writing and after the bake."""
    rng = np.random.default_rng(1)
    written = conductance_s + rng.uniform(-3.75e-6, 3.75e-6, (1, _CELLS))
    pulse = PulseMap(np.ones(written.shape), 2e-7, gate_v=2.5)
    before = _settled(effect(twin, "relaxation"), written, pulse, rng, 600.0)
    hot: Mapping[str, Any] = {**effect(twin, "relaxation", 1), "temperature_k": 353.15}
    return before, _settled(hot, before, pulse, rng, _BAKE_S)


def _settled(
    settings: Mapping[str, Any],
    conductance_s: FloatArray,
    pulse: PulseMap,
    rng: np.random.Generator,
    duration_s: float,
) -> FloatArray:
    one = Relaxation(RelaxationSettings.parse(dict(settings)), conductance_s.shape, rng)
    one.pulsed(0.5 * conductance_s, conductance_s, pulse)
    return one.elapsed(conductance_s, duration_s)


def _robust(values: FloatArray) -> float:
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def _kurtosis(values: FloatArray) -> float:
    off = values - values.mean()
    return float(np.mean(off**4) / np.mean(off**2) ** 2)


def main(folder: Path) -> None:
    """Print the tables for the data in ``folder``."""
    twin = shipped()
    with tempfile.TemporaryDirectory() as place:
        gates, lines = load_sweeps(list(imported(folder, Path(place), cycling=False)))
    for rows in (onsets(twin, lines), noise(twin, [*gates, *lines]), bakes(twin, folder)):
        print("\n".join(rows), end="\n\n")


if __name__ == "__main__":
    typer.run(main)
