"""Write, wait, verify again, and rewrite cells that have left their window meanwhile.

Source: E. Esmanhotto et al., Adv. Intell. Syst. 4, 2200145 (2022), doi:10.1002/aisy.202200145:
loops of program and verify with waits between them leave resistive memories in states that last (a
32×32 array kept an accuracy of 95 % over two months). Each pass programs with any of the others.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hwloop.settings.model import Settings
from hwloop.settings.units import Count, PositiveSecond
from hwloop.steps.program.controllers.alibart import Alibart
from hwloop.steps.program.controllers.gate_stepped import GateStepped
from hwloop.steps.program.controllers.ispp import Ispp
from hwloop.steps.program.controllers.model_predictive import ModelPredictive
from hwloop.steps.program.controllers.one_shot import OneShot

Writer = Annotated[
    Alibart | Ispp | GateStepped | ModelPredictive | OneShot, Field(discriminator="name")
]


class WriteWaitVerify(Settings):
    """Settings: ``write``, the algorithm of each pass; ``wait_s`` before its verification.

    ``passes``: at most; the last one ends with a wait and a verification, too.
    """

    name: Literal["write_wait_verify"]
    write: Writer
    wait_s: PositiveSecond
    passes: Count = 3
