"""QCoDeS's own driver of a B2962A, as it is, on the virtual B2912A, whose language is the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hwloop_sim.virtual.bench.bench import VirtualBench
from tests.third_party.one_cell import CELL_OHM, goes_off, needs, one_cell

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs, not ours


@pytest.fixture
def bench() -> Iterator[VirtualBench]:
    made = one_cell("keysight_b2900", channel="1", model="B2912A")
    made.start()
    yield made
    made.stop()


@pytest.fixture
def source(bench: VirtualBench) -> Iterator[Any]:
    from qcodes.instrument_drivers.Keysight import KeysightB2962A

    made = KeysightB2962A("source", bench.addresses["smu"], visalib="@py")
    yield made
    made.close()


@needs("qcodes")
def test_qcodes_sources_measures_and_switches_off(bench: VirtualBench, source: Any) -> None:
    assert source.get_idn()["model"] == "B2912A"
    one, two = source.ch1, source.ch2
    one.source_mode("voltage")
    one.source_voltage(0.5)
    one.current_limit(1e-3)
    one.enable(True)
    assert (one.source_voltage(), one.current_limit(), one.enable()) == (0.5, 1e-3, True)
    assert one.voltage() == pytest.approx(0.5, rel=1e-3)
    assert one.current() == pytest.approx(0.5 / CELL_OHM, rel=1e-3)
    assert one.resistance() == pytest.approx(CELL_OHM, rel=2e-3)
    two.source_mode("current")
    two.voltage_limit(1.5)
    assert two.source_mode() == "current"
    one.enable(False)
    assert goes_off(bench)
    assert source.ask(":SYST:ERR?").lstrip("+").startswith("0")
