"""Arrays that do not fit into memory are refused before any is made."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from hwloop.errors import ConfigError
from hwloop_sim.cells import memory
from tests.emulated import emulated


def test_the_memory_that_is_there_is_told() -> None:
    there = memory.available_bytes()
    assert there is None or 2**24 < there < 2**50


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="no /proc/meminfo here")
def test_on_linux_it_is_no_more_than_the_system_has() -> None:
    text = Path("/proc/meminfo").read_text(encoding="ascii")
    total = re.search(r"MemTotal:\s+(\d+)", text)
    there = memory.available_bytes()
    assert total is not None
    assert there is not None
    assert there <= int(total[1]) * 1024


@pytest.mark.parametrize("population", [None, 10**9])
def test_an_array_too_large_says_how_much_it_needs_and_what_is_there(
    population: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 64
    if population is None:
        size = 4096
        monkeypatch.setattr(memory, "available_bytes", lambda: 10**8)
    with pytest.raises(ConfigError) as refusal:
        emulated(size, size, population=population)
    message = str(refusal.value)
    assert message.startswith("array: ")
    assert f"{size} × {size} cells" in message
    assert re.search(r"needs about [\d.e+]+ GB of memory for it, [\d.]+ GB are free", message)


def test_effects_count_into_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    flicker = {"effect": "flicker_noise", "fraction": 0.1, "low_hz": 1e-6, "high_hz": 1e6}
    monkeypatch.setattr(memory, "available_bytes", lambda: 100 * 100 * 8 * 20)
    emulated(100, 100)
    with pytest.raises(ConfigError, match="needs about"):
        emulated(100, 100, effects=[flicker])


@pytest.mark.skipif(sys.platform != "linux", reason="limits of containers are Linux's")
def test_the_limit_of_a_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text("3000000\n")
    (tmp_path / "memory.current").write_text("1000000\n")
    assert memory.available_bytes() == 2_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.available_bytes() != 2_000_000
