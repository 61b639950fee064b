"""Boxes that an earlier client left with prompts, other ends of lines, or in another mode."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from hwloop.array.operations import PulseMap, ReadMap
from hwloop.backend.kind import OpenRequest
from hwloop.errors import BackendError, InstrumentTimeout
from hwloop.procedure.procedure import load_procedure
from hwloop.station.station import load_station
from hwloop_drivers.bench.open import BenchSettings, open_bench
from hwloop_drivers.safety.by_hand import make_safe_by_hand
from hwloop_drivers.virtual_bench import find
from hwloop_sim.virtual.bench.bench import VirtualBench
from tests.drivers.running_bench import PROCEDURE, ROOT, copy_station, running_bench

ALL = np.ones((4, 4), dtype=np.bool_)
TSP_LEFT = {
    "prompts": ["localnode.prompts = 1"],
    "prompts and an error": ["localnode.prompts = 1", "no_such_name.at_all = 1"],
    "prompts in a script half sent": ["localnode.prompts = 1", "loadscript left", "x = 1"],
    "errors shown": ["localnode.showerrors = 1", "no_such_name.at_all = 1"],
}
NAMES = {"virtual_2602b_707b": "smu", "virtual_4x4": "rows", "virtual_2450_33500b_3706a": "smu"}


@contextmanager
def _left(folder: Path, station: str, **virtual: object) -> Iterator[tuple[Path, VirtualBench]]:
    """A running bench of a station whose boxes were left so."""
    lines = "\n".join(f"  {key}: {value!r}" for key, value in virtual.items())
    path = copy_station(
        ROOT / "stations" / f"{station}.yaml", folder, **{"\nvirtual:\n": f"\nvirtual:\n{lines}\n"}
    )
    with running_bench(path, load_procedure(PROCEDURE)) as bench:
        yield path, bench


def _runs(path: Path) -> None:
    """A read, a pulse and a read go as ever."""
    procedure = load_procedure(PROCEDURE)
    request = OpenRequest(procedure.array, None, np.random.default_rng(0))
    with open_bench(BenchSettings.parse({"station": str(path)}), request) as bench:
        before = bench.perform(ReadMap(ALL, 0.1))
        bench.perform(PulseMap(np.where(ALL, 1.0, 0.0), 1e-2))
        after = bench.perform(ReadMap(ALL, 0.1))
    assert before is not None
    assert after is not None
    assert np.isfinite(before.current_a).all()
    assert (after.current_a > 0).all()


def _safe(path: Path) -> list[str]:
    link = find(path)
    assert link is not None
    try:
        return make_safe_by_hand(load_station(path), link.addresses, note=lambda _: None)
    finally:
        link.close()


@pytest.mark.parametrize("do", [_runs, _safe], ids=["run", "safe"])
@pytest.mark.parametrize("left", TSP_LEFT.values(), ids=TSP_LEFT)
def test_2600b_left_with_prompts_runs_and_is_made_safe(
    tmp_path: Path, left: list[str], do: Callable[[Path], object]
) -> None:
    """web help of the 2600B, localnode.prompts: a reset leaves them on."""
    with _left(tmp_path, "virtual_2602b_707b", earlier_messages={"smu": left}) as (path, bench):
        do(path)
        assert not any(bench.status()["outputs_on"].values())


@pytest.mark.parametrize("instrument", ["smu", "matrix"])
def test_every_tsp_box_may_have_prompts_on(tmp_path: Path, instrument: str) -> None:
    left = {instrument: TSP_LEFT["prompts"]}
    with _left(tmp_path, "virtual_2602b_707b", earlier_messages=left) as (path, _):
        _runs(path)


@pytest.mark.parametrize("ends", ["CR LF", "LF CR"])
@pytest.mark.parametrize("do", [_runs, _safe], ids=["run", "safe"])
@pytest.mark.parametrize("station", ["virtual_4x4", "virtual_2602b_707b"])
def test_lines_that_end_with_both_are_understood(
    tmp_path: Path, station: str, do: Callable[[Path], object], ends: str
) -> None:
    """2400 user's manual, 13-19; the 7001 too: any combination of CR and LF."""
    names = load_station(ROOT / "stations" / f"{station}.yaml").instruments
    with _left(tmp_path, station, line_ends=dict.fromkeys(names, ends)) as (path, bench):
        do(path)
        assert not any(bench.status()["outputs_on"].values())


@pytest.mark.parametrize("interface", ["socket", "serial"])
def test_line_that_ends_with_cr_names_the_terminator(tmp_path: Path, interface: str) -> None:
    with _left(tmp_path, "virtual_4x4", line_ends={"matrix": "CR"}) as (path, bench):
        text = path.read_text("utf-8")
        path.write_text(text, "utf-8")
        with pytest.raises(InstrumentTimeout, match=r"no answer to '\*IDN\?' within 5 s") as caught:
            _runs(path)
        assert r"set the instrument's terminator to LF, or read_termination to '\r'" in str(
            caught.value
        )
        assert "matrix at " in str(caught.value)
        with pytest.raises(BackendError, match=r"NOT EVERYTHING IS SAFE: matrix .*terminator"):
            _safe(path)
        assert not any(bench.status()["outputs_on"].values())
