"""Netlists for ngspice, and what it answers."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.sim.circuit.network import Network

NGSPICE = shutil.which("ngspice")
needs_ngspice = pytest.mark.skipif(
    NGSPICE is None, reason="ngspice is not installed (Debian: apt-get install ngspice)"
)
EXACT = "reltol=1e-12 abstol=1e-18 vntol=1e-14 gmin=1e-30 itl1=500"


def by_ngspice(
    circuit: Network, folder: Path, *, cell: Callable[[int, str], str] | None = None
) -> np.ndarray:
    """Node voltages, (nodes,). ``cell(number, v)``: a cell's current as an expression of ``v``."""
    netlist, raw = folder / "array.cir", folder / "array.raw"
    netlist.write_text("\n".join(_cards(circuit, cell)) + "\n", encoding="ascii")
    assert NGSPICE is not None
    done = subprocess.run(
        [NGSPICE, "-b", "-r", str(raw), str(netlist)], capture_output=True, text=True, check=False
    )
    assert raw.exists(), done.stdout + done.stderr
    return _read(raw, circuit.nodes)


def _cards(circuit: Network, cell: Callable[[int, str], str] | None) -> list[str]:
    cards = ["* array", f".options {EXACT}", ".control", "set numdgt=16", ".endc"]
    for number, (start, end, siemens) in enumerate(circuit.edges):
        if cell is not None and number < circuit.word.size:
            law = cell(number, f"v(n{start},n{end})")
            cards.append(f"B{number} n{start} n{end} I={law}")
        elif siemens > 0:
            cards.append(f"R{number} n{start} n{end} {float(1 / siemens)!r}")
    cards += [f"V{node} n{node} 0 {float(volts)!r}" for node, volts in circuit.held.items()]
    return [*cards, ".op", ".end"]


def _read(raw: Path, nodes: int) -> np.ndarray:
    """The operating point in ngspice's binary format: doubles, in the order of the header."""
    header, _, body = raw.read_bytes().partition(b"Binary:\n")
    lines = header.decode("ascii").splitlines()
    first = lines.index("Variables:") + 1
    names = [line.split()[1] for line in lines[first:] if line.strip()]
    values = dict(zip(names, np.frombuffer(body, dtype="<f8", count=len(names)), strict=True))
    return np.array([values.get(f"v(n{node})", np.nan) for node in range(nodes)])
