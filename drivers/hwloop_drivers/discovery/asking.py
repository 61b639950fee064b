"""Questions for the identity of what was found."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

from hwloop.errors import BackendError, InstrumentInUse
from hwloop_drivers.discovery.found import Found
from hwloop_drivers.links.instrument_locks import Holder, hold
from hwloop_drivers.links.link import LinkSettings
from hwloop_drivers.links.messages import close_quietly
from hwloop_drivers.links.visa import VisaLink

ANSWER_S, ASKING_S = 2.0, 10.0
SERIAL_QUESTIONS = ("*IDN?", "ID?")
VISA = ("TCPIP", "USB", "GPIB", "ASRL", "VICP", "PXI", "VXI")  # how its addresses begin


def ask_all(found: list[Found], *, ask_serial: bool) -> list[Found]:
    """Ask each in a thread of its own, and wait for none longer than ASKING_S."""
    answers: dict[int, Found] = {}

    def work(n: int, one: Found) -> None:
        answers[n] = _asked(one)

    threads = {}
    for n, one in enumerate(found):
        if one.address and (ask_serial or one.where != "serial port"):
            threads[n] = threading.Thread(target=work, args=(n, one), daemon=True)
            threads[n].start()
    end_s = time.monotonic() + ASKING_S
    for thread in threads.values():
        thread.join(timeout=max(end_s - time.monotonic(), 0.0))
    silent = {n: replace(found[n], note=f"no answer within {ASKING_S:g} s") for n in threads}
    return [answers.get(n, silent.get(n, one)) for n, one in enumerate(found)]


def _asked(one: Found) -> Found:
    """Return a finding with its identity; one that a run is using is left alone."""
    ask = _ask_visa if one.address.upper().startswith(VISA) else _ask_serial
    try:
        with hold({one.name: one.address}, Holder("a search (hwloop instruments)")):
            return replace(one, identity=ask(one.address), note="")
    except InstrumentInUse as exc:
        return replace(one, note=f"not asked: {exc}")
    except Exception as exc:  # noqa: BLE001 - a strange device; the others are still told of
        return replace(one, note=str(exc).removeprefix(f"{one.address}: "))


def _ask_visa(address: str) -> str:
    link = VisaLink(address, LinkSettings(timeout_s=ANSWER_S), clear=False)
    try:
        return link.query("*IDN?").strip()
    finally:
        link.close()


def _ask_serial(path: str) -> str:
    import serial

    port = serial.serial_for_url(path, baudrate=9600, timeout=ANSWER_S, write_timeout=ANSWER_S)
    try:
        for question in SERIAL_QUESTIONS:
            port.reset_input_buffer()
            port.write(question.encode() + b"\n")
            answer = port.read_until(b"\n")
            if answer.endswith(b"\n") and answer.strip():
                return str(answer.decode("latin-1").strip())
    finally:
        close_quietly(port)
    raise BackendError(f"no answer to {' or '.join(SERIAL_QUESTIONS)} at 9600 baud")
