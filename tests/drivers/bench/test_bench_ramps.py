"""Ramps on the virtual bench: inside the instrument or step by step, as on the emulator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
import yaml

from hwloop import plugins
from hwloop.array.biasing import drive_fractions
from hwloop.array.operations import Flag, PulseMap, Ramp, Reading
from hwloop.backend.kind import OpenRequest
from hwloop.errors import InstrumentFault, Unsupported
from hwloop.plugins import BACKENDS
from hwloop.procedure.procedure import Procedure, load_procedure
from hwloop.testing import check_ramps
from hwloop_drivers.bench import cell_access
from hwloop_drivers.bench.backend import Bench
from hwloop_drivers.bench.open import BenchSettings, open_bench
from hwloop_drivers.bench.verify_loop import AHEAD, on_instrument_loop, refuse_broken_off
from hwloop_drivers.instruments.families.source_meter import LevelledSource
from hwloop_drivers.roles import Companion, Measured, VerifyLoop
from hwloop_drivers.station.drives import BenchDrives
from hwloop_sim.virtual.bench.bench import VirtualBench
from tests.drivers.running_bench import PROCEDURE, ROOT, running_bench

pytestmark = pytest.mark.usefixtures("no_watchdog")

PAIR = ROOT / "stations" / "virtual_2602b_707b.yaml"
GENERATOR = ROOT / "stations" / "virtual_2450_33500b_3706a.yaml"
STEPS = 24


def _single(folder: Path) -> Path:
    """One 2450 on the rows, that measures there too; the columns are on ground."""
    lines = {f"row{n}": {"smu": f"12{n + 1:02d}", "gnd": f"13{n + 1:02d}"} for n in range(4)}
    lines |= {f"col{n}": {"gnd": f"13{n + 5:02d}"} for n in range(4)}
    station = {
        "name": "single",
        "scheme": "floating",
        "instruments": {
            "smu": {
                "kind": "keithley_2450",
                "address": "virtual:socket",
                "settings": {"language": "tsp"},
            },
            "matrix": {
                "kind": "keithley_3706a",
                "address": "virtual:socket",
                "settings": {"cards": {1: "3730"}},
            },
        },
        "wiring": {"drive": {"rows": "smu"}, "lines": lines},
        "virtual": {"noise": False},
    }
    path = folder / "station.yaml"
    path.write_text(yaml.safe_dump(station, sort_keys=False), encoding="utf-8")
    return path


def _pair(folder: Path, template: Path = PAIR) -> Path:
    path = folder / "station.yaml"
    text = template.read_text(encoding="utf-8")
    path.write_text(text.replace("../procedures", PROCEDURE.parent.as_posix()), "utf-8")
    return path


def _procedure(scheme: str = "V/2", more: Sequence[str] = ()) -> Procedure:
    overrides = [
        "backends.sim.device={model: linear_ion_drift}",
        "array.limits.current_a=0.1",
        "array.limits.pulse_energy_j=1",
        f"array.limits.half_select_v={2.2 if scheme == 'floating' else 0.65}",
        f"array.biasing={scheme}",
        *more,
    ]
    return load_procedure(PROCEDURE, overrides)


def _request(procedure: Procedure) -> OpenRequest:
    rng = np.random.default_rng(procedure.seed).spawn(2)[0]
    return OpenRequest(procedure.array, None, rng, procedure=procedure.resolved)


@contextmanager
def _open(station: Path, procedure: Procedure) -> Iterator[tuple[Bench, VirtualBench]]:
    with (
        running_bench(station, procedure) as virtual,
        open_bench(BenchSettings(station=station), _request(procedure), watch_lines=False) as bench,
    ):
        yield bench, virtual


def _ramp(cells_a: Reading, both_polarities: bool = True, steps: int = STEPS) -> Ramp:
    """Four cells: one up into a window, one down to a bound, one never, one there at once."""
    start_v, step_v = np.zeros((4, 4)), np.zeros((4, 4))
    low_a, high_a = np.full((4, 4), -np.inf), np.full((4, 4), np.inf)
    begin_a = cells_a.current_a
    for place, (start, step, low, high) in {
        (0, 1): (0.8, 0.02, 1.14 * begin_a[0, 1], 1.3 * begin_a[0, 1]),
        (2, 2): (-0.8, -0.02, -np.inf, 0.972 * begin_a[2, 2]),
        (3, 0): (0.7, 0.01, 1.0, np.inf),
        (1, 3): (0.9, 0.0, -np.inf, np.inf),
    }.items():
        start_v[place], step_v[place], low_a[place], high_a[place] = start, step, low, high
    return Ramp(
        start_v=start_v,
        step_v=step_v,
        width_s=20e-3,
        steps=steps,
        read_v=0.05,
        low_a=low_a,
        high_a=high_a,
        both_polarities=both_polarities,
    )


def _first_read(bench: Bench, ramp_v: float = 0.05) -> Reading:
    from hwloop.array.operations import ReadMap

    return bench.read(ReadMap.every_cell((4, 4), read_v=ramp_v, both_polarities=True))


@pytest.mark.parametrize("both_polarities", [True, False])
@pytest.mark.parametrize("kind", ["2602B", "2450"])
def test_an_instruments_own_loop_does_what_single_pulses_do_in_a_tenth_of_the_round_trips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, both_polarities: bool
) -> None:
    one_cell = kind == "2450"
    station = _single(tmp_path) if one_cell else _pair(tmp_path)
    procedure = _procedure("floating" if one_cell else "V/2")
    answers, trips, states = [], [], []
    for own in (True, False):
        if not own:
            monkeypatch.setattr(cell_access, "on_instrument_loop", lambda *_, **__: None)
        with _open(station, procedure) as (bench, virtual):
            assert bench.description.verify_steps == AHEAD
            ramp = _ramp(_first_read(bench), both_polarities)
            before = bench.round_trips
            answers.append(bench.ramp(ramp))
            trips.append(bench.round_trips - before)
            states.append((virtual.device.conductance_s.copy(), virtual.circuit.pulses.copy()))
    own, hosts = answers
    np.testing.assert_array_equal(own.flags, hosts.flags)
    np.testing.assert_allclose(own.current_a, hosts.current_a, rtol=1e-6)
    np.testing.assert_allclose(states[0][0], states[1][0], rtol=1e-6)
    np.testing.assert_array_equal(states[0][1], states[1][1])
    applied = (own.flags == 0).sum(axis=0)
    assert applied[3, 0] == STEPS
    assert applied[1, 3] == 1
    assert 1 < applied[0, 1] < STEPS
    assert 1 < applied[2, 2] < STEPS
    assert trips[1] >= 10 * trips[0]


def test_a_ramp_on_the_bench_is_the_emulators_up_to_resolution(tmp_path: Path) -> None:
    procedure = _procedure()
    with _open(_pair(tmp_path), procedure) as (bench, _):
        ramp = _ramp(_first_read(bench))
        seen = bench.ramp(ramp)
    kind = plugins.load(BACKENDS, "sim")
    with kind.open(procedure.backend_settings(kind), _request(procedure)) as emulated:
        assert emulated.description.verify_steps == 1
        wanted = emulated.ramp(ramp)
    np.testing.assert_array_equal(seen.flags, wanted.flags)
    np.testing.assert_allclose(seen.current_a, wanted.current_a, rtol=1e-4)


def test_a_station_whose_pulses_another_box_makes_ramps_step_by_step(tmp_path: Path) -> None:
    with _open(_pair(tmp_path, GENERATOR), _procedure()) as (bench, virtual):
        assert bench.description.verify_steps == 1
        answer = bench.ramp(_ramp(_first_read(bench), steps=3))
        applied = (answer.flags != Flag.NOT_ADDRESSED).sum(axis=0)
        np.testing.assert_array_equal(virtual.circuit.pulses, applied)
    assert (answer.flags[:, 3, 0] == 0).all()


def test_the_worst_pulse_of_a_ramp_is_refused_before_the_first(tmp_path: Path) -> None:
    with _open(_pair(tmp_path), _procedure()) as (bench, virtual):
        ramp = _ramp(_first_read(bench))
        before = len(virtual.circuit.changes)
        wild = Ramp(
            start_v=ramp.start_v,
            step_v=10 * np.sign(ramp.start_v),
            width_s=ramp.width_s,
            steps=20,
            read_v=0.05,
            low_a=ramp.low_a,
            high_a=ramp.high_a,
        )
        with pytest.raises(Unsupported, match="beyond the instrument's"):
            bench.ramp(wild)
        assert len(virtual.circuit.changes) == before


def test_a_broken_connection_inside_an_instruments_loop_leaves_the_outputs_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _open(_pair(tmp_path), _procedure()) as (bench, virtual):
        ramp = _ramp(_first_read(bench))
        link = bench._drives.instruments["smu"].link
        query = link.query

        def interrupted(message: str, **more: float) -> str:
            if "hwloop.verify" in message:
                link.write(message)
                raise KeyboardInterrupt
            return query(message, **more)

        monkeypatch.setattr(link, "query", interrupted)
        with pytest.raises(KeyboardInterrupt):
            bench.ramp(ramp)
        bench.make_safe()
        assert all(volts in (0.0, None) for volts in virtual.circuit.output_volts().values())
        assert not np.abs(virtual.circuit.cell_volts()).any()


def test_a_bench_with_a_loop_of_its_own_keeps_to_the_contract_of_ramps(tmp_path: Path) -> None:
    procedure = load_procedure(PROCEDURE)  # half-selected cells of this model stay where they are
    pulse = PulseMap(2.0 * np.eye(4), 50e-3)
    with ExitStack() as stack:
        made: list[ExitStack] = []

        def make() -> Bench:
            for earlier in made:
                earlier.close()
            made.append(stack.enter_context(ExitStack()))
            folder = tmp_path / str(len(made))
            folder.mkdir()
            return made[-1].enter_context(_open(_pair(folder), procedure))[0]

        check_ramps(make, pulse=pulse, read_v=0.05, relative_tolerance=1e-4)


class _Accepts(LevelledSource):
    """An output of a box that would run any loop; asked for nothing else."""

    def refuse_loop(self, loop: VerifyLoop) -> None:
        pass


_Accepts.__abstractmethods__ = frozenset()  # type: ignore[attr-defined]


def test_where_one_box_drives_the_gates_too_its_loop_steps_them_and_reads_with_its_own() -> None:
    rows, columns, gates = _Accepts(), _Accepts(), _Accepts()
    sources = {"rows": rows, "columns": columns, "gates": gates}
    drives = BenchDrives({}, sources, columns, meter_on_columns=True)
    cell = np.zeros((2, 2))
    cell[1, 0] = 1.0
    ramp = Ramp(
        start_v=-1.0 * cell,
        step_v=-0.1 * cell,
        width_s=1e-3,
        steps=5,
        read_v=0.1,
        low_a=np.full((2, 2), -np.inf),
        high_a=np.full((2, 2), 2e-6),
        gate_v=1.5 * cell,
        gate_step_v=0.2,
    )
    loop = on_instrument_loop(drives, drive_fractions("1T1R"), ramp, (1, 0), read_gate_v=3.0)
    assert loop == VerifyLoop(
        start_v=-1.0,
        step_v=-0.1,
        width_s=1e-3,
        read_v=0.1,
        read_s=None,
        low_a=-2e-6,
        high_a=np.inf,
        max_pulses=5,
        companions=(Companion(gates, 1.5, 0.2, 3.0),),
        meter=columns,
    )


def test_a_loop_that_ends_for_none_of_its_reasons_is_not_believed() -> None:
    loop = VerifyLoop(1.0, 0.1, 1e-3, 0.05, None, 1e-6, 2e-6, 5)
    refuse_broken_off(loop, [Measured(0.5e-6, Flag(0))] * 5)
    refuse_broken_off(loop, [Measured(0.5e-6, Flag(0)), Measured(1e-6 * (1 - 1e-9), Flag(0))])
    refuse_broken_off(loop, [Measured(np.nan, Flag.COMPLIANCE)])
    for readings in ([], [Measured(0.5e-6, Flag(0))]):
        with pytest.raises(InstrumentFault, match=f"ended after {len(readings)} readings"):
            refuse_broken_off(loop, readings)
