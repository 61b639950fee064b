"""A source-measure unit that is one instrument with one output: outputs, read-back, safe state."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from hwloop.errors import UnexpectedReply
from hwloop_drivers.instruments.families.source_meter import LevelledSource
from hwloop_drivers.roles import Instrument, PulseGenerator, SourceMeter


class SingleSource(LevelledSource, Instrument):
    """An instrument that is its own only output, in the language of its subclass."""

    _off_commands: ClassVar[tuple[str, ...]]
    """Stop what runs, go to 0 V, switch off; in this order, from any state."""
    _read_back_questions: ClassVar[Mapping[str, str]]
    _four_wire_question: ClassVar[str]
    """Answered by 1 where it senses at the device."""

    @abstractmethod
    def _ask(self, question: str, /) -> float:
        """Return the number that the instrument answers."""

    @override
    def outputs(self) -> Mapping[str, SourceMeter | PulseGenerator]:
        return {"": self}

    @override
    def read_back(self) -> dict[str, object]:
        numbers = {name: self._ask(text) for name, text in self._read_back_questions.items()}
        return {**numbers, "four_wire": self._ask(self._four_wire_question) == 1}

    @override
    def safe_state(self) -> None:
        for command in self._off_commands:
            self.link.write(command)
        self._level_v = 0.0
        if self.source_enabled:
            raise UnexpectedReply(f"{self.link.address}: the output is still on")
