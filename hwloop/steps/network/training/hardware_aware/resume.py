"""State of a training as arrays and notes, from which the same training goes on to the bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from hwloop.steps.network.training.hardware_aware.descent import Epoch, NoisyDescent, Progress
from hwloop.types import FloatArray


def state_of(descent: NoisyDescent) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return everything that the rest of the training depends on: arrays, and notes for JSON."""
    arrays: dict[str, Any] = {"generator": descent.generator.get_state().numpy()}
    for group, members in (
        ("weights", descent.arrays()),
        ("best", descent.best_arrays),
        ("masks", descent.masks),
    ):
        arrays |= {f"{group}/{name}": value for name, value in members.items()}
    for index, of_one in descent.optimiser.state_dict()["state"].items():
        arrays |= {
            f"optimiser/{index}/{name}": value.numpy()
            for name, value in of_one.items()
            if value is not None
        }
    return arrays, {"progress": asdict(descent.progress), "folded": descent.folded}


def restore(
    descent: NoisyDescent, arrays: Mapping[str, FloatArray], notes: Mapping[str, Any]
) -> None:
    """Put a training of the same settings, data and seed where :func:`state_of` found it."""
    import torch

    def group(name: str) -> dict[str, FloatArray]:
        start = f"{name}/"
        return {
            key.removeprefix(start): value for key, value in arrays.items() if key.startswith(start)
        }

    descent.folded = bool(notes["folded"])
    descent.set_arrays(group("weights"))
    descent.masks = {name: value.astype(np.bool_) for name, value in group("masks").items()}
    descent.best_arrays = group("best")
    progress = dict(notes["progress"])
    progress["epochs"] = [Epoch(**one) for one in progress["epochs"]]
    descent.progress = Progress(**progress)
    state: dict[int, dict[str, Any]] = {}
    for key, value in group("optimiser").items():
        index, name = key.split("/")
        state.setdefault(int(index), {})[name] = torch.from_numpy(np.asarray(value, np.float32))
    whole = descent.optimiser.state_dict()
    descent.optimiser.load_state_dict({**whole, "state": state})
    descent.generator.set_state(torch.from_numpy(arrays["generator"].astype(np.uint8)))
