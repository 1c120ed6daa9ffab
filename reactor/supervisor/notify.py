"""What systemd is told (sd_notify): that the session is ready, that it is alive, that it ends.

    Type=notify, WatchdogSec=30        NOTIFY_SOCKET ◀── READY=1 · WATCHDOG=1 · STATUS=… · STOPPING=1

The watchdog is fed only while every role shows a fresh heartbeat: a supervisor that runs beside a dead house is not alive. What
systemd then does is in deploy/systemd/. Without NOTIFY_SOCKET (a terminal, a container) all of this is silent.
"""

import contextlib
import os
import socket
from collections.abc import Iterable, Mapping
from typing import Final

FRESH_NS: Final = 1_000_000_000  # As long as a neighbour believes in a role. A restart takes longer: WatchdogSec bears it.
FEEDS_PER_PERIOD: Final = 3  # Twice per period is what systemd recommends; one may come late.


def are_fresh(heartbeats_ns: Iterable[int], now_ns: int) -> bool:
    """Every role has shown a sign of life within FRESH_NS. 0 stands for a role that never has."""
    return all(now_ns - heartbeat_ns <= FRESH_NS for heartbeat_ns in heartbeats_ns)


class Notifier:
    """The line to the service manager. Nothing here blocks or raises: whoever cannot be told is not told."""

    def __init__(self, address: str = "", watchdog_s: float = 0.0) -> None:
        """`address` as in NOTIFY_SOCKET, empty: nobody; `watchdog_s` 0: no watchdog."""
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._period_s = watchdog_s / FEEDS_PER_PERIOD
        self._fed_s = -1e9
        self._status = ""
        self._socket: socket.socket | None = None
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], pid: int) -> "Notifier":
        """As systemd sets it: NOTIFY_SOCKET, WATCHDOG_USEC, and WATCHDOG_PID if only one process is meant."""
        micros, meant = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
        is_watched = micros.isdigit() and meant in ("", str(pid))
        return cls(environment.get("NOTIFY_SOCKET", ""), int(micros) / 1e6 if is_watched else 0.0)

    def ready(self) -> None:
        """Every role is ready: whoever waits for this service may go on."""
        self._send("READY=1")

    def alive(self, now_s: float, status: str) -> None:
        """Every heartbeat is fresh. Call it as often as you like: it is told as the watchdog needs it, a new status at once."""
        is_due = self._period_s > 0 and now_s - self._fed_s >= self._period_s
        if is_due:
            self._fed_s = now_s
        if status != self._status or is_due:
            self._status = status
            self._send(f"STATUS={status}" + ("\nWATCHDOG=1" if is_due else ""))

    def stopping(self, status: str) -> None:
        """The stop sequence has begun."""
        self._status = status
        self._send(f"STOPPING=1\nSTATUS={status}")

    def close(self) -> None:
        """Nothing more will be said."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, text: str) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.sendto(text.encode(), self._address)


def for_this_process() -> Notifier:
    """The line of the process that calls."""
    return Notifier.from_environment(os.environ, os.getpid())
