"""Compare two records: where they differ, and how far their results are apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from hwloop.backend.origin import Origin
from hwloop.errors import RecordError
from hwloop.record.reader import Record
from hwloop.settings.foreign_hdf5 import open_foreign
from hwloop.statistics import ks_distance, ks_expected
from hwloop.types import FloatArray

_ARRAYS = {"initial_conductance_s": "S", "final_conductance_s": "S", "pulses": "1"}


@dataclass(frozen=True)
class Quantity:
    """One quantity of both records.

    ``first``, ``second``: (rows, values), a row a result; one row for what has no path. NaN where
    a read failed.
    """

    name: str
    unit: str
    first: FloatArray
    second: FloatArray

    @property
    def ends(self) -> tuple[FloatArray, FloatArray]:
        """Return the finite values of the last row, of both records."""
        first, second = (one[-1][np.isfinite(one[-1])] for one in (self.first, self.second))
        return first, second

    @property
    def failed(self) -> int:
        """Count the values of both last rows that are not finite and left out."""
        return int(sum((~np.isfinite(one[-1])).sum() for one in (self.first, self.second)))

    def figures(self) -> dict[str, float]:
        """Return sizes, medians, and the Kolmogorov–Smirnov distance with its expectation."""
        first, second = self.ends
        expected, most = ks_expected(first.size, second.size)
        return {
            "values_first": first.size,
            "values_second": second.size,
            "median_first": float(np.median(first)),
            "median_second": float(np.median(second)),
            "ks": ks_distance(first, second),
            "ks_expected": expected,
            "ks_95": most,
        }


def compare_records(first: Path, second: Path) -> list[Quantity]:
    """Return every numeric quantity of which both records hold more than one value.

    Raises :class:`RecordError` where they share none.
    """
    with Record(first) as a, Record(second) as b:
        found = [one for one in _quantities(a, b) if all(end.size > 1 for end in one.ends)]
    if not found:
        raise RecordError(
            f"{first} and {second}: no quantity stands in both with more than one value"
        )
    return found


def origin_of_record(path: Path) -> Origin:
    """Return whether the numbers of a record are measured or emulated."""
    with Record(path) as record:
        return record.origin


def _quantities(a: Record, b: Record) -> Iterator[Quantity]:
    for name, unit in _ARRAYS.items():
        pair = _array(a, name), _array(b, name)
        if pair[0] is not None and pair[1] is not None:
            yield Quantity(name, unit, pair[0].reshape(1, -1), pair[1].reshape(1, -1))
    for label in (label for label in a.labels if label in b.labels):
        of_a, of_b = a.results(label), b.results(label)
        units = a.units(label) if of_a else {}
        for name in (name for name in of_a if name in of_b):
            columns = [_numbers(of[name]) for of in (of_a, of_b)]
            if columns[0] is not None and columns[1] is not None:
                yield Quantity(f"{label}.{name}", units[name], columns[0], columns[1])


def _array(record: Record, name: str) -> FloatArray | None:
    values: Any = record.pulses_given() if name == "pulses" else record.array(name)
    return None if values is None else np.asarray(values, dtype=np.float64)


def _numbers(column: NDArray[Any]) -> FloatArray | None:
    """Return a numeric column as (rows, values); None for text and for an empty one."""
    if column.dtype.kind not in "bif" or not column.size:
        return None
    return column.astype(np.float64).reshape(len(column), -1)


TIMES = frozenset({"started_s", "ended_s", "started_utc", "ended_utc", "time_utc", "run_id"})
"""What differs between two runs that are otherwise the same."""


def differences(first: Path, second: Path) -> list[str]:
    """Return where two records differ, apart from times; empty if identical to the last bit."""
    with open_foreign(first) as a, open_foreign(second) as b:
        found: list[str] = []
        names_a, names_b = _names(a), _names(b)
        found += [f"{name}: only in one of them" for name in sorted(names_a ^ names_b)]
        for name in sorted(names_a & names_b):
            found += _different_attrs(name, a[name], b[name])
            if isinstance(a[name], h5py.Dataset) and name.rsplit("/", 1)[-1] not in TIMES:
                found += _different_data(name, a[name][()], b[name][()])
        return found


def _names(file: h5py.File) -> set[str]:
    names = {"/"}
    file.visit(lambda name: names.add(name))
    return names


def _different_attrs(name: str, a: Any, b: Any) -> list[str]:
    keys = (set(a.attrs) | set(b.attrs)) - TIMES
    return [
        f"{name}: attribute {key}"
        for key in sorted(keys)
        if not np.array_equal(a.attrs.get(key), b.attrs.get(key))
    ]


def _different_data(name: str, a: Any, b: Any) -> list[str]:
    if isinstance(a, h5py.Empty) or isinstance(b, h5py.Empty):
        return [] if a == b else [f"{name}: one of them is empty"]
    a, b = np.asarray(a), np.asarray(b)
    if a.dtype.names:
        return [
            line
            for field in a.dtype.names
            if field not in TIMES
            for line in _different_data(f"{name}.{field}", a[field], b[field])
        ]
    same = a.shape == b.shape and a.dtype == b.dtype
    if same and a.dtype.kind == "O":
        same = bool((a == b).all())
    elif same:
        same = a.tobytes() == b.tobytes()
    return [] if same else [f"{name}: values"]
