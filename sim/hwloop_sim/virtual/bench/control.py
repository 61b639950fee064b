"""The control port of a virtual bench: query its state, advance its time, inject faults.

One JSON object a line over TCP, one answer each: ``{"ask": "status"}``, ``{"ask": "advance",
"duration_s": 10}``, ``{"ask": "history"}``, ``{"ask": "fault", "fault": {…}}``, ``{"ask":
"stop"}``. Real instruments have no such port, and no driver uses it; a bench run uses it to make a
wait pass at once. An open connection keeps the bench alive, as a link to an instrument does.
"""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from hwloop.errors import HwloopError
from hwloop_sim.virtual.bench.bench import VirtualBench
from hwloop_sim.virtual.bench.faults import Fault
from hwloop_sim.virtual.bench.servers import Hangup, bounded_lines

MAX_QUESTION = 1 << 16
"""Longest question, in bytes."""


def serve_control(bench: VirtualBench, stopped: threading.Event) -> tuple[str, Callable[[], None]]:
    """Listen for control clients; return the address as host:port, and a function to stop.

    ``stopped`` is set when a client asks the bench to stop.
    """

    class Handler(socketserver.StreamRequestHandler):
        disable_nagle_algorithm = True

        def handle(self) -> None:
            bench.linked("", +1)
            try:
                for line in bounded_lines(self.rfile, MAX_QUESTION):
                    answer = _answer(bench, stopped, line)
                    self.wfile.write(json.dumps(answer).encode() + b"\n")
            except (Hangup, OSError):
                pass  # the client has gone, or sends a line without an end
            finally:
                bench.linked("", -1)

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
            case "now":  # without the bench's lock, so that it is answered in mid-pulse too
                return {"now_s": bench.clock.now_s, "outputs_v": bench.circuit.output_volts()}
            case "who":
                return {
                    "addresses": bench.addresses,
                    "witness": bench.witness_address,
                    "seed": bench.seed,
                    "pulses": int(bench.circuit.pulses.sum()),
                }
            case "history":
                with bench.lock:
                    return {"changes": [asdict(change) for change in bench.circuit.changes]}
            case "fault":
                bench.add_fault(Fault.parse(question["fault"]))
                return {"done": True}
            case "stop":
                stopped.set()
                return {"done": True}
        return {"error": f"cannot {question['ask']!r}"}
    except (ValueError, KeyError, TypeError, RecursionError, HwloopError) as exc:
        return {"error": f"{type(exc).__name__}: {exc}"}
