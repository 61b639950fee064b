"""Rhythm on a bench: the cell sees the interval that an instrument makes, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwloop.array.operations import PulseMap, PulsePair, Wait
from hwloop.errors import Unsupported
from hwloop_drivers.bench.open import BenchSettings, dry_run_bench, open_bench
from tests.drivers.bench.test_backend import _open, _procedure, _request, _seen, _station
from tests.drivers.running_bench import ROOT, running_bench

pytestmark = pytest.mark.usefixtures("no_watchdog")


def _at(level_v: float) -> np.ndarray:
    map_v = np.zeros((4, 4))
    map_v[1, 2] = level_v
    return map_v


def _pair(first_v: float, second_v: float, **more: float) -> PulsePair:
    times_s = {"first_width_s": 2e-3, "second_width_s": 2e-3, "interval_s": 10e-3} | more
    return PulsePair(_at(first_v), _at(second_v), **times_s)


def _levels_of_cell(virtual: object) -> list[tuple[float, float]]:
    """When the pulsed cell's voltage changed, on the bench's clock, and to what."""
    changes = virtual.circuit.changes  # type: ignore[attr-defined]
    seen = [float(v[1, 2]) for v in _seen(virtual)]  # type: ignore[arg-type]
    path = [(change.time_s, v) for change, v in zip(changes, seen, strict=True)]
    return [one for n, one in enumerate(path) if n == 0 or one[1] != path[n - 1][1]]


def test_a_cell_sees_a_pair_with_its_interval_made_by_the_source_on_its_row(
    tmp_path: Path,
) -> None:
    station = _station(tmp_path, "grounded")
    with _open(station, _procedure("grounded")) as (bench, virtual):
        bench.pair(_pair(1.2, -0.8))
        path = [(t, v) for t, v in _levels_of_cell(virtual) if t > 0]
    (on_s, up_v), (off_s, rest_v), (again_s, down_v), (end_s, end_v) = path[-4:]
    assert (up_v, rest_v, down_v, end_v) == pytest.approx((1.2, 0.0, -0.8, 0.0))
    # A 2400 makes levels up to a quarter longer than asked: LATENCY_S of its list sweep, a level.
    assert off_s - on_s == pytest.approx(2e-3, rel=0.25)
    assert again_s - off_s == pytest.approx(10e-3, rel=0.25)
    assert end_s - again_s == pytest.approx(2e-3, rel=0.25)


@pytest.mark.parametrize("interval_s", [6e-3, 40e-3])
def test_a_cell_sees_the_interval_of_a_train(tmp_path: Path, interval_s: float) -> None:
    station = _station(tmp_path, "grounded")
    with _open(station, _procedure("grounded")) as (bench, virtual):
        bench.pulse(PulseMap(_at(1.0), 2e-3, count=3, interval_s=interval_s))
        path = _levels_of_cell(virtual)
    rises_s = [t for t, v in path if v > 0.5]
    assert len(rises_s) == 3
    assert np.diff(rises_s) == pytest.approx(2e-3 + interval_s, rel=0.25)


def test_a_pair_whose_scheme_holds_a_share_of_each_pulse_is_refused_in_one_line(
    tmp_path: Path,
) -> None:
    station = _station(tmp_path, "V/2")
    procedure = _procedure("V/2")
    bench = dry_run_bench(BenchSettings(station=station), _request(procedure))
    with pytest.raises(Unsupported, match=r"a pair of 1\.2 V and -0\.8 V: the scheme V/2 holds"):
        bench.check(_pair(1.2, -0.8))
    bench.check(_pair(1.2, 1.2))  # the same share of both: the held lines need not move


def test_a_pair_on_a_generator_is_refused_before_hardware() -> None:
    station = ROOT / "stations" / "virtual_2450_33500b_3706a.yaml"
    procedure = _procedure("V/2")
    bench = dry_run_bench(BenchSettings(station=station), _request(procedure))
    with pytest.raises(Unsupported, match="makes pulses of one kind; wire a source meter"):
        bench.check(_pair(1.2, 1.2))
    bench.check(PulseMap(_at(1.2), 2e-3, count=2, interval_s=1.0))
    with pytest.raises(Unsupported, match=r"an interval of 1e-09 s after pulses of 0\.002 s is"):
        bench.check(PulseMap(_at(1.2), 2e-3, count=2, interval_s=1e-9))


def test_an_interval_that_a_source_meter_cannot_make_is_refused_when_asked(tmp_path: Path) -> None:
    station = _station(tmp_path, "grounded")
    bench = dry_run_bench(BenchSettings(station=station), _request(_procedure("grounded")))
    for operation in (
        PulseMap(_at(1.0), 2e-3, count=2, interval_s=1e-4),
        _pair(1.0, -1.0, interval_s=1e-4),
    ):
        with pytest.raises(Unsupported, match=r"an interval of 0\.0001 s is outside 0\.001 to"):
            bench.check(operation)


def test_an_interval_in_which_the_cable_does_not_discharge_is_refused(tmp_path: Path) -> None:
    station = _station(tmp_path, "grounded")
    text = station.read_text(encoding="utf-8").replace("wiring:\n", "wiring:\n  cable_f: 1 uF\n")
    station.write_text(text, encoding="utf-8")
    bench = dry_run_bench(BenchSettings(station=station), _request(_procedure("grounded")))
    # C V / I: 1 µF by 1 V at the compliance of 3 mA.
    with pytest.raises(Unsupported, match=r"interval_s 100 .s is below the 333\.\d* .s in which"):
        bench.check(PulseMap(_at(1.0), 100e-3, count=2, interval_s=1e-4))


def test_a_cell_that_forgets_behind_the_bench_keeps_more_of_a_train_with_short_intervals(
    tmp_path: Path,
) -> None:
    station = _station(tmp_path, "grounded")
    pulse = "{amplitude_v: 1 V, width_s: 2 ms}"
    device = (
        "{model: soft_bounds, min_conductance_s: 1 nS, max_conductance_s: 100 uS, initial: 50 uS,"
        f" up_pulses: 1000, up: {pulse}, down: {pulse.replace('1 V', '-1 V')}}}"
    )
    effects = "[{effect: short_term, tau_s: 50 ms}]"
    sim = {"backends.sim": f"{{device: {device}, effects: {effects}}}"}
    procedure = _procedure("grounded", **sim)
    left = []
    with (
        running_bench(station, procedure) as virtual,
        open_bench(BenchSettings(station=station), _request(procedure)) as bench,
    ):
        for interval_s in (6e-3, 100e-3):
            before_s = float(virtual.device.conductance_s[1, 2])
            bench.pulse(PulseMap(_at(1.0), 2e-3, count=2, interval_s=interval_s))
            left.append(float(virtual.device.conductance_s[1, 2]) - before_s)
            bench.wait(Wait(10.0))
    # 1 + exp(-(Δ + w)/τ) of a step, a little less after the time of the bench until it is looked at.
    facilitated = (1 + np.exp(-8 / 50)) / (1 + np.exp(-102 / 50))
    assert left[0] / left[1] == pytest.approx(facilitated, rel=0.05)
