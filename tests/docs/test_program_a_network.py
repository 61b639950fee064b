"""The page on programming one's own network: its procedure gives what the page shows."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from hwloop.procedure.procedure import load_procedure
from hwloop.run.runner import RunOptions, run_procedure

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "program-a-network.md"


def _files(folder: Path) -> None:
    """A softmax regression of three noisy classes, by plain descent."""
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(3, 7))
    y = rng.integers(0, 3, 300)
    x = centres[y] + 0.6 * rng.normal(size=(300, 7))
    w, b = np.zeros((3, 7)), np.zeros(3)
    for _ in range(300):
        p = np.exp(x @ w.T + b)
        d = (p / p.sum(1, keepdims=True) - np.eye(3)[y]) / len(y)
        w -= d.T @ x
        b -= d.sum(0)
    np.savez(folder / "weights.npz", w=w, b=b)
    np.savez(folder / "samples.npz", x=x, y=y)


def test_own_weights_are_programmed_and_answer_as_the_page_shows(tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"```(\w*)\n(.*?)```", text, flags=re.DOTALL)
    (procedure,) = (body for kind, body in blocks if kind == "yaml")
    shown = next(body for kind, body in blocks if not kind and body.startswith("map_network:"))
    _files(tmp_path)
    file = tmp_path / "own_network.yaml"
    file.write_text(procedure, encoding="utf-8")
    result = run_procedure(load_procedure(file), RunOptions("sim", tmp_path / "run.h5"))
    assert all(outcome.reached for outcome in result.outcomes.values())
    said = [result.outcome_text(label) for label in result.outcomes]
    assert said == shown.splitlines()
