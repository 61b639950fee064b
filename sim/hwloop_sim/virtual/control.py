"""The virtual bench's own door: ask for its state, let time pass, make it misbehave.

One JSON object a line over TCP, one answer each: ``{"ask": "status"}``, ``{"ask": "advance",
"duration_s": 10}``, ``{"ask": "fault", "fault": {…}}``, ``{"ask": "stop"}``. Real instruments have
no such door, and no driver uses it; a bench run uses it to let a wait pass at once.
"""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable
from typing import Any

from hwloop.errors import HwloopError
from hwloop_sim.virtual.bench import VirtualBench
from hwloop_sim.virtual.faults import Fault


def serve_control(bench: VirtualBench, stopped: threading.Event) -> tuple[str, Callable[[], None]]:
    """Listen; the address as host:port, and how to stop listening.

    ``stopped`` is set when someone asks the bench to stop.
    """

    class Handler(socketserver.StreamRequestHandler):
        disable_nagle_algorithm = True

        def handle(self) -> None:
            for line in self.rfile:
                answer = _answer(bench, stopped, line)
                self.wfile.write(json.dumps(answer).encode() + b"\n")

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True, name="control").start()
    host, number = server.server_address[:2]

    def stop() -> None:
        server.shutdown()
        server.server_close()

    return f"{host!s}:{number}", stop


def _answer(bench: VirtualBench, stopped: threading.Event, line: bytes) -> dict[str, Any]:
    try:
        question = json.loads(line)
        match question["ask"]:
            case "status":
                return bench.status()
            case "advance":
                with bench.lock:
                    bench.clock.advance(float(question["duration_s"]))
                return {"now_s": bench.clock.now_s}
            case "now":
                return {"now_s": bench.clock.now_s}
            case "fault":
                bench.add_fault(Fault.parse(question["fault"]))
                return {"done": True}
            case "stop":
                stopped.set()
                return {"done": True}
        return {"error": f"cannot {question['ask']!r}"}
    except (ValueError, KeyError, TypeError, HwloopError) as exc:
        return {"error": f"{type(exc).__name__}: {exc}"}
