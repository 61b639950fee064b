"""Random devices of the models that are fitted to trains, each characterised into a record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binom

from hwloop_sim.devices.step_response import StepResponseSettings
from tests.sim.calibrate.characterised_truth import characterise

WIDTH_S = 1e-3
READ_V = 0.1
UP_V, DOWN_V = 1.0, -1.2


@dataclass(frozen=True)
class StepTruth:
    """A step response; ``noise``: deviation of a read, of the state x, so of ln G if logarithmic.

    ``pulses`` a train, ``cycles`` of one train each way.
    """

    device: Mapping[str, Any]
    noise: float
    pulses: int
    cycles: int

    @property
    def settings(self) -> StepResponseSettings:
        """As the emulator has it."""
        return StepResponseSettings.parse({k: v for k, v in self.device.items() if k != "model"})

    @property
    def noise_conductance_s(self) -> float:
        """Deviation of a read, siemens; of a logarithmic state there is none."""
        return self.noise * float(
            self.device["high_conductance_s"] - self.device["low_conductance_s"]
        )

    @property
    def relative_noise(self) -> float:
        """Deviation of a read, as a part of the conductance, of a logarithmic state."""
        return self.noise * float(
            np.log(self.device["high_conductance_s"] / self.device["low_conductance_s"])
        )


def step_truth(seed: int, *, logarithmic: bool) -> StepTruth:
    """Trains that go over most of the range and come to no end of it.

    Ranges of 1.5 to 6 : 1, or of 15 to 300 : 1 where logarithmic.
    """
    rng = np.random.default_rng([seed, 91, logarithmic])
    low_conductance_s = 10 ** rng.uniform(-7, -5)
    ratio = np.exp(rng.uniform(np.log(15), np.log(300))) if logarithmic else rng.uniform(1.5, 6)
    train_spread = rng.uniform(0.03, 0.2)
    correlation = rng.uniform(0.2, 0.8) if seed % 2 else 0.0

    def curve(volts: float) -> dict[str, Any]:
        steps = rng.uniform(0.024, 0.034), rng.uniform(0.003, 0.008)
        scatter = np.exp(rng.uniform(np.log(0.0012), np.log(0.006), size=2))
        return {
            "amplitude_v": volts,
            "width_s": WIDTH_S,
            "at": [0.0, 1.0],
            "step": list(steps) if volts > 0 else [-steps[1], -steps[0]],
            "scatter": scatter.tolist(),
            "correlation": correlation,
            "train_spread": train_spread,
        }

    device = {
        "model": "step_response",
        "low_conductance_s": low_conductance_s,
        "high_conductance_s": low_conductance_s * ratio,
        "scale": "logarithmic" if logarithmic else "linear",
        "up": curve(UP_V),
        "down": curve(DOWN_V),
        "initial": low_conductance_s * (ratio**0.18 if logarithmic else 1 + 0.18 * (ratio - 1)),
    }
    noise = float(np.exp(rng.uniform(np.log(5e-4), np.log(5e-3))))
    return StepTruth(device, noise, int(rng.integers(32, 44)), int(rng.integers(16, 31)))


def trains_record(path: Path, truth: StepTruth, *, seed: int) -> Path:
    """Potentiation and depression of an array of 1 × 2 cells, cycle by cycle, read once a pulse."""
    logarithmic = truth.device["scale"] == "logarithmic"
    amplifier = {
        "effect": "white_noise",
        "fraction": 0.0,
        "amplifier_a": truth.noise_conductance_s * READ_V,
    }
    step = {
        "step": "pulse_response",
        "settings": {
            "up": {"amplitudes_v": [UP_V], "widths_s": [WIDTH_S]},
            "down": {"amplitudes_v": [DOWN_V], "widths_s": [WIDTH_S]},
            "pulses": truth.pulses,
            "cycles": truth.cycles,
        },
    }
    return characterise(
        path,
        truth.device,
        [step],
        seed=seed,
        shape=(1, 2),
        population=None,
        read_v=READ_V,
        both_polarities=False,
        noise=truth.relative_noise if logarithmic else 0.0,
        effects=[] if logarithmic else [amplifier],
    )


Deviations = Mapping[str, Sequence[float]]
"""By how many stated deviations each parameter is from the truth, by what it is of."""


def together(found: Iterable[Deviations]) -> dict[str, np.ndarray]:
    """Those of several truths."""
    of_all: dict[str, list[float]] = {}
    for one in found:
        for name, values in one.items():
            of_all.setdefault(name, []).extend(values)
    return {name: np.array(values) for name, values in of_all.items()}


def shares(off: Mapping[str, np.ndarray]) -> str:
    """How often within one and two deviations, and the mean, for a person."""
    rows = [
        f"{name}: {np.mean(np.abs(one) < 1):.0%} {np.mean(np.abs(one) < 2):.0%} of {one.size},"
        f" mean {np.mean(one):+.2f}"
        for name, one in off.items()
    ]
    return "; ".join(rows)


def least_share(share: float, count: int, *, chance: float = 1e-3) -> float:
    """Below which a share of so many independent ones comes only by this chance."""
    return float(binom.ppf(chance, count, share)) / count
