"""Conformance suite of backends: every promise of :class:`CrossbarBackend` as a check.

::

    from hwloop.testing import check_backend

    def test_my_backend_keeps_to_the_contract():
        check_backend(lambda: MyBackend(...), pulse=a_pulse_that_it_supports, read_v=0.05)
"""

from hwloop.testing.backend import check_backend
from hwloop.testing.operations import Make, check_ramps

__all__ = ["Make", "check_backend", "check_ramps"]
