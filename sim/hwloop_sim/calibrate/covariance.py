"""Covariance of fitted parameters, and those that the data do not determine separately."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hwloop.types import FloatArray

ParameterScale = Literal["log", "logit", "linear"]
_LARGEST = {"log": 1.0, "logit": 0.5, "linear": 1.0}
"""Deviation above which a parameter counts as not determined: of ln |value|, of a value between
0 and 1, and of a linear value over the range of its search."""


@dataclass(frozen=True, eq=False)
class Covariance:
    """Covariance of fitted parameters, each on its own scale.

    ``scales``: "log" of ln |value|, "logit" of ln(value/(1 − value)), "linear" of the value in the
    unit of its name. ``matrix``: (parameters, parameters). ``undetermined``: parameters whose own
    deviation is as large as themselves or whose search ended at a bound; combinations of them may
    be determined, which the matrix tells.
    """

    names: Sequence[str]
    scales: Sequence[ParameterScale]
    matrix: FloatArray
    undetermined: Sequence[str] = ()

    def as_data(self) -> dict[str, Any]:
        """Return the entries ``covariance`` and ``undetermined`` of the calibration file."""
        # With all digits: the variance of a combination is a small difference of large ones.
        matrix = self.matrix.tolist()
        found: dict[str, Any] = {
            "covariance": {"names": list(self.names), "scales": list(self.scales), "matrix": matrix}
        }
        return found | ({"undetermined": list(self.undetermined)} if self.undetermined else {})


def undetermined_line(names: Sequence[str]) -> str:
    """Return the line that names parameters whose values the data leave open."""
    example = f"--fix {names[0]}=VALUE"
    return (
        f"not separately determined: {', '.join(names)}; other values predict these data as well;"
        f" measure more, or hold one with {example}"
    )


def is_open(scale: ParameterScale, deviation: float, *, slope: float, width: float) -> bool:
    """Return whether a deviation leaves a parameter open.

    ``deviation``: on the scale of the fit. ``slope``: of the value on that scale. ``width``: of the
    range of the search, on the scale.
    """
    shown = {"log": deviation, "logit": deviation * slope, "linear": deviation / width}
    return shown[scale] > _LARGEST[scale]


def with_weak_prior(information: FloatArray, widths: FloatArray) -> FloatArray:
    """Invert an information matrix, (n, n), as if each parameter had been drawn from its range.

    ``widths``: of the ranges of the search, (n,): a uniform variable has the variance width²/12.
    Directions that the data determine are unchanged, as the ranges are far wider than they are;
    the others get a variance that is finite and as large as the range allows.
    """
    prior = 12 / np.square(widths)
    scale = 1 / np.sqrt(np.maximum(np.diag(information), 0) + prior)
    values, vectors = np.linalg.eigh(scale[:, None] * information * scale)
    # Of a flat direction, differences may give an information below 0.
    known = vectors * np.maximum(values, 0) @ vectors.T
    inverse = np.linalg.pinv(known + np.diag(scale**2 * prior), rcond=1e-16, hermitian=True)
    return np.asarray(scale[:, None] * inverse * scale)


def deviations_of(covariance: Covariance, slopes: Mapping[str, float]) -> dict[str, float]:
    """Return one standard deviation of each parameter in its own unit.

    ``slopes``: of the value of each parameter on the scale of the fit.
    """
    roots = np.sqrt(np.maximum(np.diag(covariance.matrix), 0.0))
    pairs = zip(covariance.names, roots, strict=True)
    return {name: float(root) * slopes[name] for name, root in pairs}
