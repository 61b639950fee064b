"""The models of the family that a virtual 2600B can be, with their ranges, limits and delays.

Ranges and limits after the data sheets and the topics *Available ranges*, *Ranging limitations* and
*smuX.source.limitY* of Keithley's help. Settling after *Measurement settling time considerations*,
for the 2651A and the 2657A *Measure auto delay*. The models without a letter and with an A have the
ranges of those with a B.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

_SETTLE_S = {
    1e-10: 0.36, 1e-9: 0.36, 1e-8: 0.09, 1e-7: 0.015, 1e-6: 2.5e-3, 1e-5: 5e-4, 1e-4: 1.5e-4,
    1e-3: 1e-4, 1e-2: 8e-5, 1e-1: 8e-5, 1.0: 1.2e-4, 1.5: 1.2e-4, 3.0: 8e-5,
}  # fmt: skip
_OF_2657A_S = {
    1e-9: 1.0, 1e-8: 0.15, 1e-7: 0.015, 1e-6: 2e-3, 1e-5: 1e-3, 1e-4: 1e-3, 1e-3: 5e-4,
    2e-3: 5e-4, 2e-2: 1e-4, 1.2e-1: 1e-4,
}  # fmt: skip


@dataclass(frozen=True)
class ChannelModel:
    """The data in which the models differ.

    ``envelope_a``: the largest current in the source ranges that cannot give all of it.
    ``extra_measure_a``: ranges that measure but do not source. ``limit_a``, ``limit_v``: the
    default limits. ``settle_s``: by current range, until a voltage step has settled within 0.1 %.
    ``delays``: whether readings are delayed by range unless told otherwise.
    """

    letters: str
    ranges_v: tuple[float, ...]
    ranges_a: tuple[float, ...]
    envelope_a: dict[float, float]
    limit_a: float
    limit_v: float
    least_limit_a: float = 1e-8
    extra_measure_a: tuple[float, ...] = field(default=())
    settle_s: dict[float, float] = field(default_factory=lambda: _SETTLE_S)
    delays: bool = False

    @property
    def measure_ranges_a(self) -> tuple[float, ...]:
        """Return the ranges of the ammeter, ascending."""
        return (*self.extra_measure_a, *self.ranges_a)


_UP_TO_1_A = (1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_LOW_A = (1e-9, 1e-8, *_UP_TO_1_A, 1.5)
_2601 = ChannelModel(
    "a", (0.1, 1.0, 6.0, 40.0), (*_UP_TO_1_A, 3.0), {40.0: 1.0}, limit_a=1.0, limit_v=40.0
)
_2611 = ChannelModel(
    "a", (0.2, 2.0, 20.0, 200.0), (*_UP_TO_1_A, 1.5), {200.0: 0.1}, limit_a=0.1, limit_v=20.0
)
_2634 = replace(_2611, letters="ab", ranges_a=_LOW_A, least_limit_a=1e-10, delays=True)
_2635 = replace(_2634, letters="a", extra_measure_a=(1e-10,))
_2651 = ChannelModel(
    "a",
    (0.1, 1.0, 10.0, 20.0, 40.0),
    (*_UP_TO_1_A, 5.0, 10.0, 20.0),
    {20.0: 10.0, 40.0: 5.0},
    limit_a=0.1,
    limit_v=20.0,
    settle_s={**_SETTLE_S, 1e-2: 0.0, 1e-1: 0.0, 1.0: 0.0, 5.0: 0.0, 10.0: 0.0, 20.0: 0.0},
)
_2657 = ChannelModel(
    "a",
    (200.0, 500.0, 1500.0, 3000.0),
    tuple(_OF_2657A_S),
    {3000.0: 0.02},
    limit_a=1e-3,
    limit_v=20.0,
    least_limit_a=1e-10,
    settle_s=_OF_2657A_S,
    delays=True,
)
_DATA = {
    "2601": _2601,
    "2602": replace(_2601, letters="ab"),
    "2604": replace(_2601, letters="ab"),
    "2611": _2611,
    "2612": replace(_2611, letters="ab"),
    "2614": replace(_2611, letters="ab"),
    "2634": _2634,
    "2635": _2635,
    "2636": replace(_2635, letters="ab"),
}
MODELS = {f"{name}B": data for name, data in _DATA.items()} | {
    f"{name}{letter}": _DATA[name]
    for name in ("2601", "2602", "2611", "2612", "2635", "2636")
    for letter in ("", "A")
}
MODELS |= {"2651A": _2651, "2657A": _2657}
