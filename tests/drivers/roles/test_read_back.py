"""What drivers say of their settings."""

from __future__ import annotations

import pytest

from hwloop.errors import InstrumentFault
from hwloop_drivers.links.link import Link
from hwloop_drivers.roles import SourceMeter, SourceSetup
from hwloop_drivers.roles.read_back import refuse_changed, units_of_read_back
from hwloop_drivers.testing import Tap
from tests.drivers.conformance_rigs import Source

AS_SET = {"a.compliance_current_a": 1e-3, "source_range_v": 2.0, "nplc": 1.0, "slot_s": "no"}


def test_settings_read_back_have_units_where_their_names_are_declared() -> None:
    assert units_of_read_back("smu", AS_SET) == {
        "smu.a.compliance_current_a": "A",
        "smu.source_range_v": "V",
    }


def test_settings_that_are_as_they_were_are_believed_also_after_rounding() -> None:
    refuse_changed("smu", AS_SET, AS_SET | {"a.compliance_current_a": 1e-3 * (1 + 1e-9)})


@pytest.mark.parametrize(
    ("setting", "value"),
    [("a.compliance_current_a", 2e-3), ("nplc", 0.1), ("slot_s", "7072"), ("nplc", None)],
)
def test_any_setting_that_has_changed_is_a_fault_that_names_it(setting: str, value: object) -> None:
    with pytest.raises(
        InstrumentFault, match=f"smu: {setting} was {AS_SET[setting]} .* is {value}"
    ):
        refuse_changed("smu", AS_SET, AS_SET | {setting: value})


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (Source("keithley_2400"), ":SYST:RSEN ON"),  # user's manual, 18-104
        (Source("keithley_2450"), ":SENS:CURR:RSEN ON"),
        (Source("keithley_2450", {"language": "tsp"}), "smu.measure.sense = smu.SENSE_4WIRE"),
        (Source("keithley_2600b", {"model": "2602B"}, "a"), "smua.sense = smua.SENSE_REMOTE"),
        (Source("keysight_b2900", {"model": "B2912A"}, "2"), ":SENS2:REM ON"),
    ],
    ids=lambda value: value.name if isinstance(value, Source) else "",
)
def test_sense_that_another_program_has_moved_to_the_device_is_noticed(
    source: Source, message: str
) -> None:
    taps: list[Tap] = []

    def tapped(link: Link) -> Tap:
        taps.append(Tap(link))
        return taps[-1]

    rig = source.make(tapped)
    rig.instrument.verify_identity()
    rig.instrument.reset()
    output = rig.instrument.outputs()[source.channel]
    assert isinstance(output, SourceMeter)
    output.set_up(SourceSetup(range_v=2.0, compliance_a=1e-4))
    before = rig.instrument.read_back()
    refuse_changed("smu", before, rig.instrument.read_back())
    taps[0].inner.write(message)
    with pytest.raises(InstrumentFault, match=r"four_wire was False .* is True now"):
        refuse_changed("smu", before, rig.instrument.read_back())
