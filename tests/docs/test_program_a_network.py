"""The page on programming one's own network: its procedure gives what the page shows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import load_procedure
from hwloop.record.reader import Record

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
    procedure = next(body for kind, body in blocks if kind == "yaml")
    shown = next(body for kind, body in blocks if not kind and body.startswith("map_network:"))
    _files(tmp_path)
    file = tmp_path / "own_network.yaml"
    file.write_text(procedure, encoding="utf-8")
    result = run_procedure(load_procedure(file), RunOptions("sim", tmp_path / "run.h5"))
    assert all(outcome.reached for outcome in result.outcomes.values())
    said = [result.outcome_text(label) for label in result.outcomes]
    assert said == shown.splitlines()


@pytest.mark.torch
def test_a_state_dict_of_pytorch_comes_to_its_accuracy_on_tiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Right value: what the model itself answers, in PyTorch."""
    import torch

    text = PAGE.read_text(encoding="utf-8")
    (model,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    procedure = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)[-1]
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(model, "own_model.py", "exec"), names)  # noqa: S102 - the page is ours
    printed = capsys.readouterr().out.split()
    for name in re.findall(r"(?:weight|bias): (\d\.\w+)", procedure):
        assert name in printed
    Path("own_cnn.yaml").write_text(procedure, encoding="utf-8")
    run_procedure(load_procedure(Path("own_cnn.yaml")), RunOptions("sim", Path("run.h5")))
    with Record(Path("run.h5")) as record:
        found = record.results("infer")
    with np.load("images.npz") as images, torch.no_grad():
        answers = names["model"].eval()(torch.from_numpy(images["x"])).argmax(1).numpy()
        of_model = float(np.mean(answers == images["y"]))
    assert found["software_accuracy"][0] == pytest.approx(of_model, abs=1e-9)
    assert found["software_accuracy"][0] > 0.85
    assert found["accuracy"][0] == pytest.approx(of_model, abs=0.05)
