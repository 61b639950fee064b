"""Device models, one a file, and what a model of one state equation is made of.

A model whose state follows dx/dt = F(x, v) is a :class:`StateModel`; what :func:`state_kind` makes
of it is registered under the entry point group ``hwloop.devices``.
"""

from hwloop_sim.devices.common.state_device import StateModel, StateSettings, state_kind

__all__ = [
    "StateModel",
    "StateSettings",
    "state_kind",
]
