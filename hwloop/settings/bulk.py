"""Arrays too large for a procedure: named by file, identified by their checksum.

``{file: weights.npz, key: w1, source: "where it comes from"}``. The file is looked for when the
procedure is read, and its SHA-256 goes into the record; a record that is run again refuses a file
that has changed. Without ``key`` a file of one array is meant; a key with ``*`` or ``?`` names
several of one length, such as the columns of a table, that stand side by side.
"""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field, ValidationInfo, model_validator

from hwloop.errors import ConfigError
from hwloop.messages import first_place
from hwloop.settings.kept_files import kept_arrays, kept_sha256
from hwloop.settings.model import Settings, folder_of
from hwloop.settings.units import Count, Number
from hwloop.types import FloatArray


class BulkFile(Settings):
    """File of arrays: NPZ, NPY, HDF5, CSV, PyTorch state dict or ONNX; ``source``: its origin."""

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
        path = (folder_of(info) / data["file"]).resolve()
        if not path.is_file():
            origin = f"; it comes from {data['source']}" if data.get("source") else ""
            raise ValueError(f"there is no file {path}{origin}")
        found = kept_sha256(path)
        wanted = data.get("sha256")
        if wanted not in (None, found):
            raise ValueError(f"{path} has changed: SHA-256 {found[:12]}…, was {wanted[:12]}…")
        return {**data, "file": path, "sha256": found}

    def arrays(self) -> dict[str, FloatArray]:
        """Return every array of the file by its name, read-only."""
        return kept_arrays(self.file)

    def array(self) -> FloatArray:
        """Return the array ``key``, or the only one; raises :class:`ConfigError` without it."""
        arrays = self.arrays()
        if self.key is None and len(arrays) == 1:
            return next(iter(arrays.values()))
        if self.key is not None and self.key not in arrays:
            several = fnmatch.filter(arrays, self.key)
            if several and len({arrays[name].shape for name in several}) == 1:
                return np.stack([arrays[name] for name in several], axis=-1)
        if self.key not in arrays:
            given = "" if self.key is None else f"there is no array {self.key!r}; "
            keys = f"give one of its keys: {', '.join(arrays)}" if arrays else "it holds no numbers"
            raise ConfigError(given + keys, file=str(self.file))
        return arrays[self.key]


class LabelledData(Settings):
    """Labelled samples: ``inputs`` (samples, …), divided by ``divide_by``; ``classes`` (samples,).

    ``flatten``: one row a sample; else images, (samples, channels, height, width), to which a lone
    channel is added. ``channels_last``: (samples, height, width, channels), turned to channels
    first. ``mean``, ``deviation``: of each channel, taken off and divided by after ``divide_by``.
    ``first``: only so many samples, which there must be. ``one_flipped``: in place of each sample
    of 0 and 1, its copies with one entry the other way.
    """

    inputs: BulkFile
    classes: BulkFile
    divide_by: Annotated[Number, Field(gt=0)] = 1.0
    flatten: bool = True
    channels_last: bool = False
    first: Count | None = None
    one_flipped: bool = False
    mean: tuple[Number, ...] = (0.0,)
    deviation: tuple[Annotated[Number, Field(gt=0)], ...] = (1.0,)

    def load(self, key: str = "data") -> tuple[FloatArray, FloatArray]:
        """Return inputs (samples, …) and classes (samples,); 0, 1, ….

        ``key``: of this setting, which a :class:`ConfigError` names where the two do not fit.
        """
        try:
            return self._load()
        except ConfigError as exc:
            raise exc.below(key) from None

    def _load(self) -> tuple[FloatArray, FloatArray]:
        arrays: dict[str, FloatArray] = {}
        for name, file in (("inputs", self.inputs), ("classes", self.classes)):
            try:
                arrays[name] = file.array()
            except ConfigError as exc:
                raise exc.below(name) from None
        x, y = arrays["inputs"], arrays["classes"].ravel()
        if not x.ndim or not x.size:
            raise ConfigError(
                f"{self.inputs.file}: has shape {x.shape}: it holds no samples", key="inputs"
            )
        if self.first is not None and self.first > len(x):
            raise ConfigError(f"{self.first}: {self.inputs.file} has {len(x)} samples", key="first")
        x, y = x[: self.first], y[: self.first]
        if len(x) != len(y):
            raise ConfigError(
                f"{self.inputs.file}: {len(x)} samples, but {len(y)} classes", key="classes"
            )
        for name, values, file in (("inputs", x, self.inputs), ("classes", y, self.classes)):
            wrong = ~np.isfinite(values)
            if name == "classes":
                wrong |= (values < 0) | (values != np.round(values))
            if wrong.any():
                place = first_place(wrong)
                whole = "; classes are 0, 1, …" if name == "classes" else ""
                raise ConfigError(
                    f"{file.file}: entry {place} is {values[place]:g}{whole}", key=name
                )
        if self.one_flipped:
            x, y = _one_flipped(x, y)
        x = self._scaled(x / self.divide_by)
        return (x.reshape(len(x), -1) if self.flatten else x), y

    def _scaled(self, x: FloatArray) -> FloatArray:
        """Scale images by channel, channels first; anything else by one mean and deviation."""
        if self.channels_last:
            x = np.moveaxis(x, -1, 1)
        elif x.ndim == 3:
            x = x[:, None]
        mean, deviation = np.array(self.mean), np.array(self.deviation)
        for name, values in (("mean", mean), ("deviation", deviation)):
            if values.size > 1 and (x.ndim != 4 or values.size != x.shape[1]):
                raise ConfigError(f"{values.size} entries for samples of {x.shape[1:]}", key=name)
        if x.ndim == 4:
            mean, deviation = (np.reshape(one, (-1, 1, 1)) for one in (mean, deviation))
        return np.asarray((x - mean) / deviation)


def _one_flipped(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    wrong = (x != 0) & (x != 1)
    if wrong.any():
        place = first_place(wrong)
        raise ConfigError(f"entry {place} is {x[place]:g}, neither 0 nor 1", key="one_flipped")
    flat = x.reshape(len(x), 1, -1)
    copies = np.abs(flat - np.eye(flat.shape[-1]))
    return copies.reshape(-1, *x.shape[1:]), np.repeat(y, flat.shape[-1])
