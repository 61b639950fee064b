"""Records that are damaged or of someone else's making: refused with the place."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from hwloop.errors import RecordError
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import load_procedure
from hwloop.record.reader import Record

FILE = Path(__file__).parents[3] / "procedures" / "manhattan_4x4.yaml"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record of a short training."""
    path = tmp_path_factory.mktemp("sound") / "sound.h5"
    procedure = load_procedure(FILE, ["steps.0.settings.max_updates=2"])
    run_procedure(procedure, RunOptions("sim", path))
    return path


def _resolved(change: Callable[[dict[str, Any]], object]) -> Callable[[h5py.File], None]:
    def damage(file: h5py.File) -> None:
        tree = json.loads(file["procedure/resolved"][()])
        change(tree)
        _other(file, "procedure/resolved", json.dumps(tree))

    return damage


def _other(file: h5py.File, name: str, value: object) -> None:
    del file[name]
    if value is not None:
        file[name] = value


def _count(file: h5py.File, series: str, rows: int) -> None:
    file[f"recorder/{series}"][0] = rows


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f: f.attrs.update({"format": "x"}), "is not a record of hwloop"),
        (lambda f: f.attrs.pop("status"), "attribute status: expected a text; it is None"),
        (lambda f: f.attrs.update({"seed": 1.5}), "attribute seed: expected a whole number from 0"),
        (lambda f: f.attrs.update({"population": -1}), "attribute population: expected a whole"),
        (lambda f: f.attrs.update({"population": 7}), r"array/\w+: has the shape \(4, 4\)"),
        (lambda f: f.attrs.update({"format_version": 99}), "was written by the newer hwloop"),
        (lambda f: f.attrs.update({"population": 2**62}), "array: claims the shape"),
        (lambda f: f["array"].attrs.update({"rows": 5}), "array, attribute rows: is 5"),
        (lambda f: _other(f, "array", None), "array: there is no such group"),
        (lambda f: _other(f, "procedure/text", np.arange(3)), "procedure/text: expected a text"),
        (lambda f: _other(f, "procedure/text", np.bytes_(b"\xff")), "is not UTF-8 text"),
        (lambda f: _other(f, "procedure/overrides", 3), "procedure/overrides: expected a list"),
        (lambda f: _other(f, "procedure/resolved", "["), "procedure/resolved: Invalid JSON"),
        (lambda f: _other(f, "procedure/resolved", "[" * 20000), "procedure/resolved: "),
        (lambda f: _other(f, "instruments/identity", "[]"), "instruments/identity: Input should"),
        (_resolved(lambda t: t.pop("steps")), "procedure/resolved.steps: Field required"),
        (_resolved(lambda t: t["steps"].append(t["steps"][0])), "two steps have one label"),
        (
            _resolved(lambda t: t["steps"][0].update(settings=3)),
            r"procedure/resolved\.steps\.0\.settings: ",
        ),
        (
            _resolved(lambda t: t["array"].update(rows="4")),
            r"procedure/resolved\.array\.rows: Input should be a valid integer",
        ),
        (lambda f: _other(f, "operations/table", np.zeros(3)), "operations/table: is no table"),
        (lambda f: _other(f, "outcomes/message", np.arange(3)), "outcomes/message: is no such"),
        (lambda f: _count(f, "operations", 999), r"operations/table: has \d+ rows; .* counts 999"),
        (lambda f: _count(f, "operations.pulse", -1), r"counts -1"),
        (lambda f: _other(f, "recorder/log", None), "recorder/log: is missing, but log has"),
        (lambda f: _other(f, "recorder/log", "x"), "recorder/log: expected one whole number"),
        (
            lambda f: f["results/train_manhattan/epoch"].attrs.update({"units": 3}),
            "results/train_manhattan/epoch, attribute units: expected a text",
        ),
        (
            lambda f: _other(f, "results/train_manhattan/epoch", h5py.Empty("f8")),
            "results/train_manhattan/epoch: has 0 rows",
        ),
    ],
)
def test_damaged_record_is_refused_with_the_place_of_the_damage(
    sound: Path, tmp_path: Path, damage: Callable[[h5py.File], object], words: str
) -> None:
    path = Path(shutil.copy(sound, tmp_path / "r.h5"))
    with h5py.File(path, "r+") as file:
        damage(file)
    with pytest.raises(RecordError, match=f"^{re.escape(str(path))}: .*{words}"):
        Record(path)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("kind", b"zzzz", "operation 3: the record has an operation of the unknown kind 'zzzz'"),
        ("series", b"../log", "operation 3: row 0 of operations/../log is missing"),
        ("item", -1, "operation 3: row -1 of operations/"),
        ("item", 10**9, r"operation 3: row 1000000000 of operations/\w+ is missing; it has \d+"),
        ("kind", b"\xff", "operation 3: 'utf-8' codec"),
    ],
)
def test_operation_that_points_nowhere_is_an_error_with_its_number(
    sound: Path, tmp_path: Path, field: str, value: object, words: str
) -> None:
    path = Path(shutil.copy(sound, tmp_path / "r.h5"))
    with h5py.File(path, "r+") as file:
        table = file["operations/table"][()]
        table[field][3] = value
        file["operations/table"][...] = table
    with Record(path) as record:
        assert record.operation(2).kind == "multiply"
        with pytest.raises(RecordError, match=f"^{re.escape(str(path))}: {words}"):
            record.operation(3)


def test_voltage_that_is_no_number_is_never_handed_on(sound: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(sound, tmp_path / "r.h5"))
    with h5py.File(path, "r+") as file:
        file["operations/pulse/amplitude_v"][0, 1, 2] = np.nan
        number = file["operations/table"][()]["kind"].tolist().index(b"pulse")
    with Record(path) as record:
        words = rf"operation {number}: amplitude_v at \(1, 2\) is nan"
        with pytest.raises(RecordError, match=words):
            record.operation(number)


def test_column_that_a_reader_misses_is_an_error_of_the_record(sound: Path) -> None:
    words = rf"^{re.escape(str(sound))}: .*KeyError: 'absent'"
    with pytest.raises(RecordError, match=words), Record(sound) as record:
        record.results("train_manhattan")["absent"]
