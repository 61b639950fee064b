"""An output that goes off by itself is noticed: what was read since is no reading."""

from pathlib import Path

import numpy as np
import pytest

from hwloop.array.operations import ReadMap
from hwloop.backend.kind import OpenRequest
from hwloop.errors import BackendError
from hwloop.procedure.procedure import load_procedure
from hwloop.station.station import load_station
from hwloop_drivers.bench.open import BenchSettings, open_bench
from hwloop_sim.virtual.bench.faults import Fault
from tests.drivers.running_bench import (
    PROCEDURE,
    STATIONS,
    copy_station,
    running_bench,
)


@pytest.mark.parametrize("drive", ["rows", "columns"])
@pytest.mark.parametrize("template", STATIONS, ids=lambda path: path.stem)
def test_read_with_a_tripped_output_is_an_error(template: Path, drive: str, tmp_path: Path) -> None:
    station = copy_station(template, tmp_path)
    named = load_station(station).wiring.drive.named()[drive].partition(".")[0]
    procedure = load_procedure(PROCEDURE)
    request = OpenRequest(
        procedure.array, None, np.random.default_rng(0), procedure=procedure.resolved
    )
    with running_bench(station, procedure) as virtual:
        with open_bench(BenchSettings(station=station), request) as bench:
            read = ReadMap.every_cell((4, 4), read_v=0.05)
            assert bench.read(read).complete
            virtual.add_fault(Fault(instrument=named, kind="trip", after=3, count=1))
            # A meter that is off says so itself; a source on the rows would read as nothing.
            words = "has gone off by itself" if drive == "rows" else None
            with pytest.raises(BackendError, match=words):
                bench.read(read)
        status = virtual.status()
    assert not any(status["outputs_on"].values())
    assert set(status["lines_v"].values()) == {0.0}
