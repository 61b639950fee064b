"""State of a training in one NPZ file, written after every epoch, without pickled objects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hwloop.errors import ConfigError, RecordError
from hwloop.settings.array_files import read_arrays
from hwloop.types import FloatArray

_NOTES = "notes"
_FORMAT = "hwloop-training"


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write an NPZ file, complete or not at all; raises :class:`RecordError` if that fails."""
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **arrays)
        part.replace(path)
    except OSError as exc:
        part.unlink(missing_ok=True)
        raise RecordError(f"{path}: cannot be written: {exc.strerror or exc}") from exc


def write_checkpoint(path: Path, arrays: Mapping[str, Any], notes: Mapping[str, Any]) -> None:
    """Write arrays by name, and ``notes`` that JSON can hold."""
    text = json.dumps({"format": _FORMAT, **notes}).encode()
    write_arrays(path, {**arrays, _NOTES: np.frombuffer(text, np.uint8)})


def read_checkpoint(path: Path, digest: str) -> tuple[dict[str, FloatArray], dict[str, Any]] | None:
    """Return arrays and notes; None where there is no such file.

    Raises :class:`ConfigError` where it is not a checkpoint of the training with this ``digest``.
    """
    if not path.exists():
        return None
    arrays = read_arrays(path)
    try:
        notes = json.loads(arrays.pop(_NOTES).astype(np.uint8).tobytes())
        if notes["format"] != _FORMAT:
            raise ValueError
        of = notes["digest"]
    except (KeyError, ValueError, TypeError):
        raise ConfigError(
            "not a checkpoint of a training", key="checkpoint", file=str(path)
        ) from None
    if of != digest:
        raise ConfigError(
            "is of a training with other settings, data or seed: remove it, or name another file",
            key="checkpoint",
            file=str(path),
        )
    return arrays, notes
