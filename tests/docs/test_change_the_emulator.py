"""What the how-to of the emulator shows can be done as it is shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from hwloop import plugins
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import load_procedure
from hwloop.record.reader import Record

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "change-the-emulator.md").read_text("utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = re.findall(r"^hwloop (run|check|list|show)(.*)$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("block", BLOCKS, ids=[block.split(":")[0] for block in BLOCKS])
def test_a_block_of_the_page_runs_in_the_procedure_that_it_is_meant_for(
    block: str, tmp_path: Path
) -> None:
    procedure = load_procedure(
        ROOT / "procedures" / "manhattan_4x4.yaml",
        [
            f"backends.sim.{key}={yaml.safe_dump(value, default_flow_style=True)}"
            for key, value in yaml.safe_load(block).items()
        ],
    )
    run_procedure(procedure, RunOptions("sim", tmp_path / "run.h5", population=3))
    with Record(tmp_path / "run.h5") as record:
        assert record.status == "completed"
        assert set(yaml.safe_load(block)) <= set(record.identity)


def test_the_files_that_its_commands_name_are_there() -> None:
    named = [word for _, rest in COMMANDS for word in rest.split() if word.startswith("procedures")]
    assert len(named) >= 2
    assert all((ROOT / name).is_file() for name in named)


def test_the_effect_for_everything_seen_on_the_bench_is_named() -> None:
    assert set(re.findall(r"\| `(\w+)` \|$", PAGE, re.MULTILINE)) == set(
        plugins.names(plugins.EFFECTS)
    )
