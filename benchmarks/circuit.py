"""The exact array circuit beside other solvers of the same circuit, in one run.

The smallest of several times is printed, and the median: on a machine that does other work the
smallest is the one that says what the code costs. Peers that are not installed are named.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import statistics
import time
from collections.abc import Callable
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from benchmarks import sparse_circuit
from hwloop_sim.circuit import Crossbar, Wires, passive, solve

SEGMENT_OHM = 1.0
SIZES = (64, 256, 512)
VECTORS = 100
WIRES = Wires(row_ohm=SEGMENT_OHM, col_ohm=SEGMENT_OHM)
AIMS_MS = {64: 0.085 * 1.5, 256: 2.5 * 1.5, 512: 25 * 1.5}

Floats = NDArray[np.float64]


def run(repeats: int) -> None:
    """Print the rows for one vector and for many."""
    print(
        f"\narray circuit, {SEGMENT_OHM:g} ohm a segment, cells of 1 to 100 µS;"
        f" smallest (median) of {repeats} or, where it takes long, of fewer"
    )
    peers = _peers()
    for size in SIZES:
        _one_vector(size, repeats, peers)
    _many_vectors(256, repeats, peers)


def _array(size: int, vectors: int) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(size)
    return 10 ** rng.uniform(-6, -4, (size, size)), rng.uniform(-0.2, 0.2, (vectors, size))


def _one_vector(
    size: int, repeats: int, peers: dict[str, Callable[[Floats, Floats], Floats]]
) -> None:
    cells_conductance_s, row_v = _array(size, 1)
    print(f"{size}² cells, 1 vector")
    bare = _bare(cells_conductance_s, row_v)
    bare_ms = _line("bare compiled loop, buffers at hand", bare, 5 * repeats)
    ours_ms = _line(
        "hwloop: solve, every voltage and current",
        lambda: solve(cells_conductance_s, row_v=row_v, wires=WIRES),
        5 * repeats,
        aim_ms=AIMS_MS[size],
    )
    print(f"    {'ratio hwloop / bare loop':46s} {ours_ms / bare_ms:10.2f} ×")
    _beside(peers, cells_conductance_s, row_v, ours_ms, repeats)


def _many_vectors(
    size: int, repeats: int, peers: dict[str, Callable[[Floats, Floats], Floats]]
) -> None:
    cells_conductance_s, row_v = _array(size, VECTORS)
    print(f"{size}² cells, {VECTORS} vectors")
    ours_ms = _line(
        "hwloop: multiply, new conductances",
        lambda: Crossbar(cells_conductance_s, WIRES).multiply(row_v),
        repeats,
        aim_ms=200,
    )
    kept = Crossbar(cells_conductance_s, WIRES)
    _line(
        "hwloop: matrix of a state, once",
        lambda: Crossbar(cells_conductance_s, WIRES).transfer_conductance_s(),
        repeats,
    )
    kept.transfer_conductance_s()
    again_ms = _line(
        "hwloop: multiply, conductances unchanged",
        lambda: kept.multiply(row_v),
        20 * repeats,
        aim_ms=0.5,
    )
    transfer_conductance_s = kept.transfer_conductance_s()
    product_ms = _line("bare matrix product", lambda: row_v @ transfer_conductance_s, 20 * repeats)
    print(f"    {'ratio hwloop unchanged / bare product':46s} {again_ms / product_ms:10.2f} ×")
    _beside(peers, cells_conductance_s, row_v, ours_ms, repeats)


def _beside(
    peers: dict[str, Callable[[Floats, Floats], Floats]],
    cells_conductance_s: Floats,
    row_v: Floats,
    ours_ms: float,
    repeats: int,
) -> None:
    ours_a = solve(cells_conductance_s, row_v=row_v, wires=WIRES).col_a
    for name, peer in peers.items():
        theirs_a = peer(cells_conductance_s, row_v)
        differs = np.abs(theirs_a - ours_a).max() / np.abs(ours_a).max()
        few = 1 if cells_conductance_s.size > 50_000 else repeats
        theirs_ms = _line(name, lambda peer=peer: peer(cells_conductance_s, row_v), few)  # type: ignore[misc]
        ratio = theirs_ms / ours_ms
        print(f"    {'  ratio to hwloop; differs by':46s} {ratio:10.1f} × ({differs:.0e})")


def _bare(cells_conductance_s: Floats, row_v: Floats) -> Callable[[], None]:
    """The compiled loop with everything laid out beforehand."""
    from hwloop_sim.circuit.entry import solve_jobs

    jobs, size = row_v.shape
    fields = tuple(np.empty((jobs, size, size)) for _ in range(3))
    lines = tuple(np.empty((jobs, size)) for _ in range(2))
    report = np.empty((jobs, 3))
    segment_ohm, lead_conductance_s = np.full(2, SEGMENT_OHM), np.array(WIRES.lead_conductance_s())
    none, cells, rows = np.empty((0, 0, 0)), cells_conductance_s[np.newaxis], row_v[np.newaxis]
    cols = np.zeros((1, jobs, size))
    control = (passive.STOP, passive.STEPS)
    return lambda: solve_jobs(
        cells,
        none,
        segment_ohm,
        lead_conductance_s,
        rows,
        cols,
        0,
        jobs,
        fields,
        lines,
        report,
        control,
    )


def _peers() -> dict[str, Callable[[Floats, Floats], Floats]]:
    peers: dict[str, Callable[[Floats, Floats], Floats]] = {}
    badcrossbar = _module("badcrossbar", "pip install -e .[peers]")
    if badcrossbar:
        peers["badcrossbar"] = lambda cells_conductance_s, row_v: _badcrossbar(
            badcrossbar, cells_conductance_s, row_v
        )
    if _module("scipy.sparse.linalg", "pip install scipy"):
        peers["scipy SuperLU"] = lambda cells_conductance_s, row_v: sparse_circuit.by_superlu(
            cells_conductance_s, row_v, SEGMENT_OHM
        )
    if _module("sksparse.cholmod", "pip install -e .[peers-cholmod], Debian's libsuitesparse-dev"):
        peers["scikit-sparse CHOLMOD"] = lambda cells_conductance_s, row_v: (
            sparse_circuit.by_cholmod(cells_conductance_s, row_v, SEGMENT_OHM)
        )
    return peers


def _module(name: str, how: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"    {name} is not installed ({how}): not compared")
        return None


def _badcrossbar(module: ModuleType, cells_conductance_s: Floats, row_v: Floats) -> Floats:
    logging.disable(logging.INFO)
    with contextlib.redirect_stdout(io.StringIO()):
        found = module.compute(row_v.T, 1 / cells_conductance_s, SEGMENT_OHM)
    logging.disable(logging.NOTSET)
    output_a: Floats = np.asarray(found.currents.output)
    return output_a


def _line(
    name: str, work: Callable[[], object], repeats: int, aim_ms: float | None = None
) -> float:
    work()
    times_ms = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times_ms.append(1e3 * (time.perf_counter() - began))
    least_ms = min(times_ms)
    aim = f"   (aim: {aim_ms:.3g})" if aim_ms else ""
    print(f"    {name:46s} {least_ms:10.3f} ms ({statistics.median(times_ms):.3f}){aim}")
    return least_ms
