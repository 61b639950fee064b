"""Locks on instruments: one run at a time uses each of them, on this computer.

A file for each instrument in a folder that all users share; the operating system holds the lock on
it, and releases it when the process ends, however it ends. A run's watchdog has a lock of its own
on a second file: where the run is killed, the instruments are in use until they have been made
safe.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import json
import os
import socket
import stat
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Self

from hwloop.errors import BackendError, ConfigError, InstrumentInUse
from hwloop.file_lock import try_lock
from hwloop_drivers.links.same_instrument import identities
from hwloop_drivers.process_state import how_to_end_stopped, is_stopped

FOLDER_VARIABLE = "HWLOOP_LOCKS"
RUN, WATCHDOG, STOP = "run", "watchdog", "stop"
_LOOK_S = 0.2  # between two looks for a request to stop
_HOLDER_BYTES = 1 << 14
_ATTEMPTS = 100
_OPEN = (
    os.O_RDWR
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)  # another user's FIFO would keep us waiting
    | getattr(os, "O_BINARY", 0)
)


class HeldByWatchdog(InstrumentInUse):
    """No run uses the instruments, but the watchdog of one that has ended, which only makes safe.

    ``is_stopped``: it does nothing at all until it is continued.
    """

    is_stopped = False


@dataclass(frozen=True)
class Holder:
    """Description of the process that uses instruments, for those that want them too.

    ``what``: it does with them, such as "a run". ``record``: the file of the run, "" for none.
    """

    what: str
    station: str = ""
    record: str = ""
    pid: int = 0
    user: str = ""
    host: str = ""
    since_utc: str = ""

    def of_this_process(self) -> Holder:
        """Return the same with this process, its user, this computer, and the time now."""
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        return replace(
            self, pid=os.getpid(), user=_user(), host=socket.gethostname(), since_utc=now
        )

    def __str__(self) -> str:
        """Describe the process in a sentence."""
        whose = f" of station {self.station}" if self.station else ""
        into = f", record {self.record}" if self.record else ""
        return (
            f"{self.what}{whose} (process {self.pid} of {self.user} on {self.host},"
            f" since {self.since_utc}{into})"
        )


def _user() -> str:
    """Return the name of the account, not that of the environment, which sudo leaves as it was."""
    with contextlib.suppress(OSError, KeyError, ImportError):  # an account without a name
        if sys.platform == "win32":
            return getpass.getuser()
        import pwd

        return pwd.getpwuid(os.geteuid()).pw_name
    return "an unnamed user"


class InstrumentLocks:
    """The locks of one process on instruments, held until :meth:`release`, or until it ends.

    ``paths``: of the files that are locked.
    """

    def __init__(self, streams: Mapping[Path, IO[bytes]]) -> None:
        self._streams = dict(streams)
        self.paths = list(self._streams)
        requests = (path.with_suffix(f".{STOP}") for path in self.paths)
        self._requests = {path: _written_ns(path) for path in requests}
        self._looked_s = -_LOOK_S

    def refuse_stopped(self) -> None:
        """Raise :class:`hwloop.errors.BackendError` once :func:`request_stop` has been called.

        Looked for a few times a second at most, so that it can be asked with every message.
        """
        now_s = time.monotonic()
        if now_s - self._looked_s < _LOOK_S:
            return
        self._looked_s = now_s
        if any(_written_ns(path) != before for path, before in self._requests.items()):
            self._looked_s = -_LOOK_S  # from now on every time
            raise BackendError("stopped by hand: hwloop safe has made the bench safe meanwhile")

    def release(self, *, safe: bool = True) -> str | None:  # noqa: ARG002 - released either way
        """Release the instruments for others; idempotent. Returns None, as nothing is to be said.

        Only files that are still locked are removed: another process may lock them meanwhile.
        """
        while self._streams:
            path, stream = self._streams.popitem()
            for one in (path.with_suffix(f".{STOP}"), path):
                with contextlib.suppress(OSError):  # another user's, or open on Windows
                    one.unlink()
            with contextlib.suppress(OSError):
                stream.truncate(0)
            stream.close()
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def hold(
    addresses: Mapping[str, str], holder: Holder, *, beside_watchdog: bool = False
) -> InstrumentLocks:
    """Lock instruments, by name, for this process; all of them or none.

    ``beside_watchdog``: also while the watchdog of a run that has ended has them, for an emergency
    stop. Raises :class:`hwloop.errors.InstrumentInUse` with who uses one of them,
    :class:`HeldByWatchdog` where that is no run, and :class:`hwloop.errors.BackendError` where no
    lock can be made.
    """
    streams: dict[Path, IO[bytes]] = {}
    folder = _folder()
    about = holder.of_this_process()
    try:
        paths = {
            path: f"{name} at {address}"
            for name, address in addresses.items()
            for path in _paths(folder, identities(address))
        }
        for path, what in paths.items():
            streams[path] = _lock_or_refuse(path, about, what)
        for path, what in paths.items() if not beside_watchdog else ():
            _refuse_watched(watchdog_path(path), what)
    except BaseException:
        InstrumentLocks(streams).release()
        raise
    return InstrumentLocks(streams)


def refuse_one_instrument_twice(addresses: Mapping[str, str]) -> None:
    """Refuse two names, of a station, whose addresses lead to one instrument.

    Raises :class:`hwloop.errors.ConfigError` with both: two drivers would overwrite each other's
    settings, and what one of them reads would be taken for another line's.
    """
    known: dict[str, str] = {}
    for name, address in addresses.items():
        here = f"{name} at {address}"
        own = identities(address)
        for identity in sorted(own):
            if identity in known:
                raise ConfigError(
                    f"{known[identity]} and {here} are one instrument", key="instruments"
                )
        known |= dict.fromkeys(own, here)


def hold_for_watchdog(paths: Iterable[Path], station: str, record: str) -> InstrumentLocks:
    """Lock, beside the run that has locked ``paths``, the same instruments for its watchdog.

    Raises as :func:`hold`, where the watchdog of an earlier run has not ended.
    """
    about = Holder("the watchdog of a run", station, record).of_this_process()
    streams: dict[Path, IO[bytes]] = {}
    try:
        for path in map(watchdog_path, paths):
            streams[path] = _lock_or_refuse(path, about, "an instrument")
    except BaseException:
        InstrumentLocks(streams).release()
        raise
    return InstrumentLocks(streams)


def request_stop(addresses: Iterable[str]) -> None:
    """Tell whoever uses one of these instruments to stop with its next message.

    Raises :class:`hwloop.errors.BackendError` where that cannot be written.
    """
    folder = _folder()
    for address in addresses:
        for path in _paths(folder, identities(address)):
            request = path.with_suffix(f".{STOP}")
            try:
                with contextlib.suppress(FileNotFoundError):
                    request.unlink()
                os.close(os.open(request, _OPEN | os.O_CREAT | os.O_EXCL, 0o644))
            except OSError as exc:
                raise _no_lock(request, exc) from exc


def _written_ns(path: Path) -> tuple[int, int] | None:
    """Return what tells this file from an earlier one of its name; None where there is none."""
    try:
        seen = path.lstat()
    except OSError:
        return None
    return seen.st_ino, seen.st_mtime_ns


def watchdog_path(path: Path) -> Path:
    """Return the file that the watchdog locks beside the file of its run."""
    return path.with_suffix(f".{WATCHDOG}")


def _folder() -> Path:
    """Return the folder of the locks, made if need be, which every user of the computer can use."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    folder = Path(chosen) if chosen else _shared_folder()
    try:
        with contextlib.suppress(FileExistsError):
            folder.mkdir(parents=sys.platform == "win32")
            folder.chmod(0o1777)  # as /tmp: everybody makes files, and removes only their own
        if not stat.S_ISDIR(folder.lstat().st_mode):
            raise NotADirectoryError("it is a link or a file, not a folder")
    except OSError as exc:
        raise _no_lock(folder, exc) from exc
    return folder


def _shared_folder() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("PROGRAMDATA", r"C:\ProgramData")) / "hwloop" / "locks"
    # Not the temporary folder: that may be another one for every user, or be emptied in a long run.
    return Path("/var/tmp/hwloop-locks")  # noqa: S108 - links and foreign files are refused


def _paths(folder: Path, names: Iterable[str]) -> list[Path]:
    marks = (hashlib.sha256(name.encode()).hexdigest()[:32] for name in sorted(names))
    return [folder / f"{mark}.{RUN}" for mark in marks]


def _lock_or_refuse(path: Path, holder: Holder, what: str) -> IO[bytes]:
    """Lock a file and write who holds it."""
    for _ in range(_ATTEMPTS):
        try:
            stream = _opened(path)
            if not try_lock(stream):
                with stream:
                    raise _in_use(what, stream)
            if _is_still_there(path, stream):
                stream.truncate(0)
                stream.write(json.dumps(asdict(holder)).encode())
                return stream
        except OSError as exc:
            raise _no_lock(path, exc) from exc
        stream.close()  # its last holder has removed it since: a new one is made
    raise _no_lock(path, OSError("it is removed again and again"))


def _opened(path: Path) -> IO[bytes]:
    """Open a lock file, made if need be so that every user can lock it; follows no link."""
    try:
        descriptor = os.open(path, _OPEN)
    except FileNotFoundError:
        with contextlib.suppress(FileExistsError):  # made by another process at this moment
            descriptor = os.open(path, _OPEN | os.O_CREAT | os.O_EXCL, 0o666)
            os.chmod(path, 0o666)  # noqa: PTH101, S103 - the umask; nothing secret is in it
            return os.fdopen(descriptor, "r+b", buffering=0)
        descriptor = os.open(path, _OPEN)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError("it is no plain file")
    return os.fdopen(descriptor, "r+b", buffering=0)


def _is_still_there(path: Path, stream: IO[bytes]) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(stream.fileno()))
    except FileNotFoundError:
        return False


def _refuse_watched(path: Path, what: str) -> None:
    """Raise :class:`InstrumentInUse` while a watchdog is at work, whose run has ended."""
    try:
        with os.fdopen(os.open(path, _OPEN), "r+b", buffering=0) as stream:
            if not try_lock(stream):
                raise _in_use(what, stream)
    except FileNotFoundError:
        pass
    except OSError as exc:
        raise _no_lock(path, exc) from exc


def _in_use(what: str, stream: IO[bytes]) -> InstrumentInUse:
    """Return the error with what the holder has written, which may be any user's text."""
    try:
        stream.seek(0)
        holder = Holder(**json.loads(stream.read(_HOLDER_BYTES)))
        by, watchdog = str(holder), str(holder.what).startswith("the watchdog")
        pid = int(holder.pid)
    except (OSError, ValueError, TypeError, OverflowError, RecursionError):
        by, watchdog, pid = "another process, which has not yet written who it is", False, 0
    stopped = is_stopped(pid)
    if watchdog:
        error = HeldByWatchdog(f"{what}: in use by {by}; {_watchdog_remedy(pid, stopped=stopped)}")
        error.is_stopped = stopped
        return error
    remedy = "wait for its end, or end it; two at a time would falsify each other's readings"
    if stopped:
        remedy = f"it is stopped: {how_to_end_stopped(pid)}"
    return InstrumentInUse(f"{what}: in use by {by}; {remedy}")


def _watchdog_remedy(pid: int, *, stopped: bool) -> str:
    if stopped:
        return (
            "its run has ended, and it is stopped, so that it makes nothing safe:"
            f" {how_to_end_stopped(pid)}; then `hwloop safe`"
        )
    return (
        "its run has ended, and it is there to make the bench safe: try again in a minute; if it"
        f" has not ended by then, `kill -9 {pid}` and `hwloop safe`"
    )


def _no_lock(path: Path, exc: OSError) -> BackendError:
    return BackendError(
        f"{path}: cannot be used for the lock that keeps two runs off one instrument"
        f" ({exc.strerror or exc}); {FOLDER_VARIABLE} names another folder, the same for all users"
    )
