"""What a train says of its readings."""

from __future__ import annotations

import math

from hwloop.array.operations import Flag
from hwloop_drivers.roles import Measured, Train


def test_train_is_limited_where_any_reading_of_it_was_at_compliance() -> None:
    good, limited = Measured(1e-6), Measured(math.nan, Flag.COMPLIANCE)
    over = Measured(math.nan, Flag.OVER_RANGE)
    assert Train.of([good, over]).flags == Flag(0)  # over range is of the meter, not the source
    assert Train.of([good, limited]).flags == Flag.COMPLIANCE
    assert Train.of([good], seen=[limited, good]) == Train((good,), Flag.COMPLIANCE)
