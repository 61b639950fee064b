"""The layers of the benchmark of inference on other packages, where they are installed.

``pip install -e .[peers-aihwkit]`` brings aihwkit. CrossSim is in no package index: ``git clone
https://github.com/sandialabs/cross-sim && pip install ./cross-sim``. The range of its converters is
that of the largest sum a tile can have, for which its answers are coarse and its time is the same.
It computes less than the others: the currents of a pair of columns are subtracted before one
converter, which halves products and conversions; nothing is flagged, no code is kept, and of a
convolution it is given the patches already unrolled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from hwloop.types import FloatArray

BITS = 8
"""Of the converters of every peer; none has noise, and both have tiles of the same weights."""

Peer = tuple[str, Callable[[], object]]


def peers(weights: FloatArray, vectors: FloatArray, *, rows: int, outputs: int) -> Iterator[Peer]:
    """Yield name and work of every peer that is installed, and print a line for one that is not.

    ``weights``: (rows, outputs); ``vectors``: (batch, rows). ``rows``, ``outputs``: of a tile.
    """
    for name, make in (
        ("aihwkit, torch tiles, single precision", _aihwkit),
        ("CrossSim, a pair subtracted before its converter", _crosssim),
    ):
        try:
            work = make(weights, vectors, rows, outputs)
        except ImportError as exc:
            print(
                f"  {name}: skipped, {exc.name} is not installed; see benchmarks/inference_peers.py"
            )
        else:
            yield name, work


def _aihwkit(
    weights: FloatArray, vectors: FloatArray, rows: int, outputs: int
) -> Callable[[], object]:
    """Return the product of mapped tiles with converters of 8 bits; aihwkit 1.1.0 and later."""
    import torch
    from aihwkit.nn import AnalogLinearMapped
    from aihwkit.simulator.configs import TorchInferenceRPUConfig

    config = TorchInferenceRPUConfig()
    config.forward.out_noise = 0.0
    config.forward.inp_res = -1
    config.forward.out_res = 1 / (2**BITS - 2)
    config.mapping.max_input_size, config.mapping.max_output_size = rows, outputs
    layer = AnalogLinearMapped(*weights.shape, bias=False, rpu_config=config)
    layer.set_weights(torch.as_tensor(weights.T, dtype=torch.float32))
    layer.eval()
    inputs = torch.as_tensor(vectors, dtype=torch.float32)

    def multiply() -> object:
        with torch.no_grad():
            return layer(inputs)

    return multiply


def _crosssim(
    weights: FloatArray, vectors: FloatArray, rows: int, outputs: int
) -> Callable[[], object]:
    """Return the product of balanced cores with converters of 8 bits; CrossSim 3.2."""
    from simulator import AnalogCore, CrossSimParameters

    params = CrossSimParameters()
    params.core.rows_max, params.core.cols_max = rows, outputs
    params.xbar.adc.mvm.model = "QuantizerADC"
    params.xbar.adc.mvm.bits = BITS
    params.xbar.adc.mvm.adc_range_option = "MAX"
    core = AnalogCore(weights.T, params=params)
    inputs = np.ascontiguousarray(vectors.T)
    return lambda: core.matmat(inputs)
