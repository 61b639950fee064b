"""Several instruments that cannot be used when a run begins: all are named in one line."""

from pathlib import Path

import numpy as np
import pytest

from hwloop.backend.kind import OpenRequest
from hwloop.errors import BackendError, UnexpectedReply
from hwloop.procedure.procedure import load_procedure
from hwloop_drivers.bench.open import BenchSettings, open_bench
from hwloop_sim.virtual.bench.bench import VirtualBench
from hwloop_sim.virtual.bench.faults import Fault
from tests.drivers.running_bench import PROCEDURE, ROOT, copy_station, running_bench

pytestmark = pytest.mark.usefixtures("no_watchdog")

STATION = ROOT / "stations" / "virtual_4x4.yaml"


def _refused(path: Path) -> BackendError:
    request = OpenRequest(load_procedure(PROCEDURE).array, None, np.random.default_rng(0))
    with pytest.raises(BackendError) as caught:
        open_bench(BenchSettings.parse({"station": str(path)}), request)
    return caught.value


def _mistake(bench: VirtualBench, name: str) -> None:
    bench.instruments[name].identity = "ACME,TOASTER,1,1"  # type: ignore[attr-defined]


def test_one_that_cannot_be_used_is_named_once_with_its_own_class(tmp_path: Path) -> None:
    path = copy_station(STATION, tmp_path)
    with running_bench(path, load_procedure(PROCEDURE)) as bench:
        _mistake(bench, "col_smu")
        error = _refused(path)
    assert type(error) is UnexpectedReply
    assert str(error).startswith(f"col_smu at {bench.addresses['col_smu']}: expected 2400 or ")
    assert str(error).count("col_smu") == 1


def test_all_that_cannot_be_used_are_named_with_address_and_reason_and_no_other(
    tmp_path: Path,
) -> None:
    path = copy_station(
        STATION, tmp_path, **{"virtual:socket}": "virtual:socket, settings: {timeout_s: 0.5}}"}
    )
    with running_bench(path, load_procedure(PROCEDURE)) as bench:
        _mistake(bench, "row_smu")
        bench.add_fault(Fault.parse({"instrument": "matrix", "kind": "silent"}))
        error = _refused(path)
        assert not any(bench.status()["outputs_on"].values())
    said = str(error)
    assert type(error) is BackendError
    assert error.exit_code == 4
    assert "\n" not in said
    head, matrix = said.split(f"; matrix at {bench.addresses['matrix']}: ")
    assert head.startswith(
        f"2 of 3 instruments cannot be used: row_smu at {bench.addresses['row_smu']}: expected 2400"
    )
    assert "found 'ACME,TOASTER,1,1'" in head
    assert matrix == "no answer to '*IDN?' within 0.5 s"
    assert "col_smu" not in said
