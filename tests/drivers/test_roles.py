"""What drivers say of their settings."""

from __future__ import annotations

import math

from hwloop.array.operations import Flag
from hwloop_drivers.roles import Measured, Train, units_of_read_back


def test_settings_read_back_have_units_where_their_names_are_declared() -> None:
    settings = {"a.compliance_current_a": 1e-3, "source_range_v": 2.0, "nplc": 1.0, "slot_s": "no"}
    assert units_of_read_back("smu", settings) == {
        "smu.a.compliance_current_a": "A",
        "smu.source_range_v": "V",
    }


def test_train_is_limited_where_any_reading_of_it_was_at_compliance() -> None:
    good, limited = Measured(1e-6), Measured(math.nan, Flag.COMPLIANCE)
    over = Measured(math.nan, Flag.OVER_RANGE)
    assert Train.of([good, over]).flags == Flag(0)  # over range is of the meter, not the source
    assert Train.of([good, limited]).flags == Flag.COMPLIANCE
    assert Train.of([good], seen=[limited, good]) == Train((good,), Flag.COMPLIANCE)
