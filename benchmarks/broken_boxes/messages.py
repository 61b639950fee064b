"""Boxes that answer otherwise than they should, or do not do what they are told."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.broken_boxes.fault import Break
from hwloop_sim.virtual.bench.bench import VirtualBench
from hwloop_sim.virtual.bench.faults import Fault

Receive = Callable[[str], str | None]


def heard(instrument: str, change: Callable[[Receive, str], str | None]) -> Break:
    """Put something between the link of an instrument and its box."""

    def apply(bench: VirtualBench) -> None:
        box = bench.instruments[instrument]
        receive = box.receive
        box.receive = lambda message: change(receive, message)  # type: ignore[method-assign]

    return apply


def deaf_to(instrument: str, text: str) -> Break:
    """Have a box not obey messages that hold a text."""

    def change(receive: Receive, message: str) -> str | None:
        if text.upper() not in message.upper():
            return receive(message)
        kept = ";".join(part for part in message.split(";") if text.upper() not in part.upper())
        return receive(kept) if kept else None

    return heard(instrument, change)


def answers(instrument: str, question: str, change: Callable[[str], str]) -> Break:
    """Change the answer to one question."""

    def changed(receive: Receive, message: str) -> str | None:
        reply = receive(message)
        return change(reply) if reply is not None and question in message.upper() else reply

    return heard(instrument, changed)


def answers_late(instrument: str) -> Break:
    """Have every answer after an unknown question come in the place of the next one.

    A driver that asks once more and sorts out what came late would get over a single one.
    """
    owed: list[str] = []

    def change(receive: Receive, message: str) -> str | None:
        reply = receive(message)
        if "NONSENSE" in message.upper():
            owed.append("0")
            return None
        if reply is None or not owed:
            return reply
        owed.append(reply)
        return owed.pop(0)

    return heard(instrument, change)


def triggers_late(instrument: str, by_s: float) -> Break:
    """Have a box wait after its trigger before it makes a pulse."""

    def apply(bench: VirtualBench) -> None:
        def change(receive: Receive, message: str) -> str | None:
            if "*TRG" in message.upper():
                bench.clock.advance(by_s)
            return receive(message)

        heard(instrument, change)(bench)

    return apply


def silent_after(instrument: str, messages: int) -> Break:
    """Have a box answer nothing from some message on."""
    return lambda bench: bench.add_fault(
        Fault(kind="silent", instrument=instrument, after=messages)
    )
