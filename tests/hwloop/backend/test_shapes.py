"""Which shapes of maps and vectors are an array's, and which are refused."""

from __future__ import annotations

import numpy as np
import pytest

from hwloop.array.operations import Hold, Operation, PulseMap, Ramp, ReadMap, VectorBatch, Wait
from hwloop.backend.shapes import check_shape
from hwloop.errors import BackendError


def _ramp(shape: tuple[int, ...]) -> Ramp:
    return Ramp(np.ones(shape), 0.0, 1e-3, 2, 0.1, low_a=0.0, high_a=1.0)  # type: ignore[arg-type]


def _maps(shape: tuple[int, ...]) -> list[Operation]:
    return [
        PulseMap(np.zeros(shape), 1.0),
        ReadMap(np.ones(shape), 0.1),  # type: ignore[arg-type]
        _ramp(shape),
        Hold(np.ones(shape), np.ones(shape, dtype=np.bool_)),
    ]


@pytest.mark.parametrize("shape", [(2, 3), (4, 2, 3), (5, 4, 2, 3)])
def test_maps_of_one_array_and_of_the_whole_population_are_taken(shape: tuple[int, ...]) -> None:
    for operation in (*_maps((2, 3)), *_maps(shape), Wait(0.0)):
        check_shape(operation, shape)


@pytest.mark.parametrize("shape", [(2, 3), (4, 2, 3), (5, 4, 2, 3)])
def test_vectors_for_all_arrays_alike_or_for_each_its_own_are_taken(
    shape: tuple[int, ...],
) -> None:
    check_shape(VectorBatch(np.zeros((7, 2))), shape)
    check_shape(VectorBatch(np.zeros((*shape[:-2], 7, 2))), shape)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ((3, 2), r"has shape \(3, 2\); the array has \(4, 2, 3\)"),
        ((2, 4), r"has shape \(2, 4\); the array has \(4, 2, 3\)"),
        ((5, 2, 3), r"has shape \(5, 2, 3\); the array has \(4, 2, 3\)"),
        ((1, 4, 2, 3), r"has shape \(1, 4, 2, 3\); the array has \(4, 2, 3\)"),
    ],
)
def test_maps_of_other_shapes_are_refused_by_name(given: tuple[int, ...], words: str) -> None:
    names = ("amplitude_v", "addressed", "start_v", "conductance_s")
    for operation, name in zip(_maps(given), names, strict=True):
        with pytest.raises(BackendError, match=f"^{name} {words}"):
            check_shape(operation, (4, 2, 3))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ((1, 3), "voltage_v has 3 rows; the array has 2"),
        ((4, 1, 3), "voltage_v has 3 rows; the array has 2"),
        ((5, 1, 2), r"for a population \(5,\); the backend holds \(4,\)"),
        ((1, 4, 1, 2), r"for a population \(1, 4\); the backend holds \(4,\)"),
    ],
)
def test_vectors_of_other_shapes_are_refused(given: tuple[int, ...], words: str) -> None:
    with pytest.raises(BackendError, match=words):
        check_shape(VectorBatch(np.zeros(given)), (4, 2, 3))
