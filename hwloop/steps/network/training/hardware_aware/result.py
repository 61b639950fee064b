"""Result of a training beside the record: weights as NPZ, and a model card as JSON."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from hwloop.errors import RecordError
from hwloop.settings.bulk import BulkFile, LabelledData
from hwloop.steps.network.training.hardware_aware.checkpoint import write_arrays
from hwloop.steps.network.training.hardware_aware.settings import TrainCnnSettings
from hwloop.types import FloatArray


@dataclass(frozen=True)
class ModelCard:
    """Description of trained weights: data, settings, seed, accuracy, versions.

    ``samples``: number by the key of their setting. ``found``: accuracies and sizes by name.
    """

    settings: TrainCnnSettings
    seed: int
    samples: Mapping[str, int]
    found: Mapping[str, float | int | None]

    def text(self, weights: Path, torch_version: str) -> str:
        """Return the card as JSON; ``weights``: the file that it describes."""
        settings = self.settings
        given = settings.model_dump(mode="json", exclude={"data", "test", "weights", "checkpoint"})
        data = {"data": settings.data, "test": settings.test}
        card: dict[str, Any] = {
            "weights": {"file": weights.name, "sha256": _digest(weights)},
            "accuracy_and_size": dict(self.found),
            "data": {
                key: _described(one, self.samples[key])
                for key, one in data.items()
                if one is not None
            },
            "start_weights": None if settings.weights is None else _named(settings.weights),
            "seed": self.seed,
            "settings": given,
            "versions": {
                "hwloop": version("hwloop"),
                "python": platform.python_version(),
                "numpy": np.__version__,
                "torch": torch_version,
            },
        }
        return json.dumps(card, indent=2, ensure_ascii=False) + "\n"


def _described(data: LabelledData, samples: int) -> dict[str, Any]:
    given = data.model_dump(mode="json", exclude={"inputs", "classes"})
    return {
        "samples": samples,
        "inputs": _named(data.inputs),
        "classes": _named(data.classes),
        **given,
    }


def _named(file: BulkFile) -> dict[str, Any]:
    """Return name, key, origin and digest of a file; not its folder, which is of one computer."""
    return {
        "file": file.file.name,
        "key": file.key,
        "source": file.source,
        "sha256": file.sha256,
    }


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_result(
    path: Path, arrays: Mapping[str, FloatArray], card: ModelCard, torch_version: str
) -> None:
    """Write the weights to ``path`` and the card beside it, ending in ``.card.json``.

    Raises :class:`RecordError` where one cannot be written.
    """
    write_arrays(path, arrays)
    try:
        path.with_suffix(".card.json").write_text(card.text(path, torch_version), encoding="utf-8")
    except OSError as exc:
        raise RecordError(f"{path}: the model card cannot be written: {exc.strerror}") from exc
