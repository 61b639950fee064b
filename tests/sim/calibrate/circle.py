"""The circle of every model, in figures: ``python -m tests.sim.calibrate.circle MODEL …``.

Emulates random devices of each model, calibrates, and prints how often true values lie within one
and two stated deviations (68 and 95 % expected), for each parameter. Of models that are fitted to
operations, those that a fit does not separately determine are counted apart, and the covariance is
tested as a whole: how often the distance of all parameters, in its own metric, is within the 68 and
95 % quantiles of chi-square. ``--devices`` of each model, which ``--seconds`` may end earlier.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.stats import chi2

from hwloop.errors import ConfigError, NotConverged
from hwloop_sim.calibrate.covariance import Covariance
from hwloop_sim.calibrate.operations.fit import fit_operations
from hwloop_sim.calibrate.operations.history import of_record
from tests.sim.calibrate.one_transistor import test_sweeps
from tests.sim.calibrate.operations import test_schottky_sweeps
from tests.sim.calibrate.operations.test_operations import STEPWISE, record_of
from tests.sim.calibrate.trains import test_pulse_response, test_pulse_table, test_step_response
from tests.sim.calibrate.trains.train_truths import Deviations
from tests.sim.calibrate.truths import TRUTHS, truth_of

WHOLE = "all by the covariance"
"""Its entry: the quantile of chi-square at the distance."""
OPEN = "not separately determined"


def of_operations(model: str) -> Callable[[int, Path], Deviations]:
    """Make the deviations of one random device of a model that is fitted to operations."""

    def found(seed: int, folder: Path) -> Deviations:
        truth = truth_of(model, seed)
        fit = fit_operations(model, [of_record(record_of(model, seed, folder))], fixed={}).fit
        covariance = fit.covariance
        assert covariance is not None
        undetermined = set(covariance.undetermined)
        off: dict[str, list[float]] = {}
        for name, value in truth.parameters.items():
            one = (fit.settings[name] - value) / fit.uncertainty[name]
            if name in STEPWISE:  # an interval, within which nothing is likelier
                one = 0.0 if abs(one) <= np.sqrt(3) + 1e-9 else np.inf
            off[f"{OPEN}: {name}" if name in undetermined else name] = [float(one)]
        way = [
            _scaled(scale, float(fit.settings[name])) - _scaled(scale, truth.parameters[name])
            for name, scale in zip(covariance.names, covariance.scales, strict=True)
        ]
        return off | {WHOLE: [_quantile(covariance, np.array(way))]}

    return found


def _scaled(scale: str, value: float) -> float:
    if scale == "log":
        return float(np.log(abs(value)))
    return float(np.log(value / (1 - value))) if scale == "logit" else value


def _quantile(covariance: Covariance, way: np.ndarray) -> float:
    distance = way @ np.linalg.solve(covariance.matrix, way)
    return float(chi2.cdf(distance, way.size))


def of_schottky(seed: int, folder: Path) -> Deviations:
    """Of one sweep, from starts within 10 %."""
    off = test_schottky_sweeps.deviations(seed, folder)
    return dict(
        zip(test_schottky_sweeps.truth_of(seed), [[float(one)] for one in off], strict=True)
    )


def of_one_transistor(seed: int, folder: Path) -> Deviations:
    """Of both sweeps of a 1T1R array; of none where they are refused."""
    off = test_sweeps._unless_refused(seed, folder)
    if off is None:
        raise NotConverged("refused")
    return {name: [float(one)] for name, one in off.items()}


CIRCLES: dict[str, Callable[[int, Path], Deviations]] = {
    **{model: of_operations(model) for model in TRUTHS},
    "schottky": of_schottky,
    "pulse_table": test_pulse_table.deviations,
    "step_response": test_step_response.deviations,
    "pulse_response": test_pulse_response.deviations,
    "one_transistor": of_one_transistor,
}


def run(model: str, *, devices: int, seconds: float) -> None:
    """Print the figures of one model."""
    begin_s, count = time.monotonic(), 0
    off: dict[str, list[float]] = {}
    refused: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(devices):
            if time.monotonic() - begin_s > seconds:
                break
            count += 1
            try:
                found = CIRCLES[model](seed, Path(folder))
            except (NotConverged, ConfigError) as exc:
                refused[str(exc).split(":")[1].strip()[:60] if ":" in str(exc) else str(exc)] += 1
                continue
            for name, values in found.items():
                off.setdefault(name, []).extend(values)
    took_s = time.monotonic() - begin_s
    print(f"{model}: {count} devices in {took_s:.0f} s, refused {sum(refused.values())}")
    for reason, times in refused.items():
        print(f"  refused {times}: {reason}")
    for name, values in off.items():
        size = np.abs(np.array(values))
        within = (
            (size < chi2.cdf(1, 1), size < chi2.cdf(4, 1))
            if name == WHOLE
            else (size < 1, size < 2)
        )
        shares = " and ".join(f"{100 * np.mean(one):.0f} %" for one in within)
        mean = "" if name == WHOLE else f", mean {np.mean(values):+.2f}"
        print(f"  {name}: within {shares} of {size.size}{mean}", flush=True)


def main() -> None:
    """Run the circles of the models that are named, or of all."""
    parser = argparse.ArgumentParser(description="how often stated deviations cover true values")
    parser.add_argument("models", nargs="*", default=list(CIRCLES))
    parser.add_argument("--devices", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=np.inf)
    asked = parser.parse_args()
    for model in asked.models:
        run(model, devices=asked.devices, seconds=asked.seconds)


if __name__ == "__main__":
    main()
