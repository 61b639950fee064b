"""A virtual switch matrix behind a TCP socket, for the drivers of others."""

from __future__ import annotations

from tests.matrix_box import MatrixBox


class ServedMatrix:
    """The box of a server."""

    def __init__(self, box: MatrixBox) -> None:
        self.box = box

    def answer(self, message: str) -> bytes | None:
        with self.box.link.lock:
            reply = self.box.instrument.receive(message)
        return None if reply is None else reply.encode("latin-1") + b"\n"

    def device_clear(self) -> None:
        self.box.instrument.device_clear()

    def connected(self, change: int) -> None:
        pass
