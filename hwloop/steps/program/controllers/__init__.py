"""Algorithms that program cells: one file each, chosen by name.

Each is plain data with pure functions over arrays; see
:mod:`hwloop.steps.program.controllers.base`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from hwloop.steps.array import Array
from hwloop.steps.program.controllers.alibart import Alibart
from hwloop.steps.program.controllers.base import Controller
from hwloop.steps.program.controllers.gate_stepped import GateStepped
from hwloop.steps.program.controllers.ispp import Ispp
from hwloop.steps.program.controllers.model_predictive import ModelPredictive
from hwloop.steps.program.controllers.one_shot import OneShot
from hwloop.steps.program.controllers.write_wait_verify import WriteWaitVerify

Algorithm = Annotated[
    Alibart | Ispp | GateStepped | ModelPredictive | OneShot | WriteWaitVerify,
    Field(discriminator="name"),
]


def ready(controller: Controller | ModelPredictive, array: Array) -> Controller:
    """Return the controller for an array: one that asks a twin gets its randomness."""
    return controller.on(array) if isinstance(controller, ModelPredictive) else controller


def passes(algorithm: Algorithm) -> tuple[Controller | ModelPredictive, int, float | None]:
    """Return the writing algorithm, the most passes, and the wait before each verification."""
    if isinstance(algorithm, WriteWaitVerify):
        return algorithm.write, algorithm.passes, algorithm.wait_s
    return algorithm, 1, None
