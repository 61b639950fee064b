"""The blocks of a 2450's trigger model by the names that TSP has for them, and the templates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hwloop_sim.virtual.circuit.clock import BenchClock
from hwloop_sim.virtual.instruments.keithley_2450.config_lists import ConfigLists
from hwloop_sim.virtual.instruments.keithley_2450.core import BUFFERS, Buffer, Core
from hwloop_sim.virtual.instruments.keithley_2450.trigger_model import (
    MOST_BLOCKS,
    ActionBlock,
    Block,
    BlockModel,
    BranchBlock,
    WaitBlock,
    loop_counter,
    once,
    once_excluded,
)
from hwloop_sim.virtual.languages.tsp_tables import TspError, as_number, as_word, within
from hwloop_sim.virtual.mainframe.events import Event, Events

WRONG = TspError(1130, "Parameter, expected one of its constants")
LEAST_DELAY_S, MOST_DELAY_S, MOST_DURATION_S = 167e-9, 1e4, 1e5
MOST_COUNT = 1_000_000
AUTO = "trigger.COUNT_AUTO"
NAMES = (
    "BRANCH_ALWAYS", "BRANCH_COUNTER", "BRANCH_ONCE", "BRANCH_ONCE_EXCLUDED", "BRANCH_ON_EVENT",
    "BUFFER_CLEAR", "CONFIG_NEXT", "CONFIG_RECALL", "DELAY_CONSTANT", "MEASURE",
    "MEASURE_DIGITIZE", "NOP", "NOTIFY", "RESET_BRANCH_COUNT", "SOURCE_OUTPUT", "WAIT",
)  # fmt: skip


@dataclass(frozen=True)
class BlockMaker:
    """Makes the blocks of one instrument; a wrong parameter is a TspError."""

    model: BlockModel
    core: Core
    events: Events
    clock: BenchClock
    source: ConfigLists
    measure: ConfigLists

    def set_block(self, number: Any, name: Any, *given: Any) -> None:
        """Set a block as ``trigger.model.setblock()`` does."""
        place = int(within(as_number(number), 1, MOST_BLOCKS))
        kind = str(name).removeprefix("trigger.BLOCK_")
        if kind not in NAMES or f"trigger.BLOCK_{kind}" != name:
            raise WRONG
        make: Callable[..., Block] = getattr(self, f"_{kind.lower()}")
        try:
            block = make(*given)
        except TypeError:
            raise TspError(-109, "Missing parameter") from None
        self.core.sweep = None
        self.model.put(place, kind, block)

    def load(self, name: Any, *given: Any) -> None:
        """Load a template as ``trigger.model.load()`` does, or none of its blocks."""
        templates: dict[Any, Callable[..., list[tuple[str, Block]]]] = {
            "Empty": list,
            "SimpleLoop": self._simple_loop,
            "DurationLoop": self._duration_loop,
        }
        if as_word(name) not in templates:
            raise WRONG
        try:
            blocks = templates[name](*given)
        except TypeError:
            raise TspError(-109, "Missing parameter") from None
        self.core.sweep = None
        self.model.clear()
        for number, (kind, block) in enumerate(blocks, start=1):
            self.model.put(number, kind, block)

    def _simple_loop(
        self, count: Any, delay_s: Any = 0, buffer: Any = None
    ) -> list[tuple[str, Block]]:
        """Measure ``count`` times, each after a delay: topic *SimpleLoop*."""
        return [
            *self._measuring(delay_s, buffer),
            ("BRANCH_COUNTER", self._branch_counter(count, 2)),
        ]

    def _duration_loop(
        self, duration_s: Any, delay_s: Any = 0, buffer: Any = None
    ) -> list[tuple[str, Block]]:
        """Measure for some time, each after a delay: topic *DurationLoop*."""
        lasts_s = within(as_number(duration_s), LEAST_DELAY_S, MOST_DURATION_S)
        begun: dict[int, float] = {}

        def begin() -> None:
            self._kept(buffer).clear()
            begun[0] = self.clock.now_s

        measuring = [("BUFFER_CLEAR", ActionBlock(begin)), *self._measuring(delay_s, buffer)[1:]]
        return [
            *measuring,
            ("BRANCH_DURATION", BranchBlock(2, lambda *_: self.clock.now_s < begun[0] + lasts_s)),
        ]

    def _measuring(self, delay_s: Any, buffer: Any) -> list[tuple[str, Block]]:
        return [
            ("BUFFER_CLEAR", self._buffer_clear(buffer)),
            ("DELAY_CONSTANT", self._delay_constant(delay_s)),
            ("MEASURE_DIGITIZE", self._measure_digitize(buffer, 1)),
        ]

    def _kept(self, buffer: Any) -> Buffer:
        kept = self.core.buffers[BUFFERS[0]] if buffer is None else buffer
        if not isinstance(kept, Buffer):
            raise TspError(1133, "Parameter, expected a reading buffer")
        return kept

    def _branch_always(self, block: Any) -> Block:
        return BranchBlock(_place(block), lambda *_: True)

    def _branch_counter(self, target: Any, block: Any) -> Block:
        return BranchBlock(_place(block), loop_counter(int(within(as_number(target), 1, 1e6))))

    def _branch_once(self, block: Any) -> Block:
        return BranchBlock(_place(block), once)

    def _branch_once_excluded(self, block: Any) -> Block:
        return BranchBlock(_place(block), once_excluded)

    def _branch_on_event(self, event: Any, block: Any) -> Block:
        wanted = event_of(event)
        return BranchBlock(_place(block), lambda model, _: model.happened(wanted))

    def _reset_branch_count(self, block: Any) -> Block:
        place = _place(block)
        return ActionBlock(lambda: self.model.counts.update({place: 0}))

    def _buffer_clear(self, buffer: Any = None) -> Block:
        return ActionBlock(self._kept(buffer).clear)

    def _delay_constant(self, delay_s: Any) -> Block:
        lasts_s = as_number(delay_s)
        if lasts_s:
            within(lasts_s, LEAST_DELAY_S, MOST_DELAY_S)
        return ActionBlock(lambda: self.clock.advance(lasts_s))

    def _measure(self, buffer: Any = None, count: Any = 1) -> Block:
        return self._measure_digitize(buffer, count)

    def _measure_digitize(self, buffer: Any = None, count: Any = 1) -> Block:
        kept = self._kept(buffer)
        times = None if count == AUTO else int(within(as_number(count), 1, MOST_COUNT))

        def measure() -> None:
            self.core.read(kept, times)
            if self.core.smu.limited:
                self.events.emit("trigger.EVENT_SOURCE_LIMIT")

        return ActionBlock(measure)

    def _nop(self) -> Block:
        return ActionBlock(lambda: None)

    def _notify(self, event: Any) -> Block:
        wanted = event_of(event)
        if not str(wanted).startswith("trigger.EVENT_NOTIFY"):
            raise WRONG
        return ActionBlock(lambda: self.events.emit(wanted))

    def _source_output(self, state: Any) -> Block:
        on = {"smu.ON": True, "smu.OFF": False, 1: True, 0: False}
        if as_word(state) not in on:
            raise WRONG
        return ActionBlock(lambda: self.core.smu.switch(on=on[state]))

    def _wait(self, event: Any, clear: Any = None, logic: Any = None, *more: Any) -> Block:
        events = tuple(event_of(each) for each in (event, *more))
        if clear not in (None, "trigger.CLEAR_NEVER", "trigger.CLEAR_ENTER") or (
            logic not in (None, "trigger.WAIT_AND", "trigger.WAIT_OR")
        ):
            raise WRONG
        return WaitBlock(
            events, every=logic == "trigger.WAIT_AND", clears=clear == "trigger.CLEAR_ENTER"
        )

    def _config_recall(
        self, name: Any, index: Any = 1, other: Any = None, other_index: Any = 1
    ) -> Block:
        calls = [(self._lists(name), name, index)]
        if other is not None:
            calls.append((self._lists(other), other, other_index))

        def recall() -> None:
            for lists, each, place in calls:
                lists.recall(each, place)

        return ActionBlock(recall)

    def _config_next(self, name: Any, other: Any = None) -> Block:
        names = [name] if other is None else [name, other]
        calls = [(self._lists(each), each) for each in names]

        def recall() -> None:
            for lists, each in calls:
                lists.recall_next(each)

        return ActionBlock(recall)

    def _lists(self, name: Any) -> ConfigLists:
        """Return the lists among which a name is; TspError where it is among none."""
        lists = self.source if as_word(name) in self.source.lists else self.measure
        lists.named(name)
        return lists


def event_of(event: Any) -> Event:
    """Return an event that blocks may name; TspError for anything else, and for none."""
    if not isinstance(event, str) or not event.startswith("trigger.EVENT_"):
        raise WRONG
    if event == "trigger.EVENT_NONE":
        raise WRONG
    return event


def _place(block: Any) -> int:
    return int(within(as_number(block), 1, MOST_BLOCKS))
