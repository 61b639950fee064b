"""The 2400's trigger model: arm layer, trigger layer and their lines; manual, 18-116 to 18-122.

Nothing is wired to the trigger link here: a layer that waits for it, for a key or for a component
handler waits until it is aborted. ``*TRG`` is the event of an arm layer that waits for the bus.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from hwloop_sim.virtual.languages.scpi import ILLEGAL, Arguments, ScpiError, scientific

if TYPE_CHECKING:
    from hwloop_sim.virtual.circuit.clock import BenchClock
    from hwloop_sim.virtual.languages.scpi import VirtualScpiInstrument

MOST_POINTS = 2500
ARM_SOURCES = (
    "IMMediate", "TLINk", "TIMer", "MANual", "BUS", "NSTest", "PSTest", "BSTest"
)  # fmt: skip
LINES = (1, 4)
LAYERS = {"ARM": ":ARM[:SEQuence[1]][:LAYer[1]]", "TRIG": ":TRIGger[:SEQuence[1]]"}


class TriggerModel:
    """Counts, sources and delays of the two layers."""

    def __init__(self, clock: BenchClock) -> None:
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """Pass both layers once, at once."""
        self.counts = {"ARM": 1, "TRIG": 1}
        self.sources = {"ARM": "IMM", "TRIG": "IMM"}
        self.delay_s, self.timer_s = 0.0, 0.1
        self.waiting = False

    @property
    def waits(self) -> bool:
        """Return whether a layer waits for an event that does not come by itself."""
        return self.sources["TRIG"] != "IMM" or self.sources["ARM"] not in {"IMM", "TIM"}

    def cycles(self) -> Iterator[int]:
        """Yield the number of each cycle when it is due."""
        due_s = self._clock.now_s
        number = 0
        for _ in range(self.counts["ARM"]):
            if self.sources["ARM"] == "TIM":
                self._clock.advance(max(due_s - self._clock.now_s, 0.0))
                due_s += self.timer_s
            for _ in range(self.counts["TRIG"]):
                self._clock.advance(self.delay_s)
                yield number
                number += 1

    def add_commands(self, box: VirtualScpiInstrument) -> None:
        """Register the commands of the trigger subsystem."""
        for layer, header in LAYERS.items():
            self._add_layer(box, layer, header)
        box.on(
            f"{LAYERS['TRIG']}:DELay",
            set=lambda a: setattr(
                self, "delay_s", a.number(lowest=0, highest=999.9999, default=0.0)
            ),
            get=lambda _: scientific(self.delay_s),
        )
        box.on(
            f"{LAYERS['ARM']}:TIMer",
            set=lambda a: setattr(
                self, "timer_s", a.number(lowest=1e-3, highest=99999.99, default=0.1)
            ),
            get=lambda _: scientific(self.timer_s),
        )
        events = ("SOURce", "DELay", "SENSe", "NONE")
        box.keep(f"{LAYERS['TRIG']}[:TCONfigure][:ASYNchronous]:INPut", "NONE", *events)
        box.keep(f"{LAYERS['TRIG']}[:TCONfigure][:ASYNchronous]:OUTPut", "NONE", *events)
        box.keep(f"{LAYERS['ARM']}[:TCONfigure]:OUTPut", "NONE", "TENTer", "TEXit", "NONE")

    def _add_layer(self, box: VirtualScpiInstrument, layer: str, header: str) -> None:
        choices = ARM_SOURCES if layer == "ARM" else ARM_SOURCES[:2]
        box.on(
            f"{header}:COUNt",
            set=lambda a: self._set_count(layer, a),
            get=lambda _: str(self.counts[layer]),
        )
        box.on(
            f"{header}:SOURce",
            set=lambda a: self.sources.update({layer: a.choice(*choices)}),
            get=lambda _: self.sources[layer],
        )
        box.keep(f"{header}[:TCONfigure]:DIRection", "ACC", "SOURce", "ACCeptor")
        for line, default in (("ILINe", "1"), ("OLINe", "2")):
            box.keep_whole(f"{header}[:TCONfigure]:{line}", default, *LINES)

    def _set_count(self, layer: str, arguments: Arguments) -> None:
        if layer == "ARM" and arguments.text().upper() in {"INF", "INFINITE"}:
            raise ScpiError(*ILLEGAL)  # it would not end here
        other = math.prod(count for name, count in self.counts.items() if name != layer)
        count = int(arguments.number(lowest=1, highest=MOST_POINTS, default=1))
        if count * other > MOST_POINTS:
            raise ScpiError(*ILLEGAL)
        self.counts[layer] = count
