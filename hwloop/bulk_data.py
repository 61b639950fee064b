"""Arrays too large to stand in a procedure: named by file, known by their checksum.

``{file: weights.npz, key: w1, source: "where it comes from"}``. The file is looked for when the
procedure is read, and its SHA-256 goes into the record; a record that is run again refuses a file
that has changed. Without ``key`` a file of one array is meant.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationInfo, model_validator

from hwloop.errors import ConfigError
from hwloop.network_files import read_arrays
from hwloop.operations import FloatArray
from hwloop.settings import Settings
from hwloop.units import Number


class BulkFile(Settings):
    """``file``: NPZ, NPY, HDF5, PyTorch state dict or ONNX; ``source``: said where it is absent."""

    file: Path
    key: str | None = None
    source: str = ""
    sha256: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _found(cls, data: Any, info: ValidationInfo) -> Any:
        if isinstance(data, str):
            data = {"file": data}
        if not isinstance(data, dict) or not isinstance(data.get("file"), str | Path):
            return data
        path = (Path((info.context or {}).get("folder", ".")) / data["file"]).resolve()
        if not path.is_file():
            origin = f"; it comes from {data['source']}" if data.get("source") else ""
            raise ValueError(f"there is no file {path}{origin}")
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        wanted = data.get("sha256")
        if wanted not in (None, found):
            raise ValueError(f"{path} has changed: SHA-256 {found[:12]}…, was {wanted[:12]}…")
        return {**data, "file": path, "sha256": found}

    def arrays(self) -> dict[str, FloatArray]:
        """Every array of the file, by name."""
        return read_arrays(self.file)

    def array(self) -> FloatArray:
        """The one that ``key`` names, or the only one; raises :class:`ConfigError`."""
        arrays = self.arrays()
        if self.key is None and len(arrays) == 1:
            return next(iter(arrays.values()))
        if self.key not in arrays:
            raise ConfigError(f"give one of its keys: {', '.join(arrays)}", file=str(self.file))
        return arrays[self.key]


class LabelledData(Settings):
    """Inputs and their classes: ``inputs`` (samples, …), divided by ``divide_by``; ``classes``.

    ``flatten``: one row a sample. ``channels_last``: (samples, height, width, channels), turned to
    channels first. ``first``: only so many samples.
    """

    inputs: BulkFile
    classes: BulkFile
    divide_by: Number = 1.0
    flatten: bool = True
    channels_last: bool = False
    first: int | None = None

    def load(self) -> tuple[FloatArray, FloatArray]:
        """(samples, …) and (samples,); raises :class:`ConfigError` where they do not fit."""
        x, y = self.inputs.array()[: self.first], self.classes.array()[: self.first].ravel()
        if len(x) != len(y) or not len(x):
            raise ConfigError(
                f"{self.inputs.file}: {len(x)} samples, but {len(y)} classes", key="classes"
            )
        for name, values in (("inputs", x), ("classes", y)):
            wrong = np.argwhere(~np.isfinite(values))
            if len(wrong):
                place = tuple(int(i) for i in wrong[0])
                raise ConfigError(f"entry {place} is {values[place]}", key=name)
        if self.flatten:
            return x.reshape(len(x), -1) / self.divide_by, y
        return (np.moveaxis(x, -1, 1) if self.channels_last else x) / self.divide_by, y
