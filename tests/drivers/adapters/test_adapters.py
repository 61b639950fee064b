"""Source meters of PyMeasure and QCoDeS in our roles, on the virtual 2400."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest

from hwloop import plugins
from hwloop.errors import BackendError, ConfigError, InstrumentFault, UnexpectedReply, Unsupported
from hwloop_drivers.adapters.source_meter import ForeignSettings, ForeignSourceMeter
from hwloop_drivers.instruments.kind import InstrumentKind
from hwloop_drivers.roles import SourceSetup, TrainPoint
from hwloop_drivers.station.configured import NoLink
from hwloop_drivers.station.drives import BenchDrives
from hwloop_drivers.testing import SourceMeterTrial, check_source_meter
from hwloop_sim.virtual.instruments.keithley_2400.box import (
    Keithley2400 as VirtualKeithley2400,
)
from tests.drivers.conformance_rigs import Source
from tests.virtual_link import OneBox

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs, not ours

CLASSES = {
    "pymeasure": "pymeasure.instruments.keithley.Keithley2400",
    "qcodes": "qcodes.instrument_drivers.Keithley.Keithley2400",
}
libraries = pytest.mark.parametrize(
    "library",
    [
        pytest.param(
            name,
            marks=pytest.mark.skipif(
                find_spec(name) is None,
                reason=f"{name} is not installed: pip install hwloop[third-party]",
            ),
        )
        for name in CLASSES
    ],
)
# Six digits, or six decimals, are all that these drivers send.
TRIAL = SourceMeterTrial(level_v=1.25, compliance_a=2.5e-3, trains=False)


def _driver(library: str, link: Any, **given: object) -> ForeignSourceMeter:
    kind: InstrumentKind[Any] = plugins.load(plugins.INSTRUMENTS, library)
    settings = {
        "class": CLASSES[library],
        "identity": "MODEL 2400",
        "most_v": 210,
        "least_a": "1 nA",
        "most_a": 1.05,
    }
    made: ForeignSourceMeter = kind.make(link, kind.settings.parse({**settings, **given}))
    return made


@libraries
def test_source_meter_of_another_library_keeps_to_the_rules_but_for_trains(library: str) -> None:
    source = Source("keithley_2400", driver=lambda link, _: _driver(library, link), load_ohm=1e3)
    check_source_meter(source.make, TRIAL)


@pytest.mark.skipif(find_spec("qcodes") is None, reason="qcodes is not installed")
def test_compliance_that_its_driver_rounds_to_zero_is_a_fault() -> None:
    box = OneBox(VirtualKeithley2400)
    smu = _driver("qcodes", box.link)
    smu.verify_identity()
    smu.reset()
    with pytest.raises(InstrumentFault, match="compliancei was set to 1e-07 but reads back"):
        smu.set_up(SourceSetup(range_v=1, compliance_a=1e-7))
    assert any("PROT 0.000000" in text for text in box.link.sent)
    smu.shutdown()


@pytest.mark.skipif(find_spec("pymeasure") is None, reason="pymeasure is not installed")
def test_the_same_compliance_is_good_where_its_driver_sends_six_digits() -> None:
    smu = _driver("pymeasure", OneBox(VirtualKeithley2400).link)
    smu.reset()
    smu.set_up(SourceSetup(range_v=1, compliance_a=1e-7))
    assert smu.compliance_current == 1e-7


@libraries
def test_a_train_is_refused_without_a_link_and_a_standing_level_is_not(library: str) -> None:
    smu = _driver(library, NoLink("nowhere"))
    with pytest.raises(Unsupported, match="would be the computer's"):
        smu.refuse_train([TrainPoint(1.0, 1e-3)])
    drives = BenchDrives({"smu": smu}, {"rows": smu}, smu, meter_on_columns=False)
    drives.refuse_level("rows", 1.0)
    with pytest.raises(Unsupported, match="level 211 V is beyond"):
        drives.refuse_level("rows", 211.0)


@libraries
def test_what_it_reads_and_holds_reaches_the_box(library: str) -> None:
    box = OneBox(VirtualKeithley2400, conductance_s=1e-5)
    smu = _driver(library, box.link)
    smu.verify_identity()
    smu.reset()
    smu.set_up(SourceSetup(range_v=2, compliance_a=1e-3))
    smu.source_enabled = True
    smu.source_voltage = 0.5
    assert box.circuit.output_volts()["box"] == 0.5
    assert smu.current == pytest.approx(5e-6)
    assert smu.read_back() == {"driver": CLASSES[library], "compliance_current_a": 1e-3}
    smu.check_errors()
    smu.shutdown()
    assert box.instrument.output_states() == {"": False}


@libraries
def test_reading_leaves_compliance_and_output_as_they_are(library: str) -> None:
    # :MEASure? would reset the one to 105 uA, and turn the other on: 2400 user's manual, 17-2.
    box = OneBox(VirtualKeithley2400, conductance_s=1e-3)
    smu = _driver(library, box.link)
    smu.reset()
    smu.set_up(SourceSetup(range_v=2, compliance_a=1e-3))
    smu.source_enabled = True
    smu.source_voltage = 0.5
    assert smu.current == pytest.approx(5e-4)
    assert smu.compliance_current == 1e-3
    smu.source_enabled = False
    with pytest.raises(BackendError):
        smu.measure_current()
    assert box.instrument.output_states() == {"": False}
    assert not any("MEAS:CURR" in text.upper().replace("URE", "") for text in box.link.sent)


@libraries
@pytest.mark.parametrize("ohm", [1e4, 1e5, 1e6])
def test_level_held_after_a_reading_is_limited_by_the_compliance_alone(
    library: str, ohm: float
) -> None:
    box = OneBox(VirtualKeithley2400, conductance_s=1 / ohm)
    smu = _driver(library, box.link)
    smu.reset()
    smu.set_up(SourceSetup(range_v=2, compliance_a=1e-3))
    smu.source_enabled = True
    smu.source_voltage = 0.1
    assert smu.current == pytest.approx(0.1 / ohm, rel=1e-4)
    smu.source_voltage = 2.0
    assert box.circuit.sense("box").volts == pytest.approx(2.0)


@libraries
def test_what_its_driver_raises_is_told_in_our_terms(library: str) -> None:
    names = {"current": "no_such_thing"}
    smu = _driver(library, OneBox(VirtualKeithley2400).link, names=names)
    with pytest.raises(UnexpectedReply, match=r"Keithley2400 failed: \w+: .*no_such_thing"):
        smu.measure_current()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"class": "hwloop.no_such_module.Smu"}, "third-party"),
        ({"class": "hwloop.errors.NoSuchClass"}, "has no NoSuchClass"),
        ({"class": "Keithley2400"}, "Keithley2400"),
        (
            {"names": {"levle": "volt"}},  # codespell:ignore levle
            "levle: what can be named is level, range",  # codespell:ignore levle
        ),
        ({"clas": "a.b"}, "unknown key"),
    ],
)
def test_a_station_that_names_what_there_is_not_is_refused(
    wrong: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        _driver("pymeasure", NoLink("nowhere"), **{"class": "hwloop.errors.HwloopError", **wrong})


def test_settings_are_read_as_a_station_file_writes_them() -> None:
    settings = ForeignSettings.parse(
        {"class": "a.b.C", "identity": "X", "most_v": "21 V", "least_a": "10 nA", "most_a": 1}
    )
    assert (settings.class_, settings.most_v, settings.least_a) == ("a.b.C", 21, 1e-8)
