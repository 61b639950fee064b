"""A backend that answers from a record, and stops where it is asked something else."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BeforeValidator, ValidationInfo
from typing_extensions import override

from hwloop.array.blocks import BlockBatch
from hwloop.array.geometry import Geometry
from hwloop.array.operations import Answer, Operation
from hwloop.array.read_path import ReadPath
from hwloop.backend.base import Description
from hwloop.backend.kind import BackendKind, OpenRequest
from hwloop.backend.origin import Origin, replayed
from hwloop.backend.wrapper import OneVerbBackend
from hwloop.datasets.measurement import is_measurement, read_measurement
from hwloop.errors import BackendError, ConfigError, RecordError, ReplayMismatch
from hwloop.messages import first_place
from hwloop.record.blocks import KeptBatch
from hwloop.record.reader import Record
from hwloop.record.replay_import import ImportReplay, open_import
from hwloop.settings.model import Settings, folder_of


class RecordEnded(ReplayMismatch):
    """Error: the run asks for more operations than the record, of this ``status``, holds."""

    def __init__(self, message: str, *, status: str) -> None:
        super().__init__(message)
        self.status = status


class Replay(OneVerbBackend):
    """Backend that stands for the array of a recorded run.

    Every operation must be the recorded one, to the last bit; the answer is the recorded one.
    """

    def __init__(self, record: Record) -> None:
        self._record = record
        self._next = 0
        self._now_s = 0.0
        self._closed = False
        *population, rows, cols = record.shape
        geometry = Geometry(rows=rows, cols=cols, cell=record.resolved["array"]["cell"])
        self._description = Description(
            name="replay",
            geometry=geometry,
            population=tuple(population),
            multiply=record.attrs["multiply"],
            identity={"recording": record.attrs["run_id"], **record.identity},
            verify_steps=int(record.attrs.get("verify_steps", 1)),
            units=record.identity_units,
            read_path=read_path_of(record),
            code_bits=int(record.attrs.get("code_bits", 0)) or None,
            holds=True,  # whether it was so in the recorded run, the record shows
        )

    @property
    @override
    def description(self) -> Description:
        return self._description

    @property
    def remaining(self) -> int:
        """Number of recorded operations that have not been asked for."""
        return len(self._record) - self._next

    @override
    def now_s(self) -> float:
        return self._now_s

    @override
    def perform(self, operation: Operation) -> Answer:
        if self._closed:
            raise BackendError("the replay is closed")
        if self.remaining == 0:
            status = self._record.status
            raise RecordEnded(
                f"operation {self._next}: the run asks for a {_kind(operation)}, but the record"
                f" ends here (status {status})",
                status=status,
            )
        recorded = self._record.operation(self._next)
        difference = _difference(operation, recorded.operation)
        if difference:
            raise ReplayMismatch(f"operation {self._next}: {difference}")
        self._next += 1
        self._now_s = recorded.array_time_s
        if recorded.failed:
            raise RecordError(
                f"operation {recorded.index} ({recorded.kind}) failed in the recording"
            )
        if isinstance(recorded.operation, KeptBatch) and recorded.reading is None:
            raise RecordError(
                f"operation {recorded.index}: the record keeps a summary of this multiplication"
                " and not its answers, so it cannot answer; 'record: answers' keeps them"
            )
        return recorded.answer(self._description.shape)

    @override
    def make_safe(self) -> None:
        pass

    @override
    def close(self) -> None:
        self._closed = True
        self._record.close()


def read_path_of(record: Record) -> ReadPath | None:
    """Return the resistors that the recorded reads have passed; None without any."""
    attrs = record.attrs
    if "read_rows_ohm" not in attrs:
        return None
    return ReadPath(
        record.resolved["array"]["biasing"],
        (record.shape[-2], record.shape[-1]),
        float(attrs["read_rows_ohm"]),
        float(attrs["read_cols_ohm"]),
        exact=bool(attrs["read_path_exact"]),
    )


def _kind(operation: Operation | KeptBatch) -> str:
    names = {
        "PulseMap": "pulse",
        "PulsePair": "pair of pulses",
        "ReadMap": "read",
        "Ramp": "ramp",
        "VectorBatch": "multiply",
        "BlockBatch": "multiply by blocks",
        "KeptBatch": "multiply by blocks",
        "Hold": "hold",
        "Wait": "wait",
    }
    return names[type(operation).__name__]


def _difference(asked: Operation, recorded: Operation | KeptBatch) -> str:
    """Describe the first difference of two operations; "" where they are the same."""
    if isinstance(asked, BlockBatch) and isinstance(recorded, KeptBatch):
        different = recorded.difference(asked)
        return different and f"{_kind(asked)}: {different}"
    if type(asked) is not type(recorded):
        return f"the run asks for a {_kind(asked)}, the record has a {_kind(recorded)}"
    for field in (one for one in fields(asked) if one.name not in _NOT_DONE):
        mine, theirs = getattr(asked, field.name), getattr(recorded, field.name)
        if np.shape(mine) != np.shape(theirs):
            return (
                f"{_kind(asked)}: {field.name} has shape {np.shape(mine)}, in the record"
                f" {np.shape(theirs)}"
            )
        if not np.array_equal(mine, theirs):
            return f"{_kind(asked)}: {_first_difference(field.name, mine, theirs)}"
    return ""


_NOT_DONE = frozenset({"keep"})
"""Fields that say nothing of what is done with the array."""


def _first_difference(name: str, mine: object, theirs: object) -> str:
    if not isinstance(mine, np.ndarray) or not isinstance(theirs, np.ndarray):
        return f"{name} is {mine}, in the record {theirs}"
    place = first_place(mine != theirs)
    return f"{name} at {place} is {mine[place]}, in the record {theirs[place]}"


def _existing(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, str | Path):
        raise ValueError("expected the path of a record")
    path = folder_of(info) / value
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    return path


class ReplaySettings(Settings):
    """Settings of a replay: the record, or the imported trains, that answer."""

    recording: Annotated[Path, BeforeValidator(_existing)]


def open_replay(settings: ReplaySettings, request: OpenRequest) -> Replay | ImportReplay:
    """Open a record, or imported trains, as a backend for an array of the same shape."""
    if is_measurement(settings.recording):
        measurement = read_measurement(settings.recording)
        return open_import(measurement, request, name="replay", where=str(settings.recording))
    record = Record(settings.recording)
    outer = request.array.outer_shape(request.population)
    wanted = (*outer, *request.array.geometry.shape)
    if record.shape != wanted:
        shape = record.shape
        record.close()
        raise ConfigError(
            f"{settings.recording}: was recorded on {shape}; the procedure asks for {wanted}"
            " (population, rows, columns)"
        )
    return Replay(record)


def origin_of_recording(settings: ReplaySettings) -> Origin:
    """Return the origin of a replay: that of the recorded run, marked as replayed."""
    if is_measurement(settings.recording):
        return replayed("measured")
    with Record(settings.recording) as record:
        return replayed(record.origin)


REPLAY = BackendKind(
    name="replay",
    summary="Answers from the record of an earlier run, bit for bit, or from imported trains",
    settings=ReplaySettings,
    open=open_replay,
    origin=origin_of_recording,
)
