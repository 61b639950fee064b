"""The interface of everything that stands for one array, and how a backend is registered.

A backend of your own is a subclass of :class:`CrossbarBackend` and a :class:`BackendKind` under the
entry point group ``hwloop.backends``.
"""

from hwloop.backend.base import CrossbarBackend, Description, Event, MultiplyMode
from hwloop.backend.kind import BackendKind, OpenRequest
from hwloop.backend.wrapper import OneVerbBackend, Wrapper

__all__ = [
    "BackendKind",
    "CrossbarBackend",
    "Description",
    "Event",
    "MultiplyMode",
    "OneVerbBackend",
    "OpenRequest",
    "Wrapper",
]
