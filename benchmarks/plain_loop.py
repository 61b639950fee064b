"""The training as the paper's equations read: plain Python loops over patterns and cells.

The peer that hwloop is timed against. It applies no limits, records nothing, and has no
emulator: a list of conductances and a table.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

PATTERNS = ("0001", "0010", "0110", "1001", "1101", "1110")
OUTPUTS = ("01", "10", "10", "01", "01", "10")
BETA_PER_A = 6e6
TARGET = 0.8
GAIN = 10.0
MAX_UPDATES = 50


@dataclass(frozen=True)
class Ending:
    """How a training ended: whether it converged, and in which epoch."""

    converged: bool
    epoch: int


def draw_shifts_conductance_s(
    rng: random.Random, lowest_conductance_s: float = 1e-8, highest_conductance_s: float = 1e-7
) -> list[list[float]]:
    """A lognormal draw for 4×4 cells, rescaled to the bounds, siemens."""
    mu = math.log((lowest_conductance_s + highest_conductance_s) / 2)
    sigma = abs(math.log(highest_conductance_s / lowest_conductance_s)) / 5
    draws = [rng.lognormvariate(mu, sigma) for _ in range(16)]
    low, high = min(draws), max(draws)
    values = [
        lowest_conductance_s
        + (x - low) / (high - low) * (highest_conductance_s - lowest_conductance_s)
        for x in draws
    ]
    return [values[4 * row : 4 * row + 4] for row in range(4)]


def train(table_conductance_s: list[float], shift_conductance_s: list[list[float]]) -> Ending:
    """Train one 4×4 array."""
    position = [[0] * 4 for _ in range(4)]
    voltages = [[0.1 if bit == "1" else -0.1 for bit in pattern] for pattern in PATTERNS]
    for epoch in range(1, MAX_UPDATES + 1):
        conductance = [
            [
                GAIN
                * (
                    table_conductance_s[position[i][j]]
                    - table_conductance_s[0]
                    + shift_conductance_s[i][j]
                )
                for j in range(4)
            ]
            for i in range(4)
        ]
        converged, update = _judge(conductance, voltages)
        if converged:
            return Ending(True, epoch)
        for i in range(4):
            for neuron in range(2):
                if update[i][neuron] > 0:
                    position[i][2 * neuron] += 1
                elif update[i][neuron] < 0:
                    position[i][2 * neuron + 1] += 1
    return Ending(False, MAX_UPDATES)


def _judge(
    conductance: list[list[float]], voltages: list[list[float]]
) -> tuple[bool, list[list[float]]]:
    update = [[0.0, 0.0] for _ in range(4)]
    converged = True
    for voltage, output in zip(voltages, OUTPUTS, strict=True):
        for neuron in range(2):
            current = sum(
                voltage[i] * (conductance[i][2 * neuron] - conductance[i][2 * neuron + 1])
                for i in range(4)
            )
            activation = math.tanh(BETA_PER_A * current)
            target = TARGET if output[neuron] == "1" else -TARGET
            reached = activation >= target if output[neuron] == "1" else activation <= target
            converged = converged and reached
            delta = (target - activation) * BETA_PER_A / math.cosh(BETA_PER_A * current) ** 2
            for i in range(4):
                update[i][neuron] += delta * voltage[i]
    return converged, update
