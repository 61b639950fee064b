"""Trains as scripts inside an instrument that speaks TSP: what its Lua file is told and answers.

The file defines ``hwloop.clear()``, ``hwloop.add(levels, waits, reads)`` and functions that run
what was added; they print readings with their statuses, or ``none``, ``errors``, ``stopped``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import resources

from hwloop.errors import InstrumentFault, UnexpectedReply
from hwloop_drivers.instruments.common import number, parse_number
from hwloop_drivers.instruments.tsp import TspSpeaker
from hwloop_drivers.roles import Measured, TrainPoint

LINE_POINTS = 25  # so that no message is longer than about a thousand characters


class TspTrains(TspSpeaker):
    """A box or channel whose trains are functions of a script."""

    def _load_script(self, name: str, version: int) -> None:
        """Send a Lua file of this package, and see that it was taken."""
        source = resources.files("hwloop_drivers.instruments").joinpath(name)
        self.link.write("loadandrunscript")
        for line in source.read_text("utf-8").splitlines():
            if line.strip() and not line.startswith("--"):
                self.link.write(line)
        self.link.write("endscript")
        if self._ask("hwloop.version") != version:
            raise InstrumentFault(f"{self.link.address}: the script {name} was not taken")

    def _send_points(
        self, points: Sequence[TrainPoint], wait_s: Callable[[TrainPoint], float]
    ) -> str:
        """Send all but the last levels; what is left to send with the question."""
        chunks = [points[n : n + LINE_POINTS] for n in range(0, len(points), LINE_POINTS)]
        commands = ["hwloop.clear()"]
        for chunk in chunks:
            levels = ", ".join(number(point.level_v) for point in chunk)
            waits = ", ".join(number(wait_s(point)) for point in chunk)
            reads = ", ".join(str(int(point.measure)) for point in chunk)
            commands.append(f"hwloop.add({{{levels}}}, {{{waits}}}, {{{reads}}})")
        commands[:2] = [" ".join(commands[:2])]
        for command in commands[:-1]:
            self.link.write(command)
        return commands[-1]

    def _run_script(
        self,
        command: str,
        *,
        timeout_s: float,
        count: int | None,
        measured: Callable[[float, float], Measured],
    ) -> list[Measured]:
        """Run a function of the script; its readings, ``count`` of them unless that is open."""
        self._make_precise()
        reply = self.link.query(command, timeout_s=timeout_s).strip()
        word, _, message = reply.partition("\t")
        if word in {"stopped", "errors"}:
            self._raise_errors()
            raise InstrumentFault(f"{self.link.address}: {command} stopped: {message}")
        fields = [] if word == "none" else reply.split(",")
        values = [parse_number(self.link, command, field) for field in fields]
        if len(values) % 2 or (count is not None and len(values) != 2 * count):
            raise UnexpectedReply(
                f"{self.link.address}: {command} answered {len(values)} values for"
                f" {'its' if count is None else count} readings with their status"
            )
        return [measured(*values[n : n + 2]) for n in range(0, len(values), 2)]
