"""Training in the array beside aihwkit: accuracy and updates per second on the same rule.

``python -m benchmarks.learning DATA [SEEDS [AIHWKIT]]``. DATA: the folder of ``mnist``. AIHWKIT:
the site-packages of an environment with aihwkit 1.1.0 and torch 2.10.0, the pair of which the
compiled tile runs; without it hwloop alone.

MNIST in one layer of 784 x 10, judged on all 10,000 images of the test: mixed precision on the
first 5,000 images, twice; Tiki-Taka (TTv2, columns of A read) on the first 1,000, once. Both sides
have soft bounds with the step, its device-to-device and its cycle-to-cycle spread of the presets
ReRamArrayOM and ReRamArrayHfO2 (N. Gong, M. J. Rasch et al., IEDM 2022), no write noise, no spread
of the bounds and no converters.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwloop.array.settings import ArraySettings
from hwloop.backend.guard import Guard
from hwloop.backend.kind import OpenRequest
from hwloop.settings.array_files import read_array
from hwloop.steps.array import Array
from hwloop.steps.learning.learning_network import LearningNetwork
from hwloop.steps.learning.settings import Samples, TrainInSituSettings
from hwloop_sim.emulator.backend import SimSettings, open_sim

INPUTS, OUTPUTS = 784, 10
RANGE = {"low_conductance_s": 1e-6, "high_conductance_s": 1.1e-5}
LIMITS = {
    "positive_v": 1.5,
    "negative_v": -1.5,
    "read_v": 0.2,
    "half_select_v": 0.8,
    "current_a": 0.1,
    "pulse_width_s": 0.01,
    "pulse_energy_j": 0.01,
    "pulses_per_device": 10**7,
}
UP, DOWN = ({"amplitude_v": volt, "width_s": 1e-3} for volt in (1.2, -1.2))


@dataclass(frozen=True)
class Preset:
    """Step of a weight whose range is −1 to 1, and its relative spreads."""

    name: str
    dw_min: float
    dw_min_dtod: float
    dw_min_std: float


PRESETS = (
    Preset("ReRamArrayOM", 0.0949, 0.7829, 0.4158),
    Preset("ReRamArrayHfO2", 0.4622, 0.7125, 0.2174),
)


@dataclass(frozen=True)
class Exercise:
    """A rule with its rate, the samples of an update, the epochs, and how many images of them."""

    rule: str
    rate: float
    batch: int
    epochs: int
    images: int


EXERCISES = (Exercise("mixed_precision", 0.1, 10, 2, 5000), Exercise("tiki_taka", 0.1, 1, 1, 1000))


@dataclass(frozen=True)
class Outcome:
    """Accuracy on the test, and updates per second of processor time."""

    accuracy: float
    updates_per_s: float


Trainer = Callable[[Preset, Exercise, Samples, Samples, int], Outcome]


def main(arguments: list[str]) -> None:
    """Print accuracies with standard errors and updates per second, of both sides in one run."""
    data = Path(arguments[0])
    seeds = int(arguments[1]) if len(arguments) > 1 else 3
    sides: dict[str, Trainer] = {"hwloop": trained_here}
    if len(arguments) > 2:
        sys.path.append(arguments[2])
        sides["aihwkit"] = trained_by_aihwkit
    test = mnist(data, "t10k", None)
    for exercise in EXERCISES:
        training = mnist(data, "train", exercise.images)
        for preset in PRESETS:
            found: dict[str, list[Outcome]] = {name: [] for name in sides}
            for seed in range(seeds):
                for name, trainer in sides.items():
                    found[name].append(trainer(preset, exercise, training, test, seed))
            for name, outcomes in found.items():
                print(
                    f"{preset.name:15} {exercise.rule:16} {name:8} {_summary(outcomes)}", flush=True
                )


def _summary(outcomes: list[Outcome]) -> str:
    accuracy = 100 * np.array([outcome.accuracy for outcome in outcomes])
    error = accuracy.std(ddof=1) / np.sqrt(len(accuracy)) if len(accuracy) > 1 else np.nan
    rate = np.median([outcome.updates_per_s for outcome in outcomes])
    return f"{accuracy.mean():6.2f} ± {error:.2f} %  {rate:7.0f} updates/s"


def mnist(data: Path, part: str, count: int | None) -> Samples:
    """Return the first images of a part of MNIST with their classes."""
    names = (f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte")
    images, labels = (read_array(data / "mnist" / f"{one}.gz", one)[:count] for one in names)
    classes = labels.astype(np.int64)
    return Samples(images.reshape(-1, INPUTS) / 255, np.eye(OUTPUTS)[classes], classes)


def _epochs(samples: Samples, exercise: Exercise, seed: int) -> Iterator[Samples]:
    rng = np.random.default_rng(seed)
    for _ in range(exercise.epochs):
        order = rng.permutation(len(samples))
        for begin in range(0, len(samples), exercise.batch):
            yield samples.part(order[begin : begin + exercise.batch])


def trained_here(
    preset: Preset, exercise: Exercise, training: Samples, test: Samples, seed: int
) -> Outcome:
    """Train on the guarded emulator."""
    settings = _settings(preset, exercise)
    array = _opened(preset, seed)
    network = LearningNetwork(settings, array, INPUTS)
    updates, began = 0, time.process_time()
    for samples in _epochs(training, exercise, seed):
        network.update(samples)
        updates += 1
    took_s = time.process_time() - began
    right = network.answers(test.inputs).argmax(axis=-1) == test.classes
    return Outcome(float(right.mean()), updates / took_s)


def rule_of(preset: Preset, exercise: Exercise) -> dict[str, Any]:
    """Return the settings of the rule, for the steps of a preset."""
    step = preset.dw_min
    if exercise.rule == "mixed_precision":
        return {"name": exercise.rule, "rate": exercise.rate, "threshold": step}
    return {
        "name": exercise.rule,
        "rate": 1.0,
        "step_weight": step,
        "threshold": step,
        "momentum": 0.1,
        "transfer_rate": exercise.rate,
        "lines": "columns",
    }


def _settings(preset: Preset, exercise: Exercise) -> TrainInSituSettings:
    one = {"inputs": [[0.0] * INPUTS], "targets": [[1.0] + [0.0] * (OUTPUTS - 1)]}
    return TrainInSituSettings.parse(
        {
            "samples": one,
            "layers": [{"outputs": OUTPUTS, "activation": "softmax"}],
            "loss": "cross_entropy",
            "bias": False,
            "rule": rule_of(preset, exercise),
            "pulses": {"up": UP, "down": DOWN},
            "range": RANGE,
            "batch": exercise.batch,
            "record": "summary",
        }
    )


def _opened(preset: Preset, seed: int) -> Array:
    settings = ArraySettings.parse(
        {"rows": INPUTS, "cols": 4 * OUTPUTS, "limits": LIMITS, "read": {"read_v": 0.1}}
    )
    request = OpenRequest(settings, None, np.random.default_rng(seed))
    backend = open_sim(SimSettings.parse(cells_of(preset)), request)
    return Array(Guard(backend, settings), settings, np.random.default_rng(seed + 1000))


def cells_of(preset: Preset) -> dict[str, Any]:
    """Return the settings of the emulator with the steps and spreads of a preset."""
    pulses = -1 / np.log1p(-preset.dw_min)  # of each pulse the fraction dw_min of what is left
    device = {
        "model": "soft_bounds",
        "min_conductance_s": RANGE["low_conductance_s"],
        "max_conductance_s": RANGE["high_conductance_s"],
        "up_pulses": float(pulses),
        "down_pulses": float(pulses),
        "up": UP,
        "down": DOWN,
        "initial": 6e-6,
    }
    effects = [
        {"effect": "device_to_device", "of": "step", "sigma": preset.dw_min_dtod},
        {"effect": "cycle_to_cycle", "sigma": preset.dw_min_std},
        {
            "effect": "state_bounds",
            "min_conductance_s": RANGE["low_conductance_s"],
            "max_conductance_s": RANGE["high_conductance_s"],
        },
    ]
    return {"device": device, "effects": effects}


def trained_by_aihwkit(
    preset: Preset, exercise: Exercise, training: Samples, test: Samples, seed: int
) -> Outcome:
    """Train on aihwkit's compiled tile, with the same steps and without converters."""
    import torch
    from aihwkit.nn import AnalogLinear  # type: ignore[import-not-found]
    from aihwkit.optim import AnalogSGD  # type: ignore[import-not-found]

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    layer = AnalogLinear(
        INPUTS, OUTPUTS, bias=False, rpu_config=peer_configured(preset, exercise, seed)
    )
    layer.set_weights(torch.zeros(OUTPUTS, INPUTS), None)
    descent = AnalogSGD(layer.parameters(), lr=exercise.rate)
    descent.regroup_param_groups(layer)
    updates, began = 0, time.process_time()
    for samples in _epochs(training, exercise, seed):
        descent.zero_grad()
        answers = layer(torch.tensor(samples.inputs, dtype=torch.float32))
        torch.nn.functional.cross_entropy(answers, torch.tensor(samples.classes)).backward()
        descent.step()
        updates += 1
    took_s = time.process_time() - began
    with torch.no_grad():
        answers = layer(torch.tensor(test.inputs, dtype=torch.float32))
    right = answers.argmax(dim=-1).numpy() == test.classes
    return Outcome(float(right.mean()), updates / took_s)


def peer_configured(preset: Preset, exercise: Exercise, seed: int) -> Any:
    """Return aihwkit's configuration of a layer with the same rule and steps."""
    from aihwkit.simulator import configs  # type: ignore[import-not-found]

    def device() -> Any:
        return configs.SoftBoundsReferenceDevice(
            dw_min=preset.dw_min,
            dw_min_dtod=preset.dw_min_dtod,
            dw_min_dtod_log_normal=True,
            dw_min_std=preset.dw_min_std,
            w_max=1.0,
            w_min=-1.0,
            w_max_dtod=0.0,
            w_min_dtod=0.0,
            up_down_dtod=0.0,
            mult_noise=True,
            subtract_symmetry_point=True,
            construction_seed=seed + 1,
        )

    perfect = configs.IOParameters(is_perfect=True)
    common = {
        "forward": perfect,
        "backward": perfect,
        "mapping": configs.MappingParameter(max_input_size=0, max_output_size=0),
    }
    if exercise.rule == "mixed_precision":
        cell = configs.MixedPrecisionCompound(device=device())
        return configs.DigitalRankUpdateRPUConfig(device=cell, **common)
    transfer = configs.ChoppedTransferCompound(
        unit_cell_devices=[device(), device()],
        transfer_forward=perfect,
        transfer_every=1,
        transfer_columns=False,  # its matrix is (outputs, inputs)
        units_in_mbatch=False,
        in_chop_prob=0.0,
    )
    return configs.UnitCellRPUConfig(device=transfer, **common)


if __name__ == "__main__":
    main(sys.argv[1:])
