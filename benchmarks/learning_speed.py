"""Epochs of MNIST per minute, trained in the array with guard and record, beside aihwkit.

``OPENBLAS_NUM_THREADS=1 NUMBA_NUM_THREADS=1 python -m benchmarks.learning_speed DATA [AIHWKIT]``:
DATA and AIHWKIT as of :mod:`benchmarks.learning`, whose cells, rules and peer these are. One thread
on every side, processor time, medians of :data:`TIMES` turns that alternate. Networks of 784 x 10,
and of 784-100-10 with a hidden layer of sigmoids. A run is a whole one, from its procedure to its
record; only the updates are timed, and an epoch is 60,000 images. The same network and cells
without guard and record are timed as well, for what these two take.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from typing_extensions import override

from benchmarks.learning import (
    DOWN,
    INPUTS,
    LIMITS,
    OUTPUTS,
    PRESETS,
    RANGE,
    UP,
    Exercise,
    cells_of,
    mnist,
    peer_configured,
    rule_of,
)
from hwloop.backend.kind import OpenRequest
from hwloop.execution.observer import Quiet
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import Procedure, from_data
from hwloop.steps.array import Array
from hwloop.steps.learning.learning_network import LearningNetwork
from hwloop.steps.learning.rows import LearningRow
from hwloop.steps.learning.settings import Samples, TrainInSituSettings
from hwloop.steps.rows import Row
from hwloop_sim.emulator.backend import SimSettings, open_sim

EPOCH = 60_000
TIMES = 3
PRESET = PRESETS[0]
BEGIN = {"distribution": "uniform", "min_conductance_s": 5e-6, "max_conductance_s": 7e-6}


@dataclass(frozen=True)
class Race:
    """A rule, the neurons of the hidden layer (0: none), and the images of a turn."""

    exercise: Exercise
    hidden: int

    @property
    def name(self) -> str:
        """Return the name of the network."""
        return f"{INPUTS}-{self.hidden}-{OUTPUTS}" if self.hidden else f"{INPUTS} x {OUTPUTS}"

    @property
    def widths(self) -> list[int]:
        """Return the inputs of the first layer, then the neurons of each."""
        return [INPUTS, *([self.hidden] if self.hidden else []), OUTPUTS]


RACES = (
    Race(Exercise("mixed_precision", 0.1, 10, 1, 2000), 0),
    Race(Exercise("mixed_precision", 0.1, 10, 1, 1000), 100),
    Race(Exercise("tiki_taka", 0.1, 1, 1, 200), 0),
    Race(Exercise("tiki_taka", 0.1, 1, 1, 20), 100),
)
"""Of Tiki-Taka only few images: a map of pulses takes 8 bytes a cell in the record, three and more
maps an image and layer."""


@dataclass(frozen=True)
class Turn:
    """Images per second of processor time, and bytes of the record."""

    images_per_s: float
    record_bytes: int = 0


Side = Callable[[Race, Path, Samples], Turn]


def main(arguments: list[str]) -> None:
    """Print epochs per minute of every side, network by network."""
    if not all(os.environ.get(f"{one}_NUM_THREADS") == "1" for one in ("OPENBLAS", "NUMBA")):
        raise SystemExit("set OPENBLAS_NUM_THREADS=1 and NUMBA_NUM_THREADS=1: one thread a side")
    data = Path(arguments[0]).resolve()
    sides: dict[str, Side] = {"hwloop": recorded, "without guard and record": bare}
    if len(arguments) > 1:
        sys.path.append(arguments[1])
        sides["aihwkit"] = by_aihwkit
    for race in RACES:
        training = mnist(data, "train", race.exercise.images)
        turns: dict[str, list[Turn]] = {name: [] for name in sides}
        for turn in range(TIMES + 1):
            for name, side in sides.items():
                found = side(race, data, training)
                if turn:  # the first loads and compiles
                    turns[name].append(found)
        print(f"{race.exercise.rule}, {race.name}, batch {race.exercise.batch}:", flush=True)
        for name, own in turns.items():
            print(f"    {name:25} {_summary(own, race.exercise.images)}", flush=True)


def _summary(turns: list[Turn], images: int) -> str:
    rate = np.median([turn.images_per_s for turn in turns])
    record = np.median([turn.record_bytes for turn in turns]) * EPOCH / images / 1e9
    text = f"{rate * 60 / EPOCH:8.3f} epochs per minute ({rate:.0f} images/s)"
    return f"{text}, {record:.1f} GB of record an epoch" if record else text


class _Timed(Quiet):
    """Observer that notes the processor time at each judgement."""

    def __init__(self) -> None:
        self.times_s: list[float] = []

    @override
    def row(self, label: str, row: Row) -> None:
        if isinstance(row, LearningRow):
            self.times_s.append(time.process_time())


def recorded(race: Race, data: Path, training: Samples) -> Turn:
    """Run the procedure on the emulator, with its guard and its record."""
    observer = _Timed()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.h5"
        run_procedure(_procedure(race, data), RunOptions("sim", path), observer)
        size = path.stat().st_size
    begin_s, end_s = observer.times_s[:2]
    return Turn(len(training) / (end_s - begin_s), size)


def bare(race: Race, data: Path, training: Samples) -> Turn:
    """Train the same network on the same emulator, without guard and record."""
    procedure = _procedure(race, data)
    settings = procedure.steps[0].settings
    if not isinstance(settings, TrainInSituSettings):
        raise TypeError(f"settings of {type(settings).__name__}")
    request = OpenRequest(procedure.array, None, np.random.default_rng(1))
    backend = open_sim(SimSettings.parse(_cells(race)), request)
    array = Array(backend, procedure.array, np.random.default_rng(2))
    network = LearningNetwork(settings, array, INPUTS)
    began_s = time.process_time()
    for begin in range(0, len(training), race.exercise.batch):
        network.update(training.part(slice(begin, begin + race.exercise.batch)))
    return Turn(len(training) / (time.process_time() - began_s))


def _cells(race: Race) -> dict[str, Any]:
    cells = cells_of(PRESET)
    return cells | {"device": cells["device"] | {"initial": BEGIN}} if race.hidden else cells


def _procedure(race: Race, data: Path) -> Procedure:
    exercise, outputs = race.exercise, race.widths[1:]
    copies = 2 if exercise.rule == "tiki_taka" else 1
    rows, cols = sum(race.widths[:-1]), 2 * copies * sum(outputs)
    activations = ["sigmoid"] * (len(outputs) - 1) + ["softmax"]
    settings = {
        "data": _labelled(data, "train", exercise.images),
        "test": _labelled(data, "t10k", 100),
        "layers": [
            {"outputs": count, "activation": activation}
            for count, activation in zip(outputs, activations, strict=True)
        ],
        "loss": "cross_entropy",
        "bias": False,
        "rule": rule_of(PRESET, exercise),
        "pulses": {"up": UP, "down": DOWN},
        "range": RANGE,
        "batch": exercise.batch,
        "max_epochs": 1,
        "record": "answers",
    }
    return from_data(
        {
            "name": "learning_speed",
            "seed": 1,
            "array": {"rows": rows, "cols": cols, "limits": LIMITS, "read": {"read_v": 0.1}},
            "backends": {"sim": _cells(race)},
            "steps": [{"step": "train_in_situ", "settings": settings}],
        },
        folder=data,
    )


def _labelled(data: Path, part: str, count: int) -> dict[str, Any]:
    names = (f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte")
    images, labels = ({"file": str(data / "mnist" / f"{one}.gz")} for one in names)
    return {"inputs": images, "classes": labels, "divide_by": 255, "first": count}


def by_aihwkit(race: Race, data: Path, training: Samples) -> Turn:  # noqa: ARG001 - as the others
    """Train on aihwkit's compiled tiles, by the same rule in every layer."""
    import torch
    from aihwkit.nn import AnalogLinear, AnalogSequential  # type: ignore[import-not-found]
    from aihwkit.optim import AnalogSGD  # type: ignore[import-not-found]

    torch.set_num_threads(1)
    torch.manual_seed(1)
    exercise, layers = race.exercise, []
    for seed, (inputs, outputs) in enumerate(zip(race.widths, race.widths[1:], strict=False)):
        config = peer_configured(PRESET, exercise, seed)
        layers += [AnalogLinear(inputs, outputs, bias=False, rpu_config=config), torch.nn.Sigmoid()]
    network = AnalogSequential(*layers[:-1])
    descent = AnalogSGD(network.parameters(), lr=exercise.rate)
    descent.regroup_param_groups(network)
    began_s = time.process_time()
    for begin in range(0, len(training), exercise.batch):
        samples = training.part(slice(begin, begin + exercise.batch))
        descent.zero_grad()
        answers = network(torch.tensor(samples.inputs, dtype=torch.float32))
        torch.nn.functional.cross_entropy(answers, torch.tensor(samples.classes)).backward()
        descent.step()
    return Turn(len(training) / (time.process_time() - began_s))


if __name__ == "__main__":
    main(sys.argv[1:])
