"""The lock of an instrument itself, which keeps off programs on other computers: HiSLIP's.

All links of hwloop share it by one key (IVI-6.1, 6.5), so that a run's watchdog and an emergency
stop, on any computer, are never locked out; who does not know the key is. That it is another run,
and not a link of the same, shows in the number of sessions that hold it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from hwloop.errors import InstrumentInUse

KEY = "hwloop"
_GRANTED = {"success", "success shared"}


def share_lock(session: Any, address: str, *, alone: bool) -> Callable[[], None]:
    """Take a share of the lock, where a session of pyvisa-py is one of HiSLIP.

    Returns what gives it back, and waits until it has: the instrument may see the end of a link
    only after the next has come. It ends with the session, however that ends. ``session``:
    beneath VISA's. ``alone``: raise :class:`InstrumentInUse` where another program has the lock,
    or another link of hwloop shares it. An instrument that does not answer the request as IVI-6.1
    says has no lock.
    """
    if not hasattr(session, "async_lock_request"):
        return _nothing
    try:
        answer = session.async_lock_request(0.0, KEY)
        holders = _holders(session)
    except (OSError, RuntimeError, AssertionError, KeyError):  # of a library, on a strange answer
        return _nothing
    give_back = partial(_release, session)
    if not alone:
        return give_back
    if answer == "failure":
        raise InstrumentInUse(f"{address}: locked by a program on another computer")
    if answer in _GRANTED and holders > 1:
        give_back()
        raise InstrumentInUse(
            f"{address}: in use by hwloop on another computer, which shares its HiSLIP lock; wait"
            " for its end, or end it there"
        )
    return give_back


def _nothing() -> None: ...


def _release(session: Any) -> None:
    with suppress(OSError, RuntimeError, AssertionError, KeyError):  # then it ends with the session
        session.async_lock_release()


def _holders(session: Any) -> int:
    """Return how many sessions hold the lock; pyvisa-py itself returns only whether it is taken."""
    from pyvisa_py.protocols import hislip

    channel = session._async  # noqa: SLF001 - it has no other way
    hislip.send_msg(channel, "AsyncLockInfo", 0, 0)
    return int(hislip.AsyncLockInfoResponse(channel).clients_holding_locks)
