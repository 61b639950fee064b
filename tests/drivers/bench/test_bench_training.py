"""The main job through real drivers and VISA, against the virtual bench and the emulator."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from hwloop.errors import ConfigError, NotConverged
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import load_procedure
from hwloop.record.reader import Record
from hwloop_drivers.bench import open as opening
from hwloop_drivers.virtual_bench import find
from tests.drivers.running_bench import NoWatchdog, run_hosted, running_bench

ROOT = Path(__file__).parents[3]
PROCEDURE = ROOT / "procedures" / "manhattan_4x4.yaml"
BIDIRECTIONAL = ROOT / "procedures" / "manhattan_4x4_bidirectional.yaml"
STATION = ROOT / "stations" / "virtual_4x4.yaml"
STATIONS = sorted((ROOT / "stations").glob("virtual_*.yaml"))
RESOLUTION_A = 10e-12  # Keithley 2400, 1 µA range; those of the 2450 and the 2602B are finer
READ_V = 0.05


def _station(folder: Path, interface: str = "as it is", template: Path = STATION) -> Path:
    path = folder / "station.yaml"
    text = template.read_text(encoding="utf-8")
    if interface != "as it is":
        text = text.replace("virtual:socket", f"virtual:{interface}")
    path.write_text(text.replace("../procedures", (ROOT / "procedures").as_posix()), "utf-8")
    return path


def _run(
    station: Path,
    out: Path,
    *,
    backend: str,
    updates: int = 50,
    seed: int = 22,
    more: Sequence[str] = (),
    hosted: bool = False,
) -> Record:
    """Run the training; ``hosted``: on a bench in this process, else on one that the run starts.

    One that is hosted ends with its test, and is not watched.
    """
    overrides = [
        f"backends.bench.station={station.as_posix()}",
        f"steps.0.settings.max_updates={updates}",
        *more,
    ]
    procedure = load_procedure(PROCEDURE, overrides)
    path = out / f"{backend}.h5"
    watch = patch.object(opening, "Watchdog", NoWatchdog) if hosted else nullcontext()
    with watch, running_bench(station, procedure) if hosted else nullcontext():
        result = run_procedure(procedure, RunOptions(backend, path, seed=seed))
    try:
        result.raise_unless_reached()
    except NotConverged:
        assert updates < 23
    return Record(path)


# That the others converge alike takes minutes; test_stations_agree.py has their first five updates.
CASES = [
    pytest.param(path, "as it is", 50, marks=[pytest.mark.slow] if path != STATION else [])
    for path in STATIONS
] + [(path, "hislip", 2) for path in STATIONS if "serial" not in path.stem]


@pytest.mark.parametrize(
    ("template", "interface", "updates"), CASES, ids=lambda value: getattr(value, "stem", value)
)
def test_training_over_instruments_is_the_emulators_up_to_their_resolution(
    tmp_path: Path, template: Path, interface: str, updates: int
) -> None:
    station = _station(tmp_path, interface, template)
    hosted = (template, interface) != (STATION, "as it is")  # which starts a bench of its own
    with (
        _run(station, tmp_path, backend="bench", updates=updates, hosted=hosted) as bench,
        _run(station, tmp_path, backend="sim", updates=updates) as sim,
    ):
        seen = bench.results("train_manhattan", "")
        wanted = sim.results("train_manhattan", "")
        for name in ("epoch", "pulses", "update", "converged"):
            np.testing.assert_array_equal(seen[name], wanted[name])
        if updates >= 23:
            assert (seen["epoch"][-1], seen["pulses"][-1]) == (23, 176)
        conductance_s = wanted["conductance_s"]
        np.testing.assert_allclose(
            seen["conductance_s"], conductance_s, rtol=0, atol=RESOLUTION_A / READ_V
        )


@pytest.mark.parametrize("model", ["linear_ion_drift", "vteam"])
def test_virtual_bench_changes_cells_of_any_voltage_as_the_emulator_does(
    tmp_path: Path, model: str
) -> None:
    # Half of a pulse is below half_select_v here, and so are all of its pulses.
    pulse = "{amplitude_v: 1 V, width_s: 1 ms}"
    more = [
        f"backends.sim.device={{model: {model}}}",
        f"steps.0.settings.pulse={pulse}",
        "array.limits.current_a=0.1",
        "array.limits.pulse_energy_j=1",
    ]
    station = _station(tmp_path, template=ROOT / "stations" / "virtual_2602b_707b.yaml")
    with (
        _run(station, tmp_path, backend="bench", updates=3, more=more, hosted=True) as bench,
        _run(station, tmp_path, backend="sim", updates=3, more=more) as sim,
    ):
        wanted = sim.results("train_manhattan", "")["conductance_s"]
        seen = bench.results("train_manhattan", "")["conductance_s"]
    assert np.abs(wanted[-1] / wanted[0] - 1).max() > 1e-3
    np.testing.assert_allclose(seen, wanted, rtol=1e-5)


def test_run_says_of_pulses_that_the_virtual_array_does_not_know(tmp_path: Path) -> None:
    more = ["steps.0.settings.pulse.amplitude_v=1.5 V"]
    station = _station(tmp_path)
    with _run(station, tmp_path, backend="bench", updates=1, more=more) as bench:
        warned = [line for line in bench.log if "virtual bench: " in str(line)]
    assert len(warned) == 1
    assert "do not cover" in str(warned[0])
    assert "1.5 V" in str(warned[0])


def test_run_on_a_virtual_bench_that_stands_says_whose_array_it_has(tmp_path: Path) -> None:
    station = _station(tmp_path)
    with (
        running_bench(station, load_procedure(PROCEDURE)),
        _run(station, tmp_path, backend="bench", updates=1, seed=7) as bench,
    ):
        warnings = [text for _, level, text in bench.log if level == "warning"]
    (warned,) = [text for text in warnings if "one that was running is used" in text]
    assert "seed 22, 0 pulses so far" in warned


def test_second_virtual_bench_of_a_station_is_refused(tmp_path: Path) -> None:
    station = _station(tmp_path)
    with running_bench(station, load_procedure(PROCEDURE)):
        second = subprocess.run(
            [sys.executable, "-m", "hwloop.cli", "virtual", str(station)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        link = find(station)
        assert link is not None
        link.close()
    assert second.returncode == 2
    assert "runs already" in second.stderr


def test_check_of_a_station_touches_no_instrument_and_refuses_what_it_cannot_time() -> None:
    command = [sys.executable, "-m", "hwloop.cli", "check", str(PROCEDURE)]
    good = subprocess.run(
        [*command, "--station", str(STATION)], capture_output=True, text=True, check=False
    )
    assert good.returncode == 0, good.stderr
    assert "backend bench" in good.stdout
    wrong = subprocess.run(
        [
            *command,
            "--station",
            str(STATION),
            "--set",
            "steps.0.settings.pulse.width_s=100 ns",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert wrong.returncode == 4
    assert "1e-07 s is outside 0.001" in wrong.stderr


def test_bench_refuses_a_scheme_that_its_station_is_not_wired_for(tmp_path: Path) -> None:
    station = tmp_path / "s.yaml"
    text = STATION.read_text(encoding="utf-8").replace("scheme: V/2", "scheme: grounded")
    station.write_text(text, "utf-8")
    procedure = load_procedure(PROCEDURE, [f"backends.bench.station={station.as_posix()}"])
    with pytest.raises(ConfigError, match="is wired for grounded"):
        run_procedure(procedure, RunOptions("bench", tmp_path / "r.h5"))
    assert not (tmp_path / "r.h5").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_every_output_is_off_and_every_line_grounded_after_a_signal(
    tmp_path: Path, number: signal.Signals
) -> None:
    station = _station(tmp_path)
    record = tmp_path / "r.h5"
    hwloop = [sys.executable, "-m", "hwloop.cli"]
    with subprocess.Popen(
        [*hwloop, "virtual", str(station), "--json"], stdout=subprocess.PIPE, text=True
    ) as bench:
        try:
            assert bench.stdout is not None
            json.loads(bench.stdout.readline())
            run = subprocess.Popen(
                [
                    *(*hwloop, "run", str(PROCEDURE), "--backend", "bench"),
                    *("--station", str(station), "--out", str(record)),
                ],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            link = find(station)
            assert link is not None
            _wait_until(lambda: record.exists() and all(link.ask("status")["outputs_on"].values()))
            os.kill(run.pid, number)
            run.wait(timeout=60)
            _wait_until(lambda: not any(link.ask("status")["outputs_on"].values()))
            _wait_until(lambda: _only_grounded(link.ask("status")["closed"]))
            status = link.ask("status")
            link.close()
        finally:
            bench.terminate()
    assert set(status["outputs_v"].values()) == {None}
    assert set(status["lines_v"].values()) == {0.0}
    assert status["unmodelled"] == []
    with Record(record) as kept:
        assert kept.status == ("interrupted" if number == signal.SIGKILL else "stopped")


def _only_grounded(closed: list[str]) -> bool:
    return sorted(closed) == [f"matrix:1!3!{n}" for n in range(1, 9)]


def _wait_until(holds: object, *, at_most_s: float = 60) -> None:
    end_s = time.monotonic() + at_most_s
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < end_s, "did not come about"
        time.sleep(0.05)


@pytest.mark.usefixtures("no_watchdog")
def test_cells_that_any_voltage_moves_are_trained_over_instruments_far_below_their_limits(
    tmp_path: Path,
) -> None:
    """SBT cells at 0.5 V, where the array lets half-selected cells see 1.1 V."""
    device = "{model: sbt, initial: {distribution: uniform, min_conductance_s: 65 uS, max_conductance_s: 90 uS}}"
    pulse = "{amplitude_v: 0.5 V, width_s: 1 ms}"
    station = _station(tmp_path)
    overrides = [
        f"backends.bench.station={station.as_posix()}",
        f"backends.sim.device={device}",
        f"steps.0.settings.pulse={pulse}",
        "steps.0.settings.beta_per_a=2e5",
        "steps.0.settings.max_updates=3",
    ]
    procedure = load_procedure(PROCEDURE, overrides)
    ends_conductance_s = []
    for backend in ("sim", "bench"):
        path = tmp_path / f"{backend}.h5"
        run_hosted(procedure, station, backend, path)
        with Record(path) as record:
            trained_conductance_s = record.results("train_manhattan", "")["conductance_s"]
        assert (trained_conductance_s[-1] > 1.04 * trained_conductance_s[0]).any()
        ends_conductance_s.append(trained_conductance_s[-1])
    np.testing.assert_allclose(ends_conductance_s[1], ends_conductance_s[0], rtol=1e-4)


@pytest.mark.usefixtures("no_watchdog")
@pytest.mark.parametrize(
    ("changes", "seed", "epochs"),
    [
        (["max_updates=4", "target_0=-0.999", "target_1=0.999"], 22, 4),
        ([], 1, 5),  # the targets as shipped
        (["stop=classified"], 2, 4),
    ],
    ids=["updates used up", "targets met", "patterns classified"],
)
def test_training_with_pulses_of_both_polarities_is_the_emulators(
    tmp_path: Path, changes: list[str], seed: int, epochs: int
) -> None:
    # A cell without scatter: the bench pulses cell by cell, so it draws in another order.
    device = (
        "{model: soft_bounds, min_conductance_s: 100 nS, max_conductance_s: 800 nS, up_pulses: 40, down_pulses: 20,"
        " up: {amplitude_v: 2 V, width_s: 50 ms}, down: {amplitude_v: -2.8 V, width_s: 50 ms},"
        " initial: {distribution: uniform, min_conductance_s: 460 nS, max_conductance_s: 660 nS}}"
    )
    station = _station(tmp_path)
    runs = {}
    for backend in ("bench", "sim"):
        overrides = [
            f"backends.bench.station={station.as_posix()}",
            f"backends.sim.device={device}",
            *(f"steps.0.settings.{change}" for change in changes),
        ]
        procedure = load_procedure(BIDIRECTIONAL, [*overrides, f"seed={seed}"])
        run_hosted(procedure, station, backend, tmp_path / f"{backend}.h5")
        with Record(tmp_path / f"{backend}.h5") as record:
            runs[backend] = record.results("train_manhattan")
    seen, wanted = runs["bench"], runs["sim"]
    assert wanted["pulses"][-1] > 0
    for name in ("epoch", "pulses", "update", "converged"):
        np.testing.assert_array_equal(seen[name], wanted[name])
    assert (len(wanted["epoch"]), wanted["converged"][-1]) == (epochs, seed != 22)
    np.testing.assert_allclose(
        seen["conductance_s"], wanted["conductance_s"], rtol=0, atol=RESOLUTION_A / READ_V
    )


CELLS = {  # least and largest shift, a tenth of the conductance; a step of the range at 50 mV
    "10 kohm": ("9 uS", "11 uS", 1e-10),
    "1 Mohm": ("90 nS", "110 nS", 1e-11),
    "100 nA": ("180 nS", "220 nS", 1e-11),
}


@pytest.mark.parametrize(("least", "most", "step_a"), CELLS.values(), ids=CELLS)
def test_five_updates_of_cells_of_other_ranges_are_the_emulators_on_2400s(
    tmp_path: Path, least: str, most: str, step_a: float
) -> None:
    # A read at 0.05 V leaves a 2400 in a range that would clamp the pulses of 2 V after it.
    shift = "backends.sim.device.shift"
    more = [f"{shift}.min_conductance_s={least}", f"{shift}.max_conductance_s={most}"]
    station = _station(tmp_path)
    with (
        _run(station, tmp_path, backend="bench", updates=5, more=more, hosted=True) as bench,
        _run(station, tmp_path, backend="sim", updates=5, more=more) as sim,
    ):
        seen, wanted = (record.results("train_manhattan", "") for record in (bench, sim))
        np.testing.assert_array_equal(seen["pulses"], wanted["pulses"])
        assert seen["pulses"][-1] > 0
        moved = np.abs(wanted["conductance_s"][-1] - wanted["conductance_s"][0]).max()
        assert moved > 100 * step_a / READ_V
        np.testing.assert_allclose(
            seen["conductance_s"], wanted["conductance_s"], rtol=0, atol=step_a / READ_V
        )
