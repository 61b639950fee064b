"""Share of another library's protocol pairs that a virtual instrument answers without an error.

PyMeasure's driver tests state what goes over the wire as pairs of a message and its answer::

    python -m benchmarks.protocol_pairs keithley_2400 \\
        PYMEASURE/tests/instruments/keithley/test_keithley2400.py

Every test is a fresh instrument. A pair fails where the message leaves an error in the queue, or is
a question without an answer. The answers themselves are not compared.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from hwloop import plugins
from hwloop_sim.virtual.bench.bench import VIRTUAL_INSTRUMENTS
from hwloop_sim.virtual.bench.one_box import OneBox

Pair = tuple[str, object]
BEFORE: Mapping[tuple[str, str], Sequence[str]] = {
    ("keithley_2400", ""): (":SENS:CURR:PROT 1", ":OUTP ON"),
    ("keysight_33500b", "test_offset"): ("SOUR1:VOLT 0.01", "SOUR2:VOLT 0.01"),
    ("keysight_33500b", "test_voltage_high"): ("SOUR1:VOLT:LOW -5", "SOUR2:VOLT:LOW -5"),
    ("keysight_33500b", "test_voltage_low"): ("SOUR1:VOLT:HIGH 5", "SOUR2:VOLT:HIGH 5"),
}
"""What tests of theirs, "" for all of a kind, take for granted. Of the 2400: a reading with the
output off is an error, and so is a measurement range above that of the compliance. Of the 33500B:
an offset of 4.995 V leaves room for 10 mV peak to peak, not for the 100 mV after a reset, and a
level beyond the other one moves that, which is an error (its guide, VOLTage subsystem)."""
NO_ERROR = "0"
CONVERSIONS = {"int": int, "float": float, "str": str, "len": len, "range": range, "list": list}


@dataclass(frozen=True)
class Case:
    """The pairs of one test, with one set of its parameters."""

    name: str
    pairs: tuple[Pair, ...]


@dataclass(frozen=True)
class Failure:
    """A pair that the instrument did not answer, and what it had to say."""

    case: str
    message: str
    reason: str


def cases(module: Path) -> Iterator[Case]:
    """Yield the pairs of every test of a module; what cannot be read as pairs raises."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    known = _imported(tree, module) | _assigned(tree)
    for test in ast.walk(tree):
        if not isinstance(test, ast.FunctionDef):
            continue
        for call in ast.walk(test):
            if isinstance(call, ast.Call) and _name(call.func) == "expected_protocol":
                for values in _parameters(test, known):
                    pairs = _evaluated(call.args[1], known | values)
                    yield Case(test.name, tuple((_text(m), reply) for m, reply in pairs))


def failures(kind: str, case: Case, *, settings: Mapping[str, object]) -> list[Failure]:
    """Send the messages of one test to a fresh instrument; return those that fail."""
    made: Any = plugins.load(VIRTUAL_INSTRUMENTS, kind)
    box = OneBox(made, settings=settings).instrument
    found = []
    for name in ("", case.name):
        for message in BEFORE.get((kind, name), ()):
            box.receive(message)
    for message, expected in case.pairs:
        if not message:
            continue
        asks = expected is not None
        if message.strip().upper().lstrip(":").startswith(("SYST:ERR", "SYSTEM:ERR")):
            continue  # what the queue holds is asked for below
        answer = box.receive(message)
        error = box.receive(":SYST:ERR?") or ""
        if error.partition(",")[0].lstrip("+") != NO_ERROR:
            found.append(Failure(case.name, message, error))
        elif asks and answer is None:
            found.append(Failure(case.name, message, "no answer"))
    return found


def main(kind: str, module: Path, model: str = "") -> None:
    """Print the share of the pairs of MODULE that the virtual KIND answers, and those that fail."""
    settings = {"model": model} if model else {}
    every = list(cases(module))
    count = sum(len(case.pairs) for case in every)
    failed = [f for case in every for f in failures(kind, case, settings=settings)]
    for failure in failed:
        print(f"{failure.case}: {failure.message!r}: {failure.reason}")
    print(f"{kind}: {count - len(failed)} of {count} pairs of {module.name} answered")


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")


def _text(message: object) -> str:
    return message.decode("latin-1") if isinstance(message, bytes) else str(message or "")


def _imported(tree: ast.Module, module: Path) -> dict[str, Any]:
    """Return the plain values that a module imports from files above it, by name."""
    known: dict[str, Any] = {}
    for node in tree.body:
        if not isinstance(node, ast.ImportFrom) or node.module is None:
            continue
        place = f"{node.module.replace('.', '/')}.py"
        file = next((above / place for above in module.parents if (above / place).exists()), None)
        if file is not None:
            there = _assigned(ast.parse(file.read_text(encoding="utf-8")))
            wanted = {alias.name: alias.asname or alias.name for alias in node.names}
            known |= {name: there[told] for told, name in wanted.items() if told in there}
    return known


def _assigned(tree: ast.Module) -> dict[str, Any]:
    """Return the values of the plain assignments of a module, by name."""
    known: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                known[node.targets[0].id] = _evaluated(node.value, known)
            except Exception:  # noqa: BLE001, S112 - an instrument, a logger: no part of a pair
                continue
    return known


def _parameters(test: ast.FunctionDef, known: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every combination of the values that a test is parametrised with, by name."""
    sets: list[list[dict[str, Any]]] = []
    for decorator in test.decorator_list:
        if isinstance(decorator, ast.Call) and _name(decorator.func) == "parametrize":
            names, rows = (_evaluated(argument, known) for argument in decorator.args[:2])
            listed = names.replace(" ", "").split(",") if isinstance(names, str) else list(names)
            sets.append(
                [dict(zip(listed, [row] if len(listed) == 1 else row, strict=True)) for row in rows]
            )
    for combination in itertools.product(*sets):
        yield {name: value for values in combination for name, value in values.items()}


def _evaluated(node: ast.expr, known: Mapping[str, Any]) -> Any:
    """Return the value of an expression; it may call conversions and what text offers."""
    code = compile(ast.Expression(node), "<pairs>", "eval")
    return eval(code, {"__builtins__": CONVERSIONS}, dict(known))  # noqa: S307 - of a test module given by hand


if __name__ == "__main__":
    typer.run(main)
