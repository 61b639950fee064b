"""The trigger model of a 2450: numbered blocks that source, measure, wait and branch.

Topics *trigger.model.setblock()* of Keithley's help. The model starts at block 1 and ends after the
last; while it waits for an event, the instrument obeys other messages.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hwloop_sim.virtual.circuit.clock import BenchClock
from hwloop_sim.virtual.mainframe.events import Event, Events

MOST_BLOCKS = 63  # of a model: topic trigger.model.setblock()
MOST_AT_ONCE = 100_000
"""Blocks that are run without any time going by, before the model is given up as endless."""


@dataclass(frozen=True)
class WaitBlock:
    """A block that waits until events have been: any of them, or ``every`` one."""

    events: tuple[Event, ...]
    every: bool = False
    clears: bool = False


@dataclass(frozen=True)
class BranchBlock:
    """A block that may lead to another block; ``taken`` decides, each time anew."""

    block: int
    taken: Callable[[BlockModel, int], bool]


@dataclass(frozen=True)
class ActionBlock:
    """A block at which the model does something."""

    act: Callable[[], None]


Block = WaitBlock | BranchBlock | ActionBlock


class BlockModel:
    """Blocks by their numbers, and where the model is; an action may take time on the clock."""

    def __init__(self, events: Events, clock: BenchClock) -> None:
        self._clock = clock
        self.blocks: dict[int, Block] = {}
        self.names: dict[int, str] = {}
        self.counts: dict[int, int] = {}
        self.state, self.at = "EMPTY", 0
        self._seen: set[Event] = set()
        self._waits: WaitBlock | None = None
        events.listen(self._heard)

    @property
    def is_busy(self) -> bool:
        """Return whether the model is running or waiting."""
        return self.state in {"RUNNING", "WAITING"}

    def clear(self) -> None:
        """Remove all blocks of the model."""
        self.blocks, self.names, self.counts = {}, {}, {}
        self.state, self.at, self._waits = "EMPTY", 0, None

    def put(self, number: int, name: str, block: Block) -> None:
        """Set one block of the model."""
        self.blocks[number], self.names[number] = block, name
        self.state = "BUILDING"

    def initiate(self) -> bool:
        """Start at block 1; return whether there is a block."""
        if not self.blocks:
            return False
        self._seen.clear()
        self.counts = dict.fromkeys(self.blocks, 0)
        self._waits, self.at = None, 0
        self._run(1)
        return True

    def abort(self) -> None:
        """Stop where it is; the output stays as it is."""
        if self.is_busy:
            self.state, self._waits = "ABORTED", None

    def happened(self, event: Event) -> bool:
        """Return whether an event has been, and forget it."""
        has = event in self._seen
        self._seen.discard(event)
        return has

    def _heard(self, event: Event) -> None:
        if not self.is_busy:
            return
        self._seen.add(event)
        if self._waits is not None and self._met(self._waits):
            self._leave(self._waits)
            self._run(self.at + 1)

    def _met(self, wait: WaitBlock) -> bool:
        return (all if wait.every else any)(event in self._seen for event in wait.events)

    def _leave(self, wait: WaitBlock) -> None:
        self._seen.difference_update(wait.events)
        self._waits = None

    def _run(self, number: int) -> None:
        """Run from a block on, to the end or to an event that has not been."""
        self.state = "RUNNING"
        since_s, ran = self._clock.now_s, 0
        while self.state == "RUNNING" and number in self.blocks:
            self.at = number
            number = self._next(number, self.blocks[number])
            if self._waits is not None:
                return
            ran = ran + 1 if self._clock.now_s == since_s else 0
            since_s = self._clock.now_s
            if ran > MOST_AT_ONCE:
                self.state = "FAILED"
        if self.state == "RUNNING":
            self.state = "IDLE"

    def _next(self, number: int, block: Block) -> int:
        if isinstance(block, ActionBlock):
            block.act()
        elif isinstance(block, BranchBlock):
            return block.block if block.taken(self, number) else number + 1
        else:
            if block.clears:
                self._seen.difference_update(block.events)
            if not self._met(block):
                self._waits, self.state = block, "WAITING"
                return number
            self._leave(block)
        return number + 1


def loop_counter(target: int) -> Callable[[BlockModel, int], bool]:
    """Return the decision of a loop counter: branch until it has come here ``target`` times."""

    def taken(model: BlockModel, number: int) -> bool:
        model.counts[number] += 1
        return model.counts[number] < target

    return taken


def once(model: BlockModel, number: int) -> bool:
    """Decide to branch the first time only."""
    model.counts[number] += 1
    return model.counts[number] == 1


def once_excluded(model: BlockModel, number: int) -> bool:
    """Decide to branch each time but the first."""
    return not once(model, number)
