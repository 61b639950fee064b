"""One damaged file of each kind that hwloop reads, and the command that is given it."""

from __future__ import annotations

import gzip
import json
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import h5py
import numpy as np
import yaml

from benchmarks.fuzzing.damage import (
    TOKENS,
    VALUES,
    damaged_bytes,
    damaged_text,
    damaged_yaml,
    paths_in,
)
from benchmarks.fuzzing.damage_hdf5 import damage_hdf5
from benchmarks.fuzzing.damage_life import NAME, damage_life
from hwloop.datasets.measurement import Conditions, Measurement, write_measurement
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import load_procedure
from hwloop.record.life import life_path

ROOT = Path(__file__).parents[2]
PROCEDURES = ROOT / "procedures"
TRAINING = PROCEDURES / "manhattan_4x4.yaml"
_KEYS = ("", ".", "..", "steps.99", "steps.-1", "a" * 3000, "steps." + "0" * 5000, "\x00")
_NETWORK = """
name: network
seed: 1
array:
  rows: 4
  cols: 4
  limits: {positive_v: 3.5 V, negative_v: -3 V, read_v: 0.2 V, half_select_v: 1.75 V,
    current_a: 10 mA, pulse_width_s: 1 ms, pulse_energy_j: 10 uJ, pulses_per_device: 10000}
  read: {read_v: 0.1 V}
backends:
  sim: {device: {model: soft_bounds, min_conductance_s: 1 uS, max_conductance_s: 110 uS}}
steps:
"""
_WEIGHTS = """
  - step: map_network
    settings:
      weights: {file: NAME, source: none}
      layers: [{kind: dense, weight: w, bias: b}]
      mapping: {min_conductance_s: 10 uS, max_conductance_s: 100 uS}
"""
_TARGETS = """
  - step: program_verify
    settings:
      target: {kind: map, map_conductance_s: {file: NAME}}
      tolerance: {kind: range, fraction: 0.1}
      range: {low_conductance_s: 10 uS, high_conductance_s: 110 uS}
      algorithm:
        name: alibart
        up: {amplitude: 3.2 V, width_s: 300 us}
        down: {amplitude: -2.8 V, width_s: 300 us}
      pulses_per_cell: 40
"""


@dataclass(frozen=True)
class Case:
    """Arguments of a command that is given a damaged file, and a note of the damage."""

    arguments: tuple[str, ...]
    note: str


def make_sources(folder: Path) -> None:
    """Write the sound files that cases are damaged copies of."""
    short = ["steps.0.settings.max_updates=3"]
    for name, file, overrides, population in (
        ("training", TRAINING, short, None),
        ("population", TRAINING, short, 3),
        ("reads", PROCEDURES / "read_map_8x8.yaml", [], None),
        ("response", PROCEDURES / "pulse_response_4x4.yaml", [], None),
    ):
        options = RunOptions("sim", folder / f"{name}.h5", population=population)
        run_procedure(load_procedure(file, overrides), options)
    _make_measurement(folder / "table.h5", 1)
    _make_measurement(folder / "trains.h5", 2)
    weights = {"w": np.array([[0.5, -0.25, 1.0], [-1.0, 0.75, 0.1]]), "b": np.array([0.1, -0.2])}
    target_conductance_s = np.linspace(20e-6, 90e-6, 16).reshape(4, 4)
    np.savez(folder / "network.npz", **weights)  # type: ignore[arg-type]
    np.save(folder / "network.npy", target_conductance_s)
    with h5py.File(folder / "network.h5", "w") as file:
        for key, value in weights.items():
            file[key] = value
    np.savetxt(folder / "network.csv", target_conductance_s, delimiter=",")
    images = bytes((0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3, *range(12)))
    (folder / "images-idx3-ubyte.gz").write_bytes(gzip.compress(images))


def _make_measurement(path: Path, trains: int) -> None:
    train, pulse = np.divmod(np.arange(60.0), 60 // trains)
    conductance_s = 1e-6 + 5e-6 * (1 - np.exp(-pulse / 10))
    measurement = Measurement(
        kind="trains",
        title="An exponential",
        device="none",
        source="computed",
        validity="none",
        conditions=Conditions(amplitude_v=2.0, width_s=0.05, read_v=0.1),
        columns={
            "cell": np.zeros(60),
            "train": train,
            "pulse": pulse,
            "amplitude_v": np.full(60, 2.0),
            "width_s": np.full(60, 0.05),
            "conductance_s": conductance_s,
        },
    )
    write_measurement(measurement, path)


def procedure(random: Random, _sources: Path, folder: Path) -> Case:
    """A damaged procedure is checked, or run."""
    source = random.choice(sorted(PROCEDURES.glob("*.yaml")))
    raw, note = damaged_yaml(random, source.read_text(encoding="utf-8"))
    (folder / "p.yaml").write_bytes(raw)
    if random.random() < 0.8:
        return Case(("check", "p.yaml"), f"{source.name}: {note}")
    return Case(("run", "p.yaml", "--out", "o.h5"), f"{source.name}: {note}")


def override(random: Random, _sources: Path, _folder: Path) -> Case:
    """A sound procedure is given damaged ``--set``."""
    source = random.choice(sorted(PROCEDURES.glob("*.yaml")))
    tree = yaml.safe_load(source.read_text(encoding="utf-8"))
    given = []
    for _ in range(random.choice((1, 1, 2))):
        key = ".".join(map(str, random.choice([path for path in paths_in(tree) if path])))
        if random.random() < 0.3:
            key = random.choice((*_KEYS, f"{key}.x", key.upper(), f"{key}.", key.replace("0", "²")))
        numbers = [one for one in VALUES if not isinstance(one, float) or one == one]
        value = random.choice((random.choice(TOKENS), json.dumps(random.choice(numbers))))
        given += ["--set", f"{key}={value}"]
    return Case(("check", str(source), *given), source.name)


def station(random: Random, _sources: Path, folder: Path) -> Case:
    """A damaged station is checked with a procedure, or drawn."""
    source = random.choice(sorted((ROOT / "stations").glob("*.yaml")))
    raw, note = damaged_yaml(random, source.read_text(encoding="utf-8"))
    (folder / "s.yaml").write_bytes(raw)
    arguments = ("check", str(TRAINING), "--station", "s.yaml")
    if random.random() < 0.1:
        arguments = ("wiring", "s.yaml", "-o", "w.png")
    return Case(arguments, f"{source.name}: {note}")


def calibration(random: Random, _sources: Path, folder: Path) -> Case:
    """A damaged calibration stands in for the device of a procedure."""
    source = random.choice(sorted((ROOT / "sim" / "hwloop_sim" / "calibrations").glob("*.yaml")))
    raw, note = damaged_yaml(random, source.read_text(encoding="utf-8"))
    (folder / "c.yaml").write_bytes(raw)
    name = "program_verify_1t1r_8x8" if "1t1r" in source.name else "manhattan_4x4"
    arguments = (random.choice(("check", "check", "run")), str(PROCEDURES / f"{name}.yaml"))
    return Case((*arguments, "--calibration", "c.yaml"), f"{source.name}: {note}")


def record(random: Random, sources: Path, folder: Path) -> Case:
    """A damaged record is shown, replayed, compared, calibrated from, or reported."""
    source = sources / f"{random.choice(('training', 'population', 'reads', 'response'))}.h5"
    note = damage_hdf5(random, source, folder / "r.h5")
    arguments = random.choices(
        (
            ("show", "r.h5"),
            ("replay", "r.h5"),
            ("compare", "r.h5", str(source)),
            ("calibrate", "r.h5", "--model", "soft_bounds", "-o", "c.yaml"),
            ("report", "r.h5"),
        ),
        (50, 32, 8, 6, 4),
    )[0]
    return Case(arguments, f"{source.name}: {note}")


def dataset(random: Random, sources: Path, folder: Path) -> Case:
    """A damaged dataset is calibrated from, or is the calibration; a damaged table is imported."""
    kind = random.random()
    if kind < 0.5:
        source = sources / ("trains.h5" if kind < 0.1 else "table.h5")
        note = damage_hdf5(random, source, folder / "d.h5")
        if kind < 0.1:
            return Case(("calibrate", "d.h5", "--model", "pulse_table", "-o", "c.yaml"), note)
        return Case(("check", str(TRAINING), "--calibration", "d.h5"), note)
    rows = "\n".join(f"{i},{1e-6 + 1e-7 * i:.6g}" for i in range(1, 40))
    text = damaged_text(random, f"pulse,conductance_s\n{rows}\n")
    raw, name = text.encode("utf-8", "surrogatepass"), "t.csv"
    if random.random() < 0.2:
        raw, name = damaged_bytes(random, gzip.compress(raw))[0], "t.csv.gz"
    (folder / name).write_bytes(raw)
    given = [f"--set={one}" for one in ("amplitude_v=2 V", "width_s=50 ms", "source=x", "unit=S")]
    if random.random() < 0.3:
        odd = ("amplitude_v=nan", "width_s=-1", "read_v=1e999", "x=y", "title=[/]", "doi=<script>")
        given.append(f"--set={random.choice(odd)}")
    return Case(("import", name, "-o", "d.h5", *given), name)


def network(random: Random, sources: Path, folder: Path) -> Case:
    """The damaged weights of a network are mapped on an array, or damaged targets programmed."""
    name = random.choice(
        ("network.npz", "network.npy", "network.h5", "network.csv", "images-idx3-ubyte.gz")
    )
    source, path = sources / name, folder / name
    note = "text"
    if name.endswith(".h5"):
        note = damage_hdf5(random, source, path)
    elif name.endswith(".csv"):
        path.write_text(damaged_text(random, source.read_text()), encoding="utf-8")
    elif name.endswith(".npz") and random.random() < 0.4:
        note = "members"
        _damage_members(random, source, path)
    else:
        raw, note = damaged_bytes(random, source.read_bytes())
        path.write_bytes(raw)
    (folder / "p.yaml").write_text(network_procedure(name), encoding="utf-8")
    return Case((random.choice(("check", "run")), "p.yaml"), f"{name}: {note}")


def network_procedure(name: str) -> str:
    """Return a procedure that takes the weights of a file, or a table of one as its targets."""
    step = _WEIGHTS if name.endswith((".npz", ".h5")) else _TARGETS
    return _NETWORK + step.strip("\n").replace("NAME", name) + "\n"


def life(random: Random, _sources: Path, folder: Path) -> Case:
    """A damaged ledger is shown, or counts in a check of a run on its array."""
    note = damage_life(random, folder)
    file = str(life_path(Path(), NAME, "virtual"))
    station = str(ROOT / "stations" / "virtual_4x4.yaml")
    check = ("check", str(TRAINING), "--station", station, "--set", f"array.name={NAME}")
    shown = random.choice((file, file, "."))
    arguments = random.choice((("show", shown, "--ledger"), (*check, "--out", ".")))
    return Case(arguments, note)


def _damage_members(random: Random, source: Path, path: Path) -> None:
    packing = random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(source) as members, zipfile.ZipFile(path, "w", packing) as damaged:
        for name in members.namelist():
            raw = members.read(name)
            if random.random() < 0.5:
                raw = damaged_bytes(random, raw)[0]
            plain = name.removesuffix(".npy")
            shown = random.choice(
                (name, name, plain, f"../{name}", f"/etc/{name}", name.upper(), "w.npy")
            )
            if random.random() < 0.1:
                raw = random.choice((raw[:10], b"")) + bytes(2**28)  # packed, 256 KiB
            with warnings.catch_warnings(action="ignore"):  # of two members with one name
                damaged.writestr(shown, raw)


KINDS: dict[str, tuple[Callable[[Random, Path, Path], Case], float]] = {
    "procedure": (procedure, 2600),
    "override": (override, 600),
    "station": (station, 1500),
    "calibration": (calibration, 1000),
    "record": (record, 2400),
    "dataset": (dataset, 1500),
    "network": (network, 900),
    "ledger": (life, 500),
}
"""How a case of each kind is made, and its weight among all."""
