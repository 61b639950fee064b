"""Points that run in one process, as those of a worker do, share what they read."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from hwloop.sweep.runner import SweepOptions, prepare, run_tasks

PROCEDURE = """
name: shared
about: A layer of two outputs.
seed: 1
array:
  rows: 4
  cols: 4
  limits: {positive_v: 1, negative_v: -1, read_v: 0.2, half_select_v: 0.5, current_a: 1,
    pulse_width_s: 1, pulse_energy_j: 1, pulses_per_device: 5}
  read: {read_v: 0.1}
backends: {sim: {device: {model: vteam}}}
steps:
  - step: map_network
    settings:
      weights: {file: weights.npz}
      layers: [{kind: dense, weight: w}]
      mapping: {min_conductance_s: 1 mS, max_conductance_s: 20 mS}
  - step: hold_conductances
  - step: infer
    settings:
      data: {inputs: {file: images.npz, key: x}, classes: {file: images.npz, key: y}}
"""


@contextmanager
def opened(folder: Path) -> Iterator[Counter[str]]:
    """Count how often this process opens each file of a folder, by an audit hook."""
    found: Counter[str] = Counter()
    counts = True

    def hook(event: str, args: tuple[object, ...]) -> None:
        if counts and event == "open" and Path(str(args[0])).parent == folder:
            found[Path(str(args[0])).name] += 1

    sys.addaudithook(hook)  # for good: no hook can be taken away
    try:
        yield found
    finally:
        counts = False


def test_points_of_one_process_read_each_data_file_as_often_as_a_single_point(
    tmp_path: Path,
) -> None:
    (tmp_path / "shared.yaml").write_text(PROCEDURE, encoding="utf-8")
    rng = np.random.default_rng(1)
    np.savez(tmp_path / "weights.npz", w=rng.normal(size=(2, 4)))
    np.savez(tmp_path / "images.npz", x=rng.uniform(size=(6, 4)), y=rng.integers(0, 2, 6))
    options = SweepOptions(tmp_path / "shared.yaml", tmp_path / "out", "sim", workers=1)
    with opened(tmp_path) as found:
        running = run_tasks(prepare(options, ["seed=1:4"]).tasks, options)
        first = next(running)
        of_one = {name: found[name] for name in ("weights.npz", "images.npz")}
        rest = list(running)
    assert [one.status for one in (first, *rest)] == ["completed"] * 3, first.error
    assert min(of_one.values()) >= 1
    assert {name: found[name] for name in of_one} == of_one
