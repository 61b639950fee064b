"""What the emulator costs through its own interface, beside peers where they are installed.

aihwkit comes with the optional group ``peers-aihwkit`` and is skipped with a word where it cannot
be installed. Its noise is that of each output; hwloop is timed with that and with the noise of each
cell, which costs a second product. CrossSim is in no package index, and not timed here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.timing import least_and_median_s
from hwloop.array.operations import PulseMap, VectorBatch
from hwloop.array.settings import ArraySettings
from hwloop.backend.base import CrossbarBackend
from hwloop.backend.kind import OpenRequest
from hwloop.types import FloatArray
from hwloop_sim.emulator.backend import SimSettings, open_sim

VECTORS = 1000
PULSES = 20  # maps in one timing of pulsed updates


@dataclass(frozen=True)
class Entry:
    """One line: its name, what it does, and how many things it does."""

    name: str
    work: Callable[[], object]
    count: float = 1.0


def print_emulator(repeats: int) -> None:
    """Time every group of entries, the emulator first; print smallest times and medians."""
    cores = os.cpu_count()
    print(f"\nThe emulator, through its own interface ({cores} cores); smallest (median)")
    for size, aim_ms in ((256, 2.7), (1024, 20.0)):
        title = f"noisy multiply and 8-bit ADC, {VECTORS} vectors, {size}²"
        _print_times(f"{title} (aim: {aim_ms:g} ms)", _multiplications(size), repeats)
    title = "pulsed updates, any signs, 256², 30 % cycle noise (aim: 150 M/s)"
    _print_rates(title, _updates(256), repeats)


def emulated(size: int, *, device: dict[str, Any] | None = None, **sim: Any) -> CrossbarBackend:
    """An emulated array of ``size`` × ``size``; ``sim``: further keys of ``backends.sim``."""
    limits = {
        "positive_v": 3.5,
        "negative_v": -3.5,
        "read_v": 0.2,
        "half_select_v": 2.0,
        "current_a": 1.0,
        "pulse_width_s": 1.0,
        "pulse_energy_j": 10.0,
        "pulses_per_device": 10**9,
    }
    read = {"read_v": 0.1}
    array = ArraySettings.parse({"rows": size, "cols": size, "limits": limits, "read": read})
    request = OpenRequest(array, None, np.random.default_rng(1))
    return open_sim(SimSettings.parse({"device": device or _TABLE, **sim}), request)


_TABLE = {
    "model": "pulse_table",
    "calibration": {
        "title": "a thousand states",
        "source": "made for this timing",
        "conditions": {"amplitude_v": 2.0, "width_s": 1e-3},
        "conductance_s": np.linspace(1e-6, 11e-6, 1001).tolist(),
    },
    "shift": {"distribution": "lognormal", "median_conductance_s": 1e-6, "sigma": 0.5},
}


def _vectors_v(size: int) -> FloatArray:
    return np.random.default_rng(2).uniform(-0.2, 0.2, (VECTORS, size))


def _multiplications(size: int) -> Iterator[Entry]:
    batch = VectorBatch(_vectors_v(size))
    adc = {"adc": {"bits": 8, "range": {"kind": "calibrated", "margin": 0.2}}}
    of_cells = [{"effect": "white_noise", "fraction": 0.02}]
    of_columns = [{"effect": "white_noise", "fraction": 0, "amplifier_a": "50 nA"}]
    for name, noise in (("each column", of_columns), ("each cell", of_cells)):
        backend = emulated(size, effects=noise, converters=adc)
        yield Entry(f"hwloop, noise of {name}", lambda b=backend: b.multiply(batch))  # type: ignore[misc]
    conductance_s = emulated(size)._cells.conductance_s  # type: ignore[attr-defined] # noqa: SLF001
    yield Entry("BLAS product alone", lambda: batch.voltage_v @ conductance_s)
    yield from _skipping("aihwkit", "torch tile", lambda: _aihwkit_multiply(size))


def _updates(size: int) -> Iterator[Entry]:
    cells = float(size * size * PULSES)
    scatter = [{"effect": "cycle_to_cycle", "sigma": 0.3}]
    backend = emulated(size, device={"model": "soft_bounds"}, effects=scatter)
    maps = _signed_maps(size, up_v=3.2, down_v=-2.8)
    yield Entry("hwloop, soft bounds", lambda: _pulse_all(backend, maps), cells)
    yield from _skipping("aihwkit", "torch tile", lambda: _aihwkit_update(size), cells)


def _signed_maps(size: int, *, up_v: float, down_v: float) -> list[PulseMap]:
    rng = np.random.default_rng(3)
    return [
        PulseMap(np.where(rng.random((size, size)) < 0.5, up_v, down_v), 300e-6)
        for _ in range(PULSES)
    ]


def _pulse_all(backend: CrossbarBackend, maps: list[PulseMap]) -> None:
    for pulse in maps:
        backend.pulse(pulse)


def _repeat(work: Callable[[], object]) -> None:
    for _ in range(PULSES):
        work()


def _skipping(
    peer: str, what: str, make: Callable[[], Callable[[], object]], count: float = 1.0
) -> Iterator[Entry]:
    try:
        yield Entry(f"{peer}, {what}", make(), count)
    except ImportError as exc:
        print(f"  {peer}: skipped, it is not installed ({exc.name}); see the group peers-aihwkit")


def _aihwkit_multiply(size: int) -> Callable[[], object]:
    import torch
    from aihwkit.simulator.configs import TorchInferenceRPUConfig
    from aihwkit.simulator.tiles.inference_torch import TorchInferenceTile

    config = TorchInferenceRPUConfig()
    config.forward.out_noise = 0.02
    config.forward.out_res = 1 / (2**8 - 2)
    config.mapping.max_input_size = config.mapping.max_output_size = 0
    tile = TorchInferenceTile(size, size, config)
    tile.set_weights(torch.rand(size, size) * 2 - 1)
    tile.eval()
    vectors = torch.as_tensor(_vectors_v(size), dtype=torch.float32)

    def multiply() -> object:
        with torch.no_grad():
            return tile.forward(vectors)

    return multiply


def _aihwkit_update(size: int) -> Callable[[], object]:
    import torch
    from aihwkit.simulator.configs import ConstantStepDevice, SingleRPUConfig
    from aihwkit.simulator.tiles.analog import AnalogTile

    device = ConstantStepDevice(dw_min_std=0.3)
    tile = AnalogTile(size, size, SingleRPUConfig(device=device))
    tile.set_learning_rate(device.dw_min)
    one = torch.sign(torch.rand(1, size) - 0.5)
    other = torch.sign(torch.rand(1, size) - 0.5)
    return lambda: _repeat(lambda: tile.update(one, other))


def _print_times(title: str, entries: Iterator[Entry], repeats: int) -> None:
    print(title)
    first_s: float | None = None
    for entry in entries:
        least_s, middle_s = least_and_median_s(entry.work, repeats)
        first_s = least_s if first_s is None else first_s
        times = f"{least_s * 1e3:9.2f} ms ({middle_s * 1e3:.2f})"
        print(f"  {entry.name:54s} {times} {least_s / first_s:8.2f} ×")


def _print_rates(title: str, entries: Iterator[Entry], repeats: int) -> None:
    print(title)
    first: float | None = None
    for entry in entries:
        least_s, middle_s = least_and_median_s(entry.work, repeats)
        rate = entry.count / least_s
        first = rate if first is None else first
        rates = f"{rate / 1e6:8.1f} M/s ({entry.count / middle_s / 1e6:.1f})"
        print(f"  {entry.name:54s} {rates} {rate / first:8.2f} ×")
